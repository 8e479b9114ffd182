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
var clientsText string

// clients tells how to connect each kind of client. A line that begins with a blank is code.
var clients = template.Must(template.New("").Funcs(template.FuncMap{"indented": indented}).Parse(clientsText))

// indented moves all lines but the first to the right.
func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// sandboxBanner prints what runs, and how to connect an app to it.
func (s *Server) sandboxBanner(w io.Writer, data string) error {
	shown, others := s.api.shownURL(), urlsOfOthers(s.cfg, s.api)
	fmt.Fprint(w, "\nThe ConnectyCube sandbox is ready.\n\n")
	printRows(w, 16, s.sandboxFacts(shown, others, data))
	if s.authority != nil {
		trust := "devices must trust this authority once"
		if s.authority.Made() {
			trust += ", which was made just now"
		}
		fmt.Fprintf(w, "\nTLS: %s\n\n", trust)
		printRows(w, 16, s.authorityRows(shown))
	}
	var text strings.Builder
	err := clients.Execute(&text, map[string]any{
		"URL":   shown,
		"Phone": append(others, shown)[0], // the address for another device
		"Rest":  s.api.scheme() + "://",
		"Port":  strconv.Itoa(s.api.addr().Port),
		"Snippet": sandbox.Snippet{
			AppID: sandboxAppID, Key: sandboxAuthKey, URL: shown, Chat: chatURL(shown), Domain: s.cfg.ConnectyCube.ChatDomain,
		}.String(),
		"AppID":   sandboxAppID,
		"AuthKey": sandboxAuthKey,
		"Domain":  s.cfg.ConnectyCube.ChatDomain,
		"CA":      s.authority,
	})
	for line := range strings.Lines(text.String()) {
		if strings.HasPrefix(line, " ") {
			fmt.Fprint(w, line)
			continue
		}
		fmt.Fprintln(w, strings.Join(wrap(line, bannerColumns), "\n"))
	}
	return err
}

// sandboxFacts are the rows that say where the sandbox is, and how it behaves.
func (s *Server) sandboxFacts(shown string, others []string, data string) [][2]string {
	urls := append([]string{shown}, others...)
	rows := urlRows("REST API", urls, "")
	for i := range urls {
		urls[i] = chatURL(urls[i])
	}
	rows = append(rows, urlRows("Chat", urls, "")...)
	state, logins := "in memory, forgotten at the end; --data FILE keeps it", "by password, unknown users are created; SANDBOX_CIDP_URL asks your own server"
	if data != "" {
		state = "kept in " + data
	}
	if s.cfg.Sandbox.CIDPURL != "" {
		logins = "asked of " + s.cfg.Sandbox.CIDPURL
	}
	rows = append(rows,
		[2]string{"Application", fmt.Sprintf("%d, key %s", sandboxAppID, sandboxAuthKey)},
		[2]string{"Dashboard", shown + "/"},
		[2]string{"Control area", shown + controlPath + " (clock, faults, seed, reset, journal)"},
		[2]string{"State", state}, [2]string{"Logins", logins})
	if s.api.addr().IP.IsLoopback() {
		flags := "--lan and --tls let"
		if s.authority != nil {
			flags = "--lan lets"
		}
		rows = append(rows, [2]string{"Other devices", "cannot reach it: " + flags + " phones in."})
	}
	if s.cfg.Sandbox.ControlToken.IsZero() {
		rows = append(rows, [2]string{"Other machines", "may open neither the dashboard nor the control area; SANDBOX_CONTROL_TOKEN lets them."})
	}
	return rows
}

// authorityRows say how each kind of device comes to trust the authority.
func (s *Server) authorityRows(shown string) [][2]string {
	file := s.authority.File()
	return [][2]string{
		{"Certificate", file}, {"", "also at " + shown + controlPath + "ca.pem"},
		{"SHA-256", s.authority.Fingerprint()},
		{"Android", "Settings, Security, Encryption & credentials, Install a certificate, CA certificate. The app must allow it in debug builds:"},
		{"", "<network-security-config><debug-overrides>"}, {"", `<trust-anchors><certificates src="user"/></trust-anchors>`}, {"", "</debug-overrides></network-security-config>"},
		{"", fmt.Sprintf("The emulator reaches this machine as https://10.0.2.2:%d, which the certificate has.", s.api.addr().Port)},
		{"iOS", "open the .pem on the device, install the profile, then switch it on in Settings, General, About, Certificate Trust Settings"},
	}
}

// chatURL returns the URL of the chat of a sandbox.
func chatURL(sandboxURL string) string {
	return strings.Replace(sandboxURL, "http", "ws", 1) + sandbox.ChatPath
}
