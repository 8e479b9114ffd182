package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"cubegate/connectycube/sandbox/certs"
	"cubegate/server/config"

	"github.com/spf13/cobra"
)

func (p process) healthCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "health [--tls]", Short: "asks a running server whether it is alive; exit status 0 or 1"}
	secure := cmd.Flags().Bool("tls", false, "ask a server that runs with --tls")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p.tls = *secure
		return p.run(cmd.Context(), health)
	}
	return cmd
}

// health asks the running server with the same settings for /healthz.
func health(ctx context.Context, cfg config.Config, _ io.Writer, _ *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	client, err := healthClient(cfg)
	if err != nil {
		return err
	}
	url := healthURL(cfg) + "/healthz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no server answers at %s; start it, or give this command its HOST, PORT and --tls: %w", url, errors.Unwrap(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, answer.Status)
	}
	return nil
}

// healthURL returns the URL at which this machine reaches a server with the same settings.
func healthURL(cfg config.Config) string {
	host, scheme := cfg.HTTP.Host, "http"
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	if cfg.TLS {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(cfg.HTTP.Port))
}

// healthClient returns a client for the running server, which trusts its authority.
func healthClient(cfg config.Config) (*http.Client, error) {
	if !cfg.TLS {
		return http.DefaultClient, nil
	}
	folder, err := authorityFolder(cfg)
	if err != nil {
		return nil, err
	}
	certificate, err := os.ReadFile(filepath.Join(folder, certs.File))
	if err != nil {
		return nil, fmt.Errorf("--tls: %w", err)
	}
	return clientTrusting(certificate), nil
}
