// Package apicontract checks what clients may rely on: the operations by role,
// openapi.json, and whole conversations.
package apicontract

import (
	"testing"

	"cubegate/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
