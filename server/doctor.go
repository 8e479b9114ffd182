package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"cubegate/connectycube"
	"cubegate/resolvers/identity"
	"cubegate/server/config"
	"cubegate/tokens"
)

// The states of a finding. Only stateFailed makes the exit status 1.
const (
	stateOK      = "ok"
	stateWarning = "warning"
	stateFailed  = "failed"
	stateSkipped = "skipped"
)

// finding is the result of one check: one cause and one cure, or what was found.
type finding struct {
	Check  string  `json:"check"`
	State  string  `json:"state"`
	Found  string  `json:"found,omitempty"` // of a check that is ok, or why it was skipped
	Cause  string  `json:"cause,omitempty"`
	Cure   string  `json:"cure,omitempty"`
	TookMS float64 `json:"took_ms"`

	parts []finding // in place of this one
}

func found(format string, args ...any) finding {
	return finding{State: stateOK, Found: fmt.Sprintf(format, args...)}
}

// noServer is why a check is skipped that needs the server, or the sandbox inside it.
const noServer = "no server runs"

func skipped(reason string) finding { return finding{State: stateSkipped, Found: reason} }

func failedBy(cause, cure string) finding {
	return finding{State: stateFailed, Cause: cause, Cure: cure}
}

func warningOf(cause, cure string) finding {
	return finding{State: stateWarning, Cause: cause, Cure: cure}
}

// doctor checks a set-up. It prints no secret. It writes nothing, except that ConnectyCube
// makes an account for the user of the check, which the doctor deletes.
type doctor struct {
	*commandSetup
	list []finding

	issuer *tokens.Issuer
	probe  string // a service ticket of the user of the check
	decoy  string // password of an account that must not exist

	serverRuns  bool
	seen        string // the client IP that the server at PUBLIC_URL sees; empty: not known
	publicFault string // why ConnectyCube cannot reach PUBLIC_URL; empty: none known
	keyAccepted bool
	account     *connectycube.Session // of the user of the check at ConnectyCube
}

// The checks, by what they ask: this machine and the database, the server and what is in
// front of it, and ConnectyCube.
type (
	localChecks struct{ *doctor }
	webChecks   struct{ *doctor }
	cubeChecks  struct{ *doctor }
)

// checkup is one check and the longest time that it may take.
type checkup struct {
	name  string
	limit time.Duration
	run   func(context.Context) finding
}

// cleanUpWait is how long a check may take after its limit to remove what it has made.
const cleanUpWait = 5 * time.Second

// checkLimit is for checks that ask neither ConnectyCube nor the database.
const checkLimit = 15 * time.Second

// checkups returns the checks in their order: later ones use what earlier ones have found.
func (d *doctor) checkups() []checkup {
	local, web, asked := localChecks{d}, webChecks{d}, cubeChecks{d}
	database := 3*d.cfg.Mongo.Timeout + checkLimit
	cube := 4*d.cfg.ConnectyCube.Timeout + checkLimit
	return []checkup{
		{"settings", checkLimit, local.checkNotices},
		{"data folder", checkLimit, local.checkDataDir},
		{"secrets", checkLimit, local.checkSecrets},
		{"signing keys", checkLimit, local.checkKeys},
		{"database", database, local.checkDatabase},
		{"server", checkLimit, web.checkServer},
		{"public URL", checkLimit, web.checkPublicURL},
		{"proxy", checkLimit, web.checkProxy},
		{"CORS", checkLimit, web.checkCORS},
		{"connectycube key", cube, asked.checkKey},
		{"V1 look-ups", cube, asked.checkV1},
		{"unknown users", cube, asked.checkDeny},
		{"identity provider", cube, asked.checkProvider},
		{"admin key", cube, asked.checkAdminKey},
		{"clean-up", cube, asked.cleanUp},
	}
}

// run runs all checks.
func (d *doctor) run(ctx context.Context) {
	hangs := false
	for _, c := range d.checkups() {
		if hangs { // the check may still use what this one needs
			d.list = append(d.list, skipped("an earlier check hangs").named(c.name))
			continue
		}
		var results []finding
		results, hangs = d.examine(ctx, c)
		d.list = append(d.list, results...)
	}
}

