package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"cubegate/connectycube/sandbox"
	"cubegate/middleware"
	"cubegate/server/config"

	_ "embed"

	"github.com/spf13/cobra"
)

func (p process) sandboxCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "sandbox [--lan] [--tls] [--data FILE]",
		Short: "runs the ConnectyCube sandbox alone: no database, no server beside it",
	}
	with := p.addListenerFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return with().run(cmd.Context(), sandboxAlone(data))
	}
	cmd.Flags().StringVar(&data, "data", "", "`file` that keeps the sandbox's state; without it the state ends with the process")
	cmd.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveDefault) // file names for --data
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// sandboxAlone runs a sandbox without a server, for the development of an app. If
// data is empty, the state is only in memory.
func sandboxAlone(data string) commandFunc {
	return func(ctx context.Context, cfg config.Config, stdout io.Writer, log *slog.Logger) (err error) {
		logNotices(ctx, cfg, log)
		limitGoMemory(ctx, ownMemoryLimit(), log)
		cfg.ShutdownTimeout = min(cfg.ShutdownTimeout, 5*time.Second)  // a fault may hold a request for a minute
		if err := os.MkdirAll(filepath.Dir(data), 0o700); err != nil { // "." without a file
			return fmt.Errorf("--data: %w", err)
		}
		s := newSetup(cfg, log)
		s.notes.out = stdout
		defer func() { err = errors.Join(err, s.Close()) }()
		if s.authority, err = openAuthority(cfg); err != nil {
			return err
		}
		o := sandbox.Options{DataFile: data}
		if cfg.Sandbox.CIDPURL != "" {
			o.CIdP = providerAt(cfg.Sandbox.CIDPURL, cfg.ConnectyCube.CIDPSecret)
		}
		if s.api, err = s.listenSandbox(o); err != nil {
			return err
		}
		if err := logSandboxRequests(s); err != nil {
			return err
		}
		if err := s.sandboxBanner(stdout, data); err != nil {
			return err
		}
		return s.serve(ctx)
	}
}

// controlPath begins the paths of the sandbox's control area, which its page polls.
const controlPath = "/_sandbox/"

// logSandboxRequests makes a sandbox without a server log each request, except those of its
// own page.
func logSandboxRequests(s *setup) error {
	clientIP, err := middleware.ClientIP(nil, middleware.XForwardedFor, s.log)
	if err != nil {
		return err
	}
	requests := middleware.NewRequestLog(s.log, requestLevel(controlPath+"*"))
	s.onClose(func(context.Context) error { requests.Close(); return nil })
	s.api.server.Handler = middleware.RequestID(clientIP(requests.Middleware(s.api.server.Handler)))
	return nil
}

//go:embed banner.txt
var sandboxBannerText string

var sandboxBanner = template.Must(template.New("").Funcs(template.FuncMap{"chat": chatURL, "indented": indented}).Parse(sandboxBannerText))

// indented moves all lines but the first to the right.
func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// sandboxBanner prints how to connect an app to the sandbox.
func (s *Server) sandboxBanner(w io.Writer, data string) error {
	shown, others := s.api.shownURL(), urlsOfOthers(s.cfg, s.api)
	fields := map[string]any{
		"URL":     shown,
		"ChatURL": chatURL(shown),
		"Phone":   append(others, shown)[0], // the address for another device
		"Rest":    s.api.scheme() + "://",
		"Others":  others,
		"Port":    strconv.Itoa(s.api.addr().Port),
		"Snippet": sandbox.Snippet{
			AppID: sandboxAppID, Key: sandboxAuthKey, URL: shown, Chat: chatURL(shown), Domain: s.cfg.ConnectyCube.ChatDomain,
		}.String(),
		"AppID":   sandboxAppID,
		"AuthKey": sandboxAuthKey,
		"Domain":  s.cfg.ConnectyCube.ChatDomain,
		"Data":    data,
		"CIdP":    s.cfg.Sandbox.CIDPURL,
		"Local":   s.api.addr().IP.IsLoopback(),
		"Token":   !s.cfg.Sandbox.ControlToken.IsZero(),
	}
	if s.authority != nil {
		fields["CA"] = s.authority
	}
	return sandboxBanner.Execute(w, fields)
}

// chatURL returns the URL of the chat of a sandbox.
func chatURL(sandboxURL string) string {
	return strings.Replace(sandboxURL, "http", "ws", 1) + sandbox.ChatPath
}
