package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"cubegate/connectycube/sandbox"
	"cubegate/connectycube/sandbox/certs"
	"cubegate/middleware"
	"cubegate/resolvers"
	"cubegate/server/config"
	"cubegate/tokens"

	_ "embed"

	"github.com/spf13/cobra"
)

// What the sandbox's one application is called; none of it is secret.
const (
	sandboxAppID   = sandbox.DefaultAppID
	sandboxAuthKey = sandbox.DefaultAuthKey

	sandboxAdminKey = sandbox.DefaultAdminKey
)

// openSandbox starts a ConnectyCube that asks this server about logins, by the
// settings that the README recommends for a real application's dashboard. What
// it holds outlives the process, as the database does that refers to it.
func (s *Server) openSandbox() error {
	if err := os.MkdirAll(s.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	return s.listenSandbox(sandbox.Options{
		CIdP:     providerAt(s.localURL(s.apiListener)+VerifyPath, s.callbackSecret),
		DataFile: filepath.Join(s.cfg.DataDir, "sandbox.json"),
	}, nil)
}

// providerAt are the settings of an identity provider as the README recommends
// them. Without a secret the sandbox sends none.
func providerAt(url string, secret tokens.Secret) sandbox.CIdP {
	var headers map[string]string
	if !secret.IsZero() {
		headers = map[string]string{resolvers.CallbackSecretHeader: secret.Reveal()}
	}
	return sandbox.CIdP{
		Headers:        headers,
		Enabled:        true,
		Method:         http.MethodPost,
		URL:            url,
		RequestParams:  map[string]string{"token": "#{login}", "email": "#{email}", "password": "#{password}"},
		ResponseParams: map[string]string{"uid": "#{user.id}"},
	}
}

// listenSandbox opens a sandbox and its listener, over TLS when there is an authority.
func (s *Server) listenSandbox(o sandbox.Options, authority *certs.Authority) error {
	conns, err := s.newConnections(nil)
	if err != nil {
		return err
	}
	ln, err := s.listen(s.cfg.Sandbox.Host, s.cfg.Sandbox.Port, "SANDBOX_PORT")
	if err != nil {
		return err
	}
	s.sandboxListener = conns.Listen(ln)
	o.AppID, o.AuthKey = sandboxAppID, sandboxAuthKey
	o.ChatDomain = s.cfg.ConnectyCube.ChatDomain
	o.ControlToken = s.cfg.Sandbox.ControlToken.Reveal()
	o.Names = sandboxNames(s.cfg)
	o.Log = s.log
	box, err := sandbox.Open(o)
	if err != nil {
		return fmt.Errorf("the sandbox: %w", err)
	}
	s.onClose(func(context.Context) error { return box.Close() })
	s.sandbox = &http.Server{
		Handler:           middleware.Discard(box),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         conns.Track,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if authority != nil {
		s.sandbox.TLSConfig = authority.TLS()
	}
	return nil
}

// sandboxNames lists the names, beside localhost, under which the sandbox is
// known to be reached: those of the settings, and this machine's own.
func sandboxNames(cfg config.Config) []string {
	names := append([]string{cfg.Sandbox.Host}, cfg.Sandbox.Names...)
	if chat, err := url.Parse(cfg.ConnectyCube.ChatURL); err == nil && chat.Host != "" {
		names = append(names, chat.Host)
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		names = append(names, host, strings.TrimSuffix(host, ".local")+".local")
	}
	return names
}

// serveSandbox answers for the sandbox until it is closed.
func (s *Server) serveSandbox() error {
	if s.sandbox.TLSConfig != nil {
		return s.sandbox.ServeTLS(s.sandboxListener, "", "")
	}
	return s.sandbox.Serve(s.sandboxListener)
}

func (p process) sandboxCommand() *cobra.Command {
	var secure bool
	var data string
	cmd := &cobra.Command{
		Use:   "sandbox [--tls] [--data FILE]",
		Short: "runs the ConnectyCube sandbox alone: no database, no server beside it",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.run(cmd.Context(), sandboxAlone(secure, data))
		},
	}
	cmd.Flags().BoolVar(&secure, "tls", false, "serve HTTPS and WSS, with certificates from an authority in DATA_DIR")
	cmd.Flags().StringVar(&data, "data", "", "`file` that keeps the sandbox's state; without it the state ends with the process")
	cmd.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveDefault) // file names for --data
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// sandboxAlone runs a sandbox without a server, for the development of an app.
// An empty data keeps the state in memory alone.
func sandboxAlone(secure bool, data string) commandFunc {
	return func(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
		limitGoMemory(ctx, os.DirFS("/"), log)
		s := &Server{cfg: cfg, log: log}
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
		if err := s.listenSandbox(o, authority); err != nil {
			return err
		}
		if err := s.sandboxBanner(stdout, data, authority); err != nil {
			return err
		}
		return s.serveAlone(ctx)
	}
}

// openAuthority names its folder in full, so that what is printed can be pasted
// anywhere.
func openAuthority(dataDir string) (*certs.Authority, error) {
	folder, err := filepath.Abs(filepath.Join(dataDir, "sandbox-ca"))
	if err != nil {
		return nil, err
	}
	return certs.Open(folder)
}

func (s *Server) serveAlone(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.serveSandbox() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(s.cfg.ShutdownTimeout, 5*time.Second))
	defer cancel()
	if err := s.sandbox.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		return s.sandbox.Close() // a fault may hold a request for a minute
	}
	return nil
}

//go:embed banner.txt
var sandboxBannerText string

var sandboxBanner = template.Must(template.New("").Parse(sandboxBannerText))

// sandboxBanner tells a person how to point an app at the sandbox.
func (s *Server) sandboxBanner(w io.Writer, data string, authority *certs.Authority) error {
	scheme, socket := "http", "ws"
	if authority != nil {
		scheme, socket = "https", "wss"
	}
	port := strconv.Itoa(s.sandboxListener.Addr().(*net.TCPAddr).Port)
	host := s.sandboxListener.Addr().(*net.TCPAddr).IP
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
	phone := shown // what a device of its own can reach
	if len(others) > 0 {
		phone = others[0]
	}
	said := map[string]any{
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
		said["CA"] = authority
	}
	return sandboxBanner.Execute(w, said)
}