// examine runs one check. One that does not return in time has failed, and hangs; its
// goroutine ends with the process.
func (d *doctor) examine(ctx context.Context, c checkup) (results []finding, hangs bool) {
	within, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	begun := time.Now()
	done := make(chan finding, 1)
	go func() { done <- c.run(within) }()
	var f finding
	select {
	case f = <-done:
	case <-within.Done():
		select {
		case f = <-done:
		case <-time.After(cleanUpWait): // for a check that ends with its context
			hangs = true
			f = failedBy(fmt.Sprintf("the check has no result after %s", c.limit), "look at the machine: its disk or its network hangs")
		}
	}
	if f.parts == nil {
		f.parts = []finding{f.named(c.name)}
	}
	for i := range f.parts {
		f.parts[i].TookMS = milliseconds(time.Since(begun))
	}
	return f.parts, hangs
}

func (f finding) named(check string) finding {
	f.Check = check
	return f
}

// checkNotices reports variables that look like misspelled settings.
func (d localChecks) checkNotices(context.Context) finding {
	for _, n := range noticesOf(d.cfg) {
		return warningOf(n.Variable+": "+n.Text, "set "+n.Setting+" instead; \"cubegate help "+n.Setting+"\" explains it")
	}
	return found("loaded")
}

// openTools opens what the checks need: the secret, tokens and the client of ConnectyCube.
func (d localChecks) openTools() finding {
	if err := d.cfg.EnsureSecret(false); err != nil {
		return failedBy(err.Error(), "set JWT_SECRET to the server's, or give this command the server's DATA_DIR")
	}
	ring, err := newRing(d.cfg)
	if err == nil {
		d.issuer, _, err = d.openTokens(ring)
	}
	if err == nil {
		d.decoy = ring.DerivedPasswords(identity.ProbeID)[0].Password
		d.probe, err = d.issuer.ServiceTicket(tokens.ServiceGrant{Subject: identity.ProbeID, Email: identity.ProbeEmail})
	}
	if err != nil {
		return failedBy(err.Error(), "correct the setting; \"cubegate help JWT_SECRET\" and \"cubegate help JWT_KEYS\" explain them")
	}
	return finding{}
}

// openClient builds the client of ConnectyCube, unless that is a sandbox that does not run.
func (d cubeChecks) openClient() finding {
	switch err := d.openRunningCube(); {
	case err == nil:
		return finding{}
	case d.cfg.HasSandbox() && d.running == nil:
		return skipped(noServer)
	default:
		return failedBy(err.Error(), "correct APP_ID, AUTH_KEY and CONNECTYCUBE_API_URL")
	}
}

// send returns the answer of a request to this server or to a proxy in front of it. It
// follows no redirect.
func (d webChecks) send(ctx context.Context, r *http.Request) (*http.Response, error) {
	client, err := d.webClient()
	if err != nil {
		return nil, err
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client.Do(r.WithContext(ctx))
}

// webClient returns a client that also trusts the authority of --tls, if there is one.
func (d webChecks) webClient() (*http.Client, error) {
	if d.running != nil && d.running.isTLS() || d.cfg.TLS {
		return healthClient(withTLS(d.cfg))
	}
	return &http.Client{}, nil
}

func withTLS(cfg config.Config) config.Config {
	cfg.TLS = true
	return cfg
}

// newDoctor prepares the checks. It connects to a running server, if there is one.
func newDoctor(ctx context.Context, cfg config.Config) *doctor {
	d := &doctor{commandSetup: newCommandSetup(cfg, slog.New(slog.DiscardHandler))}
	if cfg.HasEmbeddedDatabase() {
		_, _ = d.findRunning(ctx) // without a server, some checks are skipped
	}
	return d
}

// apiError returns the answer of ConnectyCube in err, or nil.
func apiError(err error) *connectycube.APIError {
	answer, _ := errors.AsType[*connectycube.APIError](err)
	return answer
}
