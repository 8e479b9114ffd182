// Command cubegate is the server side of an app built on ConnectyCube: it
// knows the app's users and opens their ConnectyCube sessions. Without any
// settings it runs whole, on an embedded database and a ConnectyCube sandbox
// in this process.
//
// The process is package server, whose comment says where to start reading.
package main

import (
	"context"
	_ "embed"
	"os"
	"os/signal"
	"syscall"

	"cubegate/server"

	"github.com/spf13/cobra"
)

// configYAML documents every setting and has its default. It lies here, where
// operators find it, and go:embed cannot reach up.
//
//go:embed config.yaml
var configYAML []byte

func main() {
	cobra.MousetrapHelpText = "" // on Windows, a double click starts the server
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := server.Main(ctx, configYAML, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
