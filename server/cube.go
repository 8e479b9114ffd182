package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"cubegate/connectycube"
	"cubegate/connectycube/sandbox"
	"cubegate/middleware"
	"cubegate/resolvers"
	"cubegate/server/config"
	"cubegate/tokens"
)

// The ID and the keys of the sandbox's only application. They are no secrets.
const (
	sandboxAppID   = sandbox.DefaultAppID
	sandboxAuthKey = sandbox.DefaultAuthKey

	sandboxAdminKey = sandbox.DefaultAdminKey
)

// openCube builds the client of ConnectyCube. Without an application, it starts the
// sandbox and builds the client of that.
func (s *setup) openCube() error {
	o := cubeOptions(s.cfg, s.log)
	o.Traceparent, o.Observe = middleware.Traceparent, s.metrics.exchange
	if s.cfg.HasSandbox() {
		if err := s.openSandbox(); err != nil {
			return err
		}
		if s.authority != nil {
			o.RootCAs = rootsWith(s.authority.PEM())
		}
		o = ofSandbox(o, s.sandbox.localURL())
	}
	s.chat = endpointsOfApps(s.cfg, s.sandbox, o)
	return connectCube(s, o)
}

// cubeOptions returns the client's options for the application of the settings.
func cubeOptions(cfg config.Config, log *slog.Logger) connectycube.Options {
	return connectycube.Options{
		BaseURL: cfg.ConnectyCube.APIURL,
		AppID:   int64(cfg.ConnectyCube.AppID),
		AuthKey: cfg.ConnectyCube.AuthKey.Reveal(),
		Timeout: cfg.ConnectyCube.Timeout,

		AdminKey: cfg.ConnectyCube.AdminKey.Reveal(),
		Log:      log,
	}
}

// ofSandbox returns the options for the sandbox at url.
func ofSandbox(o connectycube.Options, url string) connectycube.Options {
	o.BaseURL, o.AppID, o.AuthKey, o.AdminKey = url, sandboxAppID, sandboxAuthKey, sandboxAdminKey
	return o
}

// connectCube builds the client.
func connectCube(s *setup, o connectycube.Options) error {
	var err error
	if s.cube, err = connectycube.New(o); err != nil {
		return fmt.Errorf("APP_ID, AUTH_KEY: %w", err)
	}
	s.onClose(func(context.Context) error { s.cube.Close(); return nil })
	return nil
}

// endpointsOfApps returns where apps find ConnectyCube. They may run on other machines, so
// the sandbox's host is the one of the settings, or else the one at which an app reached
// the server.
func endpointsOfApps(cfg config.Config, box *endpoint, o connectycube.Options) resolvers.ChatEndpoints {
	e := resolvers.ChatEndpoints{
		AppID:  o.AppID,
		APIURL: o.BaseURL,
		Domain: cfg.ConnectyCube.ChatDomain,
		URL:    cfg.ConnectyCube.ChatURL,
	}
	if box == nil {
		return e
	}
	if e.APIURL = cfg.Sandbox.PublicURL; e.APIURL != "" {
		return e
	}
	e.APIURL = box.localURL()
	// Clients reach a sandbox on another single address under that address only.
	ip := box.addr().IP
	e.FollowsClient = ip.IsUnspecified() || ip.Equal(net.IPv4(127, 0, 0, 1)) || ip.Equal(net.IPv6loopback)
	return e
}

// openSandbox starts a sandbox that asks this server about logins, with the settings
// that docs/identity-provider.md recommends for a real application. Its state outlives
// the process, because the database refers to it.
func (s *setup) openSandbox() error {
	if err := os.MkdirAll(s.cfg.DataDir, 0o700); err != nil {
		return explainFolder(s.cfg, err)
	}
	var err error
	s.sandbox, err = s.listenSandbox(sandbox.Options{
		CIdP:     providerAt(s.api.localURL()+VerifyPath, s.callbackSecret),
		DataFile: filepath.Join(s.cfg.DataDir, "sandbox.json"),
		Server:   s.api.shownURL(),
	})
	return err
}

// providerAt returns the identity provider's settings that docs/identity-provider.md
// recommends. If secret is empty, the sandbox sends none.
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

// listenSandbox opens a sandbox and its endpoint.
func (s *setup) listenSandbox(o sandbox.Options) (*endpoint, error) {
	e, err := s.listen(listenerSetting{"SANDBOX_HOST", "SANDBOX_PORT", s.cfg.Sandbox.Host, s.cfg.Sandbox.Port}, nil)
	if err != nil {
		return nil, err
	}
	o.AppID, o.AuthKey = sandboxAppID, sandboxAuthKey
	o.ChatDomain = s.cfg.ConnectyCube.ChatDomain
	o.ControlToken = s.cfg.Sandbox.ControlToken.Reveal()
	o.Names = sandboxNames(s.cfg)
	o.Log = s.log
	o.Reachable = func() []string { return urlsOfOthers(s.cfg, e) }
	if s.authority != nil {
		o.Certificate = s.authority.PEM()
		o.HTTP = clientTrusting(o.Certificate)
	}
	opened, err := sandbox.Open(o)
	if err != nil {
		return nil, fmt.Errorf("the sandbox: %w", err)
	}
	s.onClose(func(context.Context) error { return opened.Close() })
	s.requests.OnClose(opened.HangUp)
	e.server.Handler = middleware.Discard(opened)
	return e, nil
}

// sandboxNames lists the names, beside localhost, at which clients may reach the
// sandbox: those of the settings, and those of this machine.
func sandboxNames(cfg config.Config) []string {
	names := append([]string{cfg.Sandbox.Host}, cfg.Sandbox.Names...)
	for _, at := range []string{cfg.ConnectyCube.ChatURL, cfg.Sandbox.PublicURL} {
		if u, err := url.Parse(at); err == nil && u.Host != "" {
			names = append(names, u.Host)
		}
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		names = append(names, host, strings.TrimSuffix(host, ".local")+".local")
	}
	return names
}
