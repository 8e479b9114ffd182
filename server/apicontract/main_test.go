// Package apicontract checks the contract with clients: the operations by role,
// openapi.json, and conversations of several requests.
package apicontract

import (
	"testing"

	"cubegate/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
