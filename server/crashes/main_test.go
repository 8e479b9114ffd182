// Package crashes ends the program at any moment, breaks its connections, and
// checks that both sides agree afterwards: the database and ConnectyCube.
package crashes

import (
	"testing"

	"cubegate/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
