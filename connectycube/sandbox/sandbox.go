package sandbox

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/sandbox/control"
	"cubegate/connectycube/sandbox/core"
	"cubegate/connectycube/sandbox/rest"
)

// Defaults of Options, also in the README of anything that starts a sandbox.
const (
	DefaultAppID      = 1001
	DefaultAuthKey    = "sandbox-auth-key"
	DefaultAdminKey   = "sandbox-api-key"
	DefaultChatDomain = chat.DefaultDomain

	ChatPath = "/chat" // where the chat's WebSocket is
)

// Options configure a Sandbox. The zero value works.
type Options struct {
	AppID   int64     // default DefaultAppID
	AuthKey string    // default DefaultAuthKey
	CIdP    core.CIdP // default: off

	AdminKey   string // of the administration API; default DefaultAdminKey
	ChatDomain string // of JIDs, rooms have muc. before it; default DefaultChatDomain

	// DialogExtensions are the keys that a dialog's extensions may have, others
	// are left out; the service has them in its dashboard. Empty: any three.
	DialogExtensions []string

	// DenyAutoCreate makes a login of an unknown user a 404. By default, as in
	// a new application, it creates the user.
	DenyAutoCreate bool

	// V1Users switches the first users API on: lists and look-ups by name. A new
	// application has it off, and refuses them.
	V1Users bool

	// HTTP makes the call-backs to the identity provider; default a client of
	// our own. It is copied, and the copy follows no redirects. A call-back ends
	// after 5 seconds in any case.
	HTTP *http.Client

	// ControlToken lets callers that are not on this machine use /_sandbox/,
	// sent as X-Sandbox-Token. Empty: only callers on this machine may.
	ControlToken string

	// Names are those under which callers on this machine, or a proxy there, reach
	// the sandbox, beside localhost, names below it and IP addresses. Over loopback
	// it answers to no other: see IsAddressed.
	Names []string

	// Certificate, in PEM, is what callers must trust to reach the sandbox; it is
	// offered at /_sandbox/ca.pem to everyone. Default: none.
	Certificate []byte

	// DataFile is where Open keeps the state between runs, as far as the package
	// comment says; "": nowhere. It is for one process at a time, which it tells
	// by a second file, DataFile.lock.
	DataFile string

	Log *slog.Logger // what the sandbox cannot say to a caller; default: nothing is logged

	MaxUsers    int // default 100000, at most 1000000; beyond it, or 256 MiB, sign-ups get 503
	MaxSessions int // default 100000, at most 1000000; beyond it the longest unused session ends

	MaxDialogs        int // default 10000, at most 1000000; beyond it, or 128 MiB, the longest quiet dialog goes
	MaxMessages       int // default 100000, at most 1000000; beyond it, or 1.25 KiB for each, the oldest go
	MaxDialogMessages int // of one dialog; default 10000, at most 1000000; beyond it its oldest go

	// MaxBlobBytes bounds all uploaded files, and those being uploaded or
	// downloaded, together; default 128 MiB, at most 8 GiB. Beyond it the oldest
	// files go, and an upload that finds no room gets 503 SlowDown.
	MaxBlobBytes int64
}

// Sandbox is one ConnectyCube application. It is an http.Handler; giving it a
// listener is its owner's business. It is safe for concurrent use.
type Sandbox struct {
	*core.Application
	api  *rest.API
	area *control.Area
	chat *chat.Server // never calls back from what is called under the lock
}

// New makes an empty sandbox. It panics when o.CIdP.Validate fails: whoever
// builds the settings from input validates them first. It also panics when
// o.DataFile is set, which is for Open.
func New(o Options) *Sandbox {
	if err := o.CIdP.Validate(); err != nil {
		panic(err)
	}
	if o.DataFile != "" {
		panic("sandbox: a sandbox with a DataFile is made by Open")
	}
	s := &Sandbox{Application: core.New(core.Options{
		AppID:             cmp.Or(o.AppID, DefaultAppID),
		AuthKey:           cmp.Or(o.AuthKey, DefaultAuthKey),
		AdminKey:          cmp.Or(o.AdminKey, DefaultAdminKey),
		ChatDomain:        cmp.Or(o.ChatDomain, DefaultChatDomain),
		CIdP:              o.CIdP,
		Dashboard:         core.Settings{DenyAutoCreate: o.DenyAutoCreate, V1Users: o.V1Users, DialogExtensions: o.DialogExtensions},
		Log:               o.Log,
		MaxUsers:          o.MaxUsers,
		MaxSessions:       o.MaxSessions,
		MaxDialogs:        o.MaxDialogs,
		MaxMessages:       o.MaxMessages,
		MaxDialogMessages: o.MaxDialogMessages,
		MaxBlobBytes:      o.MaxBlobBytes,
	})}
	s.chat = chat.New(chat.Options{
		AppID:    cmp.Or(o.AppID, DefaultAppID),
		Domain:   cmp.Or(o.ChatDomain, DefaultChatDomain),
		Accounts: core.NewAccounts(s.Application),
		Archive:  history{s},
		Tap:      s.tap,
		Fault:    s.chatFault,
	})
	s.Connect(s.chat, s.sockets)
	s.api = rest.New(s.Application, rest.Options{HTTP: o.HTTP, Notifier: notifier{s}, Online: s.chat.Online})
	s.area = control.New(s.Application, control.Options{
		Token:       o.ControlToken,
		Names:       o.Names,
		Headers:     o.CIdP.Clone().Headers,
		Certificate: o.Certificate,
		Origin:      rest.OriginOf,
		Drop:        s.Drop,
		HalfOpen:    s.HalfOpen,
	})
	return s
}

// Open is New for a sandbox that keeps its state in o.DataFile between runs, if
// that is set; its folder must exist. The sandbox must be closed. A file that
// cannot be understood is an error and stays as it is.
func Open(o Options) (*Sandbox, error) {
	if err := o.CIdP.Validate(); err != nil {
		return nil, err
	}
	file := o.DataFile
	o.DataFile = ""
	s := New(o)
	if file == "" {
		return s, nil
	}
	if err := s.Keep(file); err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends the chat's connections and writes the state for the last time. The
// error is that of writing. A sandbox of New needs no closing; closing twice is
// no error.
func (s *Sandbox) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.chat.Shutdown(ctx) // who is not gone by then is cut off with the process
	return s.Application.Close()
}

var errWrongHost = core.AsList(403, "The sandbox does not answer to this Host: use localhost or an IP address, or add the name to SANDBOX_NAMES") // our own

// ServeHTTP answers the REST API, the chat's WebSocket at ChatPath, the page for
// people at /, and /_sandbox/ for those who may use it.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.area.IsAddressed(r) {
		noSniff(w.Header())
		rest.Refuse(w, errWrongHost)
		return
	}
	s.serve(w, r)
}

// serve is ServeHTTP for requests that may name any host, as those of Client do.
func (s *Sandbox) serve(w http.ResponseWriter, r *http.Request) {
	noSniff(w.Header())
	if control.Serves(r.URL.Path) || r.URL.Path == "/" {
		s.area.ServeHTTP(w, r)
		return
	}
	rest.AllowBrowsers(w.Header())
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusOK) // not 204: the Dart SDK takes that for a failure
		return
	}
	if r.URL.Path == ChatPath {
		s.chat.ServeHTTP(w, r)
		return
	}
	s.api.ServeHTTP(w, r)
}

// noSniff keeps browsers from taking an answer for another type than it says.
func noSniff(h http.Header) { h.Set("X-Content-Type-Options", "nosniff") }
