package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
	"time"

	"cubegate/connectycube/sandbox"
	"cubegate/connectycube/sandbox/certs"
	"cubegate/server/config"

	_ "embed"

	"github.com/spf13/cobra"
)

func (p process) sandboxCommand() *cobra.Command {
	var secure bool
	var data string
	cmd := &cobra.Command{
		Use:   "sandbox [--tls] [--data FILE]",
		Short: "runs the ConnectyCube sandbox alone: no database, no server beside it",
	}
	with := p.addLANFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return with().run(cmd.Context(), sandboxAlone(secure, data))
	}
	cmd.Flags().BoolVar(&secure, "tls", false, "serve HTTPS and WSS, with certificates from an authority in DATA_DIR")
	cmd.Flags().StringVar(&data, "data", "", "`file` that keeps the sandbox's state; without it the state ends with the process")
	cmd.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveDefault) // file names for --data
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// sandboxAlone runs a sandbox without a server, for the development of an app. If
// data is empty, the state is only in memory.
func sandboxAlone(secure bool, data string) commandFunc {
	return func(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
		logNotices(ctx, cfg, log)
		limitGoMemory(ctx, os.DirFS("/"), log)
		cfg.ShutdownTimeout = min(cfg.ShutdownTimeout, 5*time.Second) // a fault may hold a request for a minute
		s := newSetup(cfg, log)
		defer func() { err = errors.Join(err, s.Close()) }()
		var authority *certs.Authority
		if secure {
			if authority, err = openAuthority(cfg.DataDir); err != nil {
				return fmt.Errorf("--tls: %w", err)
			}
		}
		o := sandbox.Options{DataFile: data}
		if authority != nil {
			o.Certificate = authority.PEM()
		}
		if cfg.Sandbox.CIDPURL != "" {
			o.CIdP = providerAt(cfg.Sandbox.CIDPURL, cfg.ConnectyCube.CIDPSecret)
		}
		if s.api, err = s.listenSandbox(o, authority); err != nil {
			return err
		}
		if err := s.sandboxBanner(stdout, data, authority); err != nil {
			return err
		}
		return s.serve(ctx)
	}
}

// openAuthority opens the authority in dataDir by its absolute path, so that a user
// can paste the printed path in any folder.
func openAuthority(dataDir string) (*certs.Authority, error) {
	folder, err := filepath.Abs(filepath.Join(dataDir, "sandbox-ca"))
	if err != nil {
		return nil, err
	}
	return certs.Open(folder)
}

//go:embed banner.txt
var sandboxBannerText string

var sandboxBanner = template.Must(template.New("").Parse(sandboxBannerText))

// sandboxBanner prints how to connect an app to the sandbox.
func (s *Server) sandboxBanner(w io.Writer, data string, authority *certs.Authority) error {
	scheme, socket := "http", "ws"
	if authority != nil {
		scheme, socket = "https", "wss"
	}
	port := strconv.Itoa(s.api.addr().Port)
	host := s.api.addr().IP
	shown := net.JoinHostPort(host.String(), port)
	var others []string
	if host.IsUnspecified() {
		shown = net.JoinHostPort("localhost", port)
		for _, at := range certs.Addresses() {
			if !at.IsLoopback() && !at.IsLinkLocalUnicast() {
				others = append(others, net.JoinHostPort(at.String(), port))
			}
		}
	}
	phone := shown // the address for another device
	if len(others) > 0 {
		phone = others[0]
	}
	fields := map[string]any{
		"URL":     scheme + "://" + shown,
		"ChatURL": socket + "://" + shown + sandbox.ChatPath,
		"Phone":   scheme + "://" + phone,
		"Rest":    scheme + "://",
		"Chat":    socket + "://",
		"Path":    sandbox.ChatPath,
		"Others":  others,
		"Port":    port,
		"AppID":   sandboxAppID,
		"AuthKey": sandboxAuthKey,
		"Domain":  s.cfg.ConnectyCube.ChatDomain,
		"Data":    data,
		"CIdP":    s.cfg.Sandbox.CIDPURL,
		"Local":   host.IsLoopback(),
		"Token":   !s.cfg.Sandbox.ControlToken.IsZero(),
	}
	if authority != nil {
		fields["CA"] = authority
	}
	return sandboxBanner.Execute(w, fields)
}
