// Command hashprocess is a hash process without the memory of a test's race detector.
package main

import (
	"os"

	"cubegate/tokens"
)

func main() {
	if err := tokens.ServeHashes(os.Stdin, os.Stdout); err != nil {
		os.Exit(1)
	}
}
