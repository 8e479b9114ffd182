// Package security checks credentials, their revocation, limits, and that no
// secret leaves the program.
package security

import (
	"testing"

	"cubegate/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
