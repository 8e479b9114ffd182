package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"text/template"
	"time"

	"cubegate/connectycube/sandbox"
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
		limitGoMemory(ctx, os.DirFS("/"), log)
		cfg.ShutdownTimeout = min(cfg.ShutdownTimeout, 5*time.Second) // a fault may hold a request for a minute
		s := newSetup(cfg, log)
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
		if err := s.sandboxBanner(stdout, data); err != nil {
			return err
		}
		return s.serve(ctx)
	}
}

//go:embed banner.txt
var sandboxBannerText string

var sandboxBanner = template.Must(template.New("").Funcs(template.FuncMap{"chat": chatURL}).Parse(sandboxBannerText))

// sandboxBanner prints how to connect an app to the sandbox.
func (s *Server) sandboxBanner(w io.Writer, data string) error {
	shown, others := s.api.shownURL(), urlsOfOthers(s.cfg, s.api)
	fields := map[string]any{
		"URL":     shown,
		"Host":    strings.TrimPrefix(shown, s.api.scheme()+"://"),
		"ChatURL": chatURL(shown),
		"Phone":   append(others, shown)[0], // the address for another device
		"Rest":    s.api.scheme() + "://",
		"Others":  others,
		"Port":    strconv.Itoa(s.api.addr().Port),
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
