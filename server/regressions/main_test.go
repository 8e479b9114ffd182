// Package regressions has one test for each of the 41 defects of the NestJS
// original.
package regressions

import (
	"testing"

	"cubegate/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
