// Package security checks credentials, their revocation, limits, and that the server
// reveals no secret.
package security

import (
	"testing"

	"cubegate/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
