// Package crashes kills the server at any moment, breaks its connections, and checks
// that the database and ConnectyCube agree afterwards.
package crashes

import (
	"testing"

	"cubegate/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
