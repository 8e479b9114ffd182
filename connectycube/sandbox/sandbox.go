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

// Defaults of Options.
const (
	DefaultAppID      = 1001
	DefaultAuthKey    = "sandbox-auth-key"
	DefaultAdminKey   = "sandbox-api-key"
	DefaultChatDomain = chat.DefaultDomain

	ChatPath = "/chat" // of the chat's WebSocket
)

// Options configure a Sandbox. The zero value works.
type Options struct {
	AppID   int64     // default DefaultAppID
	AuthKey string    // default DefaultAuthKey
	CIdP    core.CIdP // default: off

	AdminKey   string // of the administration API; default DefaultAdminKey
	ChatDomain string // of JIDs; the domain of rooms is muc. before it; default DefaultChatDomain

	// DialogExtensions are the allowed keys of a dialog's extensions; the sandbox
	// drops others. The service has them in its dashboard. Empty: any three.
	DialogExtensions []string

	// DenyAutoCreate makes a login of an unknown user a 404. By default, as in
	// a new application, it creates the user.
	DenyAutoCreate bool

	// V1Users turns the first users API on: lists, and look-ups by name. A new
	// application has it off and refuses these calls.
	V1Users bool

	// HTTP makes the callbacks to the identity provider; default a client of our
	// own. New copies it, and the copy follows no redirects. A callback always
	// ends after 5 seconds.
	HTTP *http.Client

	// ControlToken admits clients on other machines to /_sandbox/ if they send it
	// as X-Sandbox-Token. Empty: only clients on this machine may use it.
	ControlToken string

	// Names are host names under which clients on this machine, or a proxy there,
	// reach the sandbox. Over loopback it answers only to them, to localhost, to
	// names below localhost and to IP addresses: see control.Area.IsAddressed.
	Names []string

	// Certificate is the certificate, in PEM, that clients must trust to reach the
	// sandbox; /_sandbox/ca.pem serves it to all. Default: none.
	Certificate []byte

	// Server is the URL of the server that runs beside the sandbox, for the page.
	// Default: there is none.
	Server string

	// Reachable returns the URLs at which other machines reach the sandbox, for the
	// page. Default: there are none.
	Reachable func() []string

	// DataFile is the file in which Open keeps the state between runs; the package
	// comment lists the exceptions. "": none. One process at a time can use it,
	// which a second file, DataFile.lock, ensures.
	DataFile string

	Log *slog.Logger // for failures that concern no client; default none

	MaxUsers    int // default 100000, at most 1000000; beyond it, or 256 MiB, sign-ups get 503
	MaxSessions int // default 100000, at most 1000000; beyond it the longest unused session ends

	MaxDialogs        int // default 10000, at most 1000000; beyond it, or 128 MiB, a new dialog replaces the one without activity for the longest time
	MaxMessages       int // default 100000, at most 1000000; beyond it, or 1.25 KiB for each, new messages replace the oldest
	MaxDialogMessages int // of one dialog; default 10000, at most 1000000; beyond it new messages replace its oldest

	// MaxBlobBytes bounds all uploaded files together, including running uploads
	// and downloads; default 128 MiB, at most 8 GiB. Beyond it new files replace
	// the oldest, and an upload without room gets 503 SlowDown.
	MaxBlobBytes int64
}

// Sandbox is one ConnectyCube application. It is an http.Handler for a listener of
// its owner. It is safe for concurrent use.
type Sandbox struct {
	*core.Application
	api  *rest.API
	area *control.Area
	chat *chat.Server // never calls back from a method that is called under the lock
}

// New returns an empty sandbox. It panics if o.CIdP.Validate returns an error: validate
// settings from input first. It also panics if o.DataFile is set, which requires Open.
func New(o Options) *Sandbox {
	if err := o.CIdP.Validate(); err != nil {
		panic(err)
	}
	if o.DataFile != "" {
		panic("sandbox: a sandbox with a DataFile needs Open")
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
		Changed:  s.Changed,
		Typing:   s.typing,
	})
	s.Connect(s.chat, blockLists{s.chat}, s.sockets)
	s.api = rest.New(s.Application, rest.Options{HTTP: o.HTTP, Notifier: notifier{s}, Online: s.chat.Online})
	s.area = control.New(s.Application, control.Options{
		Token:       o.ControlToken,
		Names:       o.Names,
		Headers:     o.CIdP.Clone().Headers,
		Certificate: o.Certificate,
		Origin:      rest.OriginOf,
		ChatPath:    ChatPath,
		Server:      o.Server,
		Reachable:   o.Reachable,
		Drop:        s.Drop,
		HalfOpen:    s.HalfOpen,
		SignOut:     s.chat.SignOut,
		Deliver:     notifier{s}.Deliver,
		Tell:        notifier{s}.NotifyTyping,
	})
	return s
}

// Open is New for a sandbox that keeps its state in o.DataFile, if that is set; its
// folder must exist. The caller must close the sandbox. If Open cannot read the file,
// it returns an error and leaves the file unchanged.
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

// HangUp ends the chat's connections: each gets the stream error system-shutdown and a
// close frame. HangUp returns when all have ended. If ctx ends first, it cuts the
// remaining ones. The chat refuses new connections from the start.
func (s *Sandbox) HangUp(ctx context.Context) {
	_ = s.chat.Shutdown(ctx) // the error says only that ctx has ended
}

// Close calls HangUp with a limit of 5 seconds and writes the state for the last time.
// The error is that of the write. A sandbox from New needs no Close, and a second call
// is no error.
func (s *Sandbox) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.HangUp(ctx)
	return s.Application.Close()
}

var errWrongHost = core.AsList(403, "The sandbox does not answer to this Host: use localhost or an IP address, or add the name to SANDBOX_NAMES") // our own

// ServeHTTP answers the REST API, the chat's WebSocket at ChatPath, the page at /, and
// /_sandbox/ for the clients that may use it.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.area.IsAddressed(r) {
		noSniff(w.Header())
		rest.Refuse(w, errWrongHost)
		return
	}
	s.serve(w, r)
}

// serve is ServeHTTP for requests with any Host, such as those of Client.
func (s *Sandbox) serve(w http.ResponseWriter, r *http.Request) {
	noSniff(w.Header())
	if control.Serves(r.URL.Path) || r.URL.Path == "/" {
		s.area.ServeHTTP(w, r)
		return
	}
	rest.AllowBrowsers(w.Header())
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusOK) // the Dart SDK takes 204 for a failure
		return
	}
	if r.URL.Path == ChatPath {
		s.chat.ServeHTTP(w, r)
		return
	}
	if rest.IsConference(r) {
		rest.ServeConference(w, r)
		return
	}
	s.api.ServeHTTP(w, r)
}

// noSniff keeps browsers from guessing the type of an answer.
func noSniff(h http.Header) { h.Set("X-Content-Type-Options", "nosniff") }
