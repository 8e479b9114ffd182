// Command cubegate is the server side of an app built on ConnectyCube: it
// keeps the app's users and opens their ConnectyCube sessions. It needs no
// settings: by default it runs on an embedded database and a ConnectyCube
// sandbox in this process.
//
// Start reading at package server.
package main

import (
	"context"
	_ "embed"
	"os"

	"cubegate/server"
	_ "cubegate/server/timers" // fewer wake-ups

	"github.com/spf13/cobra"
)

// configYAML documents every setting and has its default. It is embedded here,
// because go:embed cannot read files above its package.
//
//go:embed config.yaml
var configYAML []byte

func main() {
	cobra.MousetrapHelpText = "" // on Windows, a double click starts the server
	ctx, stop := server.WithSignals(context.Background(), os.Stderr)
	code := server.Main(ctx, configYAML, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
