// Package peers has a file of requests for each server that the benchmark drives.
package peers

import (
	_ "embed"

	"cubegate/bench/load"
)

//go:embed cubegate.json
var cubegate []byte

// Cubegate returns the requests for the server of this module. The caller sets its URL.
func Cubegate() (*load.Spec, error) { return load.Parse(cubegate) }
