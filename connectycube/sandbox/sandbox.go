package sandbox

import (
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cubegate/connectycube/sandbox/chat"
)

// Defaults of Options, also in the README of anything that starts a sandbox.
const (
	DefaultAppID      = 1001
	DefaultAuthKey    = "sandbox-auth-key"
	DefaultAdminKey   = "sandbox-api-key"
	DefaultChatDomain = chat.DefaultDomain

	ChatPath = "/chat" // where the chat's WebSocket is

	defaultMaxUsers    = 100_000
	defaultMaxSessions = 100_000
	mostEntries        = 1_000_000 // upper bound of both; about 1 KiB each
)

// Options configure a Sandbox. The zero value works.
type Options struct {
	AppID   int64  // default DefaultAppID
	AuthKey string // default DefaultAuthKey
	CIdP    CIdP   // default: off

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
	// it answers to no other: see isAddressed.
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
	appID        int64
	authKey      string
	adminKey     string
	chatDomain   string
	controlToken string
	names        []string          // in lower case
	givenHeaders map[string]string // of Options.CIdP; never changed
	callbacks    *http.Client
	control      http.Handler
	chat         *chat.Server // never calls back from what is called under mu

	fresh   func() world
	ahead   atomic.Int64 // of the clock, as a time.Duration
	journal journal
	keeper  atomic.Pointer[keeper] // nil: in memory only
	log     *slog.Logger
	open    map[string]http.HandlerFunc // what the control area shows to everyone

	passwords     *passwords
	largeBodies   largeBodies
	outbox        *outbox // has its own lock, as the next two have
	subscriptions *subscriptions
	bucket        *bucket

	mu       sync.Mutex // guards what follows; never held during a call-back or a write
	settings Settings
	world
}

// world is all that a reset empties.
type world struct {
	cidp         CIdP
	faults       []*armedFault
	registry     registry
	archive      archive
	addressBooks addressBooks
}

// newWorld is what a sandbox with these options begins with. What is removed
// from it leaves the chat, too.
func (s *Sandbox) newWorld(o Options) world {
	w := world{
		cidp:     o.CIdP.own(),
		registry: newRegistry(bound(o.MaxUsers, defaultMaxUsers), bound(o.MaxSessions, defaultMaxSessions)),
		archive: newArchive(
			bound(o.MaxDialogs, defaultMaxDialogs),
			bound(o.MaxMessages, defaultMaxMessages),
			bound(o.MaxDialogMessages, defaultMaxLength)),
		addressBooks: newAddressBooks(),
	}
	w.registry.removed = func(u *user) {
		s.chat.Kick(u.id)
		s.subscriptions.forget(u.id)
		s.addressBooks.forget(u.id)
	}
	w.archive.left = func(dialogID string, user int64) { s.chat.Expel(dialogID, user, user) }
	return w
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
	o.CIdP = o.CIdP.own() // what a reset goes back to must not change
	s := &Sandbox{
		appID:         cmp.Or(o.AppID, DefaultAppID),
		authKey:       cmp.Or(o.AuthKey, DefaultAuthKey),
		adminKey:      cmp.Or(o.AdminKey, DefaultAdminKey),
		chatDomain:    cmp.Or(o.ChatDomain, DefaultChatDomain),
		settings:      Settings{o.DenyAutoCreate, o.V1Users, o.DialogExtensions}.own(),
		controlToken:  o.ControlToken,
		names:         ownNames(o.Names),
		givenHeaders:  o.CIdP.Headers,
		callbacks:     callbackClient(o.HTTP),
		passwords:     newPasswords(),
		largeBodies:   make(largeBodies, maxLarge),
		outbox:        &outbox{},
		subscriptions: newSubscriptions(),
		bucket:        newBucket(o.MaxBlobBytes),
		log:           cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
	}
	s.fresh = func() world { return s.newWorld(o) }
	s.world = s.fresh()
	s.chat = chat.New(chat.Options{
		AppID:    s.appID,
		Domain:   s.chatDomain,
		Accounts: accounts{s},
		Archive:  history{s},
		Tap:      s.tap,
		Fault:    s.chatFault,
	})
	s.control = s.controlRoutes()
	s.open = openPages(o.Certificate)
	return s
}

func bound(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return min(n, mostEntries)
}

// reply is an answer that went well. Refusals are errors: see errors.go.
type reply struct {
	status  int
	body    any       // nil: no body at all
	expires time.Time // of the session used; zero when none was
}

// ServeHTTP answers the REST API, the chat's WebSocket at ChatPath, the page for
// people at /, and /_sandbox/ for those who may use it.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.isAddressed(r) {
		noSniff(w.Header())
		refuse(w, errWrongHost)
		return
	}
	s.serve(w, r)
}

// serve is ServeHTTP for requests that may name any host, as those of Client do.
func (s *Sandbox) serve(w http.ResponseWriter, r *http.Request) {
	noSniff(w.Header())
	if isControl(r.URL.Path) {
		s.serveControl(w, r)
		return
	}
	if r.URL.Path == "/" {
		s.open["/"](w, r)
		return
	}
	allowBrowsers(w.Header())
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusOK) // not 204: the Dart SDK takes that for a failure
		return
	}
	if r.URL.Path == ChatPath {
		s.chat.ServeHTTP(w, r)
		return
	}
	w, r, e := s.record(w, r)
	defer e.end()
	if f, ok := s.takeFault(func(f Fault) bool { return f.meets(r) }); ok {
		e.fault = f.Kind
		s.misbehave(w, r, f)
		return
	}
	s.serveAPI(w, r)
}

// serveAPI is the service without its faults.
func (s *Sandbox) serveAPI(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		defer s.used()
	} else {
		defer s.changed()
	}
	if isBucket(r.URL.Path) {
		s.serveBucket(w, r)
		return
	}
	answer, err := s.answer(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	if !answer.expires.IsZero() {
		w.Header().Set("CB-Token-ExpirationDate", answer.expires.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if to, ok := answer.body.(redirect); ok {
		to.write(w, answer.status)
		return
	}
	writeJSON(w, answer.status, answer.body)
}

func (s *Sandbox) answer(w http.ResponseWriter, r *http.Request) (reply, error) {
	handler, arg, ok := findRoute(r.Method, r.URL.EscapedPath())
	if !ok {
		return reply{}, errNoResource
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return reply{}, errBadRequest
	}
	release, err := s.largeBodies.enter(r.Context(), len(body))
	if err != nil {
		return reply{}, err
	}
	defer release()
	p, err := readParams(r, body)
	if err != nil {
		return reply{}, errBadRequest
	}
	return handler(s, &request{
		ctx:      r.Context(),
		arg:      arg,
		params:   p,
		token:    r.Header.Get("CB-Token"), // the Dart SDK sends it empty when it has none
		key:      r.Header.Get("CB-AuthKey"),
		now:      s.now(),
		origin:   originOf(r),
		suffixed: trimSuffix(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/"),

		adminKey: r.Header.Get("CB-Administration-API-Key"),
	})
}

// allowBrowsers lets pages of any origin call the API, as the real service does:
// it uses no cookies, so an origin proves nothing.
func allowBrowsers(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "CB-Token, CB-AuthKey, CB-SDK, ConnectyCube-REST-API-Version, Content-Type")
	h.Set("Access-Control-Expose-Headers", "CB-Token-ExpirationDate, Date")
	h.Set("Access-Control-Max-Age", "600")
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	// an error here means that the caller left, or that it will see a torn body
	_ = json.NewEncoder(w).Encode(body)
}
