package server

import (
	"context"
	"errors"
	"flag"
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
func (p *program) openSandbox() error {
	if err := os.MkdirAll(p.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	return p.openBox(sandbox.Options{
		CIdP:     providerAt(p.local(p.apiAt)+verifyPath, p.callbackSecret),
		DataFile: filepath.Join(p.cfg.DataDir, "sandbox.json"),
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

// openBox opens a sandbox and its listener, over TLS when there is an authority.
func (p *program) openBox(o sandbox.Options, authority *certs.Authority) error {
	conns, err := p.newConnections(nil)
	if err != nil {
		return err
	}
	ln, err := p.listen(p.cfg.Sandbox.Host, p.cfg.Sandbox.Port, "SANDBOX_PORT")
	if err != nil {
		return err
	}
	p.boxAt = conns.Listen(ln)
	o.AppID, o.AuthKey = sandboxAppID, sandboxAuthKey
	o.ChatDomain = p.cfg.ConnectyCube.ChatDomain
	o.ControlToken = p.cfg.Sandbox.ControlToken.Reveal()
	o.Names = sandboxNames(p.cfg)
	o.Log = p.log
	box, err := sandbox.Open(o)
	if err != nil {
		return fmt.Errorf("the sandbox: %w", err)
	}
	p.onClose(func(context.Context) error { return box.Close() })
	p.box = &http.Server{
		Handler:           middleware.Discard(box),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         conns.Track,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	if authority != nil {
		p.box.TLSConfig = authority.TLS()
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

// serveBox answers for the sandbox until it is closed.
func (p *program) serveBox() error {
	if p.box.TLSConfig != nil {
		return p.box.ServeTLS(p.boxAt, "", "")
	}
	return p.box.Serve(p.boxAt)
}

// sandboxAlone is the command for who develops an app and has, or wants, no
// server beside it.
func sandboxAlone(flags *flag.FlagSet) runner {
	secure := flags.Bool("tls", false, "")
	data := flags.String("data", "", "")
	return func(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
		limitGoMemory(ctx, os.DirFS("/"), log)
		p := &program{cfg: cfg, log: log}
		defer func() { err = errors.Join(err, p.close()) }()
		var authority *certs.Authority
		if *secure {
			if authority, err = openAuthority(cfg.DataDir); err != nil {
				return fmt.Errorf("--tls: %w", err)
			}
		}
		o := sandbox.Options{DataFile: *data}
		if authority != nil {
			o.Certificate = authority.PEM()
		}
		if cfg.Sandbox.CIDPURL != "" {
			o.CIdP = providerAt(cfg.Sandbox.CIDPURL, cfg.ConnectyCube.CIDPSecret)
		}
		if err := p.openBox(o, authority); err != nil {
			return err
		}
		if err := p.sandboxBanner(stdout, *data, authority); err != nil {
			return err
		}
		return p.serveAlone(ctx)
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

func (p *program) serveAlone(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- p.serveBox() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(p.cfg.ShutdownTimeout, 5*time.Second))
	defer cancel()
	if err := p.box.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		return p.box.Close() // a fault may hold a request for a minute
	}
	return nil
}

//go:embed banner.txt
var sandboxBannerText string

var sandboxBanner = template.Must(template.New("").Parse(sandboxBannerText))

// sandboxBanner tells a person how to point an app at the sandbox.
func (p *program) sandboxBanner(w io.Writer, data string, authority *certs.Authority) error {
	scheme, socket := "http", "ws"
	if authority != nil {
		scheme, socket = "https", "wss"
	}
	port := strconv.Itoa(p.boxAt.Addr().(*net.TCPAddr).Port)
	host := p.boxAt.Addr().(*net.TCPAddr).IP
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
		"Domain":  p.cfg.ConnectyCube.ChatDomain,
		"Data":    data,
		"CIdP":    p.cfg.Sandbox.CIDPURL,
		"Local":   host.IsLoopback(),
		"Token":   !p.cfg.Sandbox.ControlToken.IsZero(),
	}
	if authority != nil {
		said["CA"] = authority
	}
	return sandboxBanner.Execute(w, said)
}
