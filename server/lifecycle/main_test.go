// Package lifecycle checks start, drain, stop, commands, the rotation of keys, and
// replicas.
package lifecycle

import (
	"testing"

	"cubegate/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
