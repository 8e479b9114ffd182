package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity/identitytest"
	"cubegate/store"
	"cubegate/tokens"
)

// guesses sends n wrong passwords and returns the last error.
func (f flows) guesses(t *testing.T, n int, email string, device *DeviceInput) (e *apierror.Error) {
	t.Helper()
	for range n {
		_, err := f.login(t.Context(), LoginInput{Email: email, Password: "guess", Device: device})
		e = outward(err)
	}
	return e
}

// knownDeviceInput is the input of a device that logged in an hour ago.
func (f flows) knownDeviceInput(edit ...func(*tokens.KnownDevice)) *DeviceInput {
	d := tokens.KnownDevice{UserID: adaID, EmailKey: store.EmailKey(ada.Email), Device: "phone", Issued: time.Now().Add(-time.Hour), Generation: f.users.User.DeviceGeneration}
	for _, e := range edit {
		e(&d)
	}
	token := f.devices.NewDeviceToken(d)
	return &DeviceInput{Token: &token}
}

func (f flows) loginFrom(t *testing.T, device *DeviceInput) error {
	t.Helper()
	_, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: ada.Password, Device: device})
	return err
}

func TestGuessesOfOneNetworkAreNotChargedToAnother(t *testing.T) {
	f := newFlows(t)
	f.stored()
	f.from("192.0.2.1")
	if e := f.guesses(t, 3, ada.Email, nil); e.Code != apierror.Unauthenticated {
		t.Fatalf("the third guess: %s", e.Code)
	}
	if e := f.guesses(t, 1, ada.Email, nil); e.Code != apierror.RateLimited || e.RetryAfter == 0 {
		t.Errorf("one more: %s", e.Code)
	}
	f.from("198.51.100.1")
	if err := f.loginFrom(t, nil); err != nil {
		t.Errorf("from another network: %v", err)
	}
}

func TestGuessesAtOneAccountHaveACeiling(t *testing.T) {
	for name, email := range map[string]string{"an account": ada.Email, "an unknown email": "unknown@example.org"} {
		t.Run(name, func(t *testing.T) {
			f := newFlows(t)
			f.stored()
			tried := 0
			for i := range 200 { // each from a network of its own
				f.from(fmt.Sprint("2001:db8::", i))
				if f.guesses(t, 1, email, nil).Code == apierror.Unauthenticated {
					tried++
				}
			}
			if tried != 5 {
				t.Errorf("%d guesses were tried, want 5", tried)
			}
			if len(f.passwords.Compared) != 5 {
				t.Errorf("%d hashes", len(f.passwords.Compared))
			}
		})
	}
}

func TestGuessesOfOneNetworkHaveACeiling(t *testing.T) {
	f := newFlows(t)
	f.stored()
	f.from("192.0.2.1")
	for i := range 8 {
		if e := f.guesses(t, 1, fmt.Sprintf("unknown%d@example.org", i), nil); e.Code != apierror.Unauthenticated {
			t.Fatalf("guess %d: %s", i, e.Code)
		}
	}
	f.users.Err = errors.New("the store was called") // the refusal comes first
	if e := f.guesses(t, 1, ada.Email, nil); e.Code != apierror.RateLimited {
		t.Errorf("the ninth account: %s: %v", e.Code, e.Cause)
	}
}

// countedKeys is a budget that knows which keys have taken a token.
type countedKeys struct {
	Budget
	taken map[string]bool
}

func (c countedKeys) Take(key string) time.Duration {
	c.taken[key] = true
	return c.Budget.Take(key)
}

// A budget forgets the least recently used keys. An attacker who tries ever new emails to
// make it forget a spent one needs a charge for each: a refused attempt adds no key to any
// budget.
func TestRefusedAttemptsAddNoKeys(t *testing.T) {
	taken := map[string]bool{}
	f := newFlows(t, func(o *Options) {
		for name, budget := range o.Budgets.byName {
			o.Budgets.byName[name] = countedKeys{budget, taken}
		}
	})
	f.stored()
	f.from("2001:db8:5:1::1")
	for i := range 8 {
		f.guesses(t, 1, fmt.Sprintf("unknown%d@example.org", i), nil)
	}
	spent := len(taken)
	if spent == 0 {
		t.Fatal("no budget has a key")
	}
	for i := range 100 {
		email := fmt.Sprintf("other%d@example.org", i)
		if e := f.guesses(t, 1, email, nil); e.Code != apierror.RateLimited {
			t.Fatalf("guess %d: %s", i, e.Code)
		}
		f.guesses(t, 1, email, f.knownDeviceInput()) // of another account
	}
	if len(taken) != spent {
		t.Errorf("refused attempts added %d keys", len(taken)-spent)
	}
}

func TestCorrectPasswordsAreNotCharged(t *testing.T) {
	f := newFlows(t)
	f.stored()
	for range 50 {
		if err := f.loginFrom(t, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Wrong passwords of other clients, for the account or from the same network, do not
// keep a known device out.
func TestKnownDeviceHasItsOwnBudget(t *testing.T) {
	f := newFlows(t)
	f.stored()
	for i := range 20 {
		f.from(fmt.Sprint("192.0.2.", i%2))
		f.guesses(t, 1, ada.Email, nil)
	}
	if err := f.loginFrom(t, nil); outward(err).Code != apierror.RateLimited {
		t.Fatalf("a stranger: %v", err)
	}
	phone := f.knownDeviceInput()
	if err := f.loginFrom(t, phone); err != nil {
		t.Errorf("the phone: %v", err)
	}
	last := f.passwords.Turns[len(f.passwords.Turns)-1]
	if last.Class != tokens.Known || !slices.Equal(last.Lanes, []string{adaID, "phone"}) {
		t.Errorf("the phone's turn is %+v", last)
	}
	if e := f.guesses(t, 3, ada.Email, phone); e.Code != apierror.Unauthenticated {
		t.Errorf("the phone's third guess: %s", e.Code)
	}
	if e := f.guesses(t, 1, ada.Email, phone); e.Code != apierror.RateLimited {
		t.Errorf("the phone is no stranger after three guesses: %s", e.Code)
	}
	for name, device := range map[string]*DeviceInput{
		"another account's":      f.knownDeviceInput(func(d *tokens.KnownDevice) { d.UserID = "another" }),
		"of an older generation": f.knownDeviceInput(func(d *tokens.KnownDevice) { d.Generation-- }),
		"too young":              f.knownDeviceInput(func(d *tokens.KnownDevice) { d.Issued = time.Now() }),
		"of another email":       f.knownDeviceInput(func(d *tokens.KnownDevice) { d.EmailKey = "eve@example.org" }),
		"nonsense":               {Token: new(string)},
	} {
		if err := f.loginFrom(t, device); outward(err).Code != apierror.RateLimited {
			t.Errorf("a token that is %s: %v", name, err)
		}
	}
}

func TestNetworkWithASessionGivesATurnAndNoBudget(t *testing.T) {
	f := newFlows(t)
	f.stored()
	s := f.sessions.All["s1"]
	s.LastIP = "203.0.113.5"
	f.sessions.All["s1"] = s
	f.from("203.0.113.5")
	if e := f.guesses(t, 4, ada.Email, nil); e.Code != apierror.RateLimited {
		t.Errorf("the fourth guess: %s", e.Code)
	}
	if turn := f.passwords.Turns[0]; turn.Class != tokens.Known || !slices.Equal(turn.Lanes, []string{"network of " + adaID}) {
		t.Errorf("turn %+v", turn)
	}
	f.from("192.0.2.1")
	f.guesses(t, 1, ada.Email, nil)
	f.guesses(t, 1, "unknown@example.org", nil)
	for _, turn := range f.passwords.Turns[len(f.passwords.Turns)-2:] {
		if turn.Class == tokens.Known || !slices.Equal(turn.Lanes, []string{"192.0.2.1"}) {
			t.Errorf("a stranger's turn is %+v", turn)
		}
	}
}

func TestKnownTurnsOfAnAccountAreBounded(t *testing.T) {
	f := newFlows(t)
	f.stored()
	phone := f.knownDeviceInput()
	for range 31 {
		if err := f.loginFrom(t, phone); err != nil {
			t.Fatal(err)
		}
	}
	if turns := f.passwords.Turns; turns[29].Class != tokens.Known || turns[30].Class == tokens.Known {
		t.Errorf("the 30th turn is known %v, the 31st %v", turns[29].Class == tokens.Known, turns[30].Class == tokens.Known)
	}
}

func TestLoginReturnsADeviceToken(t *testing.T) {
	f := newFlows(t)
	f.stored()
	read := func(out LoginResult) tokens.KnownDevice {
		t.Helper()
		if out.DeviceToken == "" {
			t.Fatal("no device token")
		}
		d, err := f.devices.ParseDeviceToken(out.DeviceToken, store.EmailKey(ada.Email))
		if err != nil && !errors.Is(err, tokens.ErrExpired) {
			t.Fatal(err)
		}
		return d
	}
	first, err := f.login(t.Context(), adaLogin)
	if err != nil {
		t.Fatal(err)
	}
	if d := read(first); d != (tokens.KnownDevice{}) {
		t.Errorf("the token counts at once: %+v", d)
	}
	again, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: ada.Password, Device: f.knownDeviceInput()})
	if err != nil {
		t.Fatal(err)
	}
	if d := read(again); d.Device != again.Session.ID || d.UserID != adaID {
		t.Errorf("a known device becomes %+v", d)
	}
	refreshed, err := f.refresh(t.Context(), first.RefreshToken)
	if err != nil || refreshed.DeviceToken != "" {
		t.Errorf("a refresh at once gives %q, %v", refreshed.DeviceToken, err)
	}
	s := f.sessions.All[first.Session.ID]
	s.Created = time.Now().Add(-time.Hour)
	f.sessions.All[first.Session.ID] = s
	refreshed, err = f.refresh(t.Context(), refreshed.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if d := read(refreshed); d.Device != first.Session.ID {
		t.Errorf("a later refresh gives %+v", d)
	}
}

func TestRevokedSessionEndsAllDeviceTokens(t *testing.T) {
	f := newFlows(t)
	f.stored()
	phone := f.knownDeviceInput()
	if _, err := f.Sessions.end(t.Context(), f.ada(store.AuditLogout), "s1", f.users.RemoveSession); err != nil {
		t.Fatal(err)
	}
	_ = f.loginFrom(t, phone)
	if !slices.Equal(f.passwords.Turns[0].Lanes, []string{adaID, "phone"}) {
		t.Error("a logout ends the device token")
	}
	if err := f.Sessions.Revoke(t.Context(), f.ada(store.AuditRevoke), "s3"); err != nil {
		t.Fatal(err)
	}
	_ = f.loginFrom(t, phone)
	if slices.Contains(f.passwords.Turns[1].Lanes, "phone") {
		t.Error("the device is still known after a revocation")
	}
}

func TestRegistrationsOfANetworkAreBounded(t *testing.T) {
	f := newFlows(t)
	for i := range 5 {
		f.users.User = nil
		in := ada
		in.Email = fmt.Sprintf("ada%d@example.org", i)
		if i == 2 { // an attacker can use the answer that an email is in use
			f.stored()
			in.Email = ada.Email
		}
		_, err := f.register(t.Context(), in)
		if want := i == 4; (err != nil && outward(err).Code == apierror.RateLimited) != want {
			t.Errorf("registration %d: %v", i+1, err)
		}
	}
	if f.passwords.Hashed != 4 {
		t.Errorf("%d hashes for 4 registrations", f.passwords.Hashed)
	}
	f.from("198.51.100.1")
	f.users.User = nil
	if _, err := f.register(t.Context(), ada); err != nil {
		t.Errorf("from another network: %v", err)
	}
}

func TestInvalidTokensAreCountedAndValidTokensPass(t *testing.T) {
	f := newFlows(t)
	f.stored()
	verify := func(token string) int { return f.verify(CallbackRequest{Token: token}) }
	var last int
	for range 7 {
		last = verify("forged")
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the seventh token got %d", last)
	}
	if code := verify("good " + adaID); code != http.StatusOK {
		t.Errorf("a valid token got %d", code)
	}
	if _, err := f.refresh(t.Context(), "forged"); outward(err).Code != apierror.RateLimited {
		t.Errorf("refresh: %v", err)
	}
}

func TestLimitsCanBeObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.stored()
		f.budgets.observe = true
		for second := 1; second <= 2; second++ {
			if e := f.guesses(t, 50, ada.Email, nil); e.Code != apierror.Unauthenticated {
				t.Errorf("the 50th guess: %s", e.Code)
			}
			if lines := strings.Count(f.log.String(), "limits are only observed"); lines != second {
				t.Errorf("%d lines in the log after %d seconds, want one a second", lines, second)
			}
			time.Sleep(time.Second)
		}
	})
}

// Each request that the limits would have refused counts once, for one budget, although
// several are spent and a login asks them at its beginning and at its hash.
func TestObservedRefusalsCountOnceForEachRequest(t *testing.T) {
	var refused []string
	f := newFlows(t, observed(t, true, &refused))
	f.stored()
	for i, email := range []string{ada.Email, "unknown@example.org"} {
		f.guesses(t, 3+4, email, nil) // three are within the bound
		if len(refused) != 4*(i+1) {
			t.Errorf("%d refusals after 4 more of %s, want %d", len(refused), email, 4*(i+1))
		}
	}
}

func TestConfirmationsAreCountedForTheirSession(t *testing.T) {
	f := newFlows(t)
	f.stored()
	for i := range 4 {
		err := f.confirm(t.Context(), "s1", "guess")
		if want := []apierror.Code{apierror.Forbidden, apierror.Forbidden, apierror.Forbidden, apierror.RateLimited}[i]; outward(err).Code != want {
			t.Errorf("guess %d: %v, want %s", i+1, err, want)
		}
	}
	if err := f.confirm(t.Context(), "s3", ada.Password); err != nil {
		t.Errorf("in another session: %v", err)
	}
}

// Parallel attempts cannot exceed a budget: each takes its token before its hash.
func TestParallelGuessesHaveTheSameCeiling(t *testing.T) {
	f := newFlows(t)
	hasher, err := tokens.NewHasher(tokens.Params{Memory: 64, Iterations: 1, Concurrent: 8, MaxWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	counting := &countingHasher{PasswordHasher: hasher}
	f.Passwords.Hasher = counting
	f.stored()
	var all sync.WaitGroup
	for range 190 {
		all.Go(func() {
			_, _ = f.login(t.Context(), LoginInput{Email: ada.Email, Password: "guess"})
		})
	}
	all.Wait()
	if n := counting.begun.Load(); n != 3 {
		t.Errorf("%d guesses were hashed, want 3", n)
	}
}

// countingHasher counts the comparisons that start.
type countingHasher struct {
	PasswordHasher
	begun atomic.Int64
}

func (c *countingHasher) Compare(ctx context.Context, t tokens.Turn, password, hash string) (bool, error) {
	start := t.Start
	t.Start = func() error {
		err := start()
		if err == nil {
			c.begun.Add(1)
		}
		return err
	}
	return c.PasswordHasher.Compare(ctx, t, password, hash)
}

// Otherwise the time of a login would tell whether the email exists.
func TestUnknownEmailCostsTheSameLookUps(t *testing.T) {
	f := newFlows(t)
	f.stored()
	for _, email := range []string{ada.Email, "unknown@example.org"} {
		f.sessions.LookUps = 0
		f.guesses(t, 1, email, nil)
		if f.sessions.LookUps != 1 {
			t.Errorf("%s: %d look-ups of sessions, want 1", email, f.sessions.LookUps)
		}
	}
}

func TestSiteHasItsOwnBudget(t *testing.T) {
	f := newFlows(t)
	f.stored()
	tried, registered := 0, 0
	for i := range 200 { // each from a /64 of its own in one /48
		networks := []string{"2001:db8::/48", fmt.Sprintf("2001:db8:0:%x::/64", i)}
		*f.client = ClientInfo{Networks: networks}
		if f.guesses(t, 1, fmt.Sprintf("unknown%d@example.org", i), nil).Code == apierror.Unauthenticated {
			tried++
		}
		if _, err := f.register(t.Context(), ada); outward(err).Code == apierror.Conflict {
			registered++
		}
	}
	if tried != siteFactor*8 || registered != siteFactor*4 {
		t.Errorf("%d guesses and %d registrations were tried, want %d and %d", tried, registered, siteFactor*8, siteFactor*4)
	}
}

// An outage does not use up the registrations of a network.
func TestRegistrationThatFailsIsNotCharged(t *testing.T) {
	f := newFlows(t)
	f.users.Err = store.ErrUnavailable
	for range 20 {
		if _, err := f.register(t.Context(), ada); outward(err).Code != apierror.ServiceUnavailable {
			t.Fatal(err)
		}
	}
	f.users.Err = nil
	if _, err := f.register(t.Context(), ada); err != nil {
		t.Error(err)
	}
}

func TestRefusedConfirmationsUseUpNoTurns(t *testing.T) {
	f := newFlows(t)
	f.stored()
	for range 40 {
		_ = f.confirm(t.Context(), "s1", "guess")
	}
	if turn := f.passwords.Turns[0]; turn.Class != tokens.Known || turn.Lanes[0] != adaID {
		t.Errorf("a confirmation's turn is %+v", turn)
	}
	_ = f.loginFrom(t, f.knownDeviceInput())
	if turn := f.passwords.Turns[len(f.passwords.Turns)-1]; turn.Class != tokens.Known {
		t.Error("confirmations that were refused spent the account's turns")
	}
}

// A login over the limit of wrong passwords costs neither a look-up nor a hash.
func TestRefusalComesBeforeDatabaseAndHash(t *testing.T) {
	f := newFlows(t)
	f.budgets.byName = map[budgetName]Budget{budgetPair: identitytest.NewBudget(0), budgetDevice: identitytest.NewBudget(0)}
	f.users.Err = store.ErrUnavailable
	_, err := f.login(t.Context(), adaLogin)
	if code := outward(err).Code; code != apierror.RateLimited || len(f.passwords.Compared) != 0 {
		t.Errorf("%s after %d hashes", code, len(f.passwords.Compared))
	}
}

// Each refusal names its budget once; if limits are only observed, a check is none. A question that refuses no request names none: a
// known device whose budget is spent logs in as a stranger, and a registration that is sent
// again is none for its network.
func TestRefusalsNameTheirBudget(t *testing.T) {
	for observe, refusals := range map[bool]int{false: 5, true: 2} {
		counted := map[string]int{}
		b, err := NewBudgets(BudgetOptions{
			LoginFailures: BudgetBound{1, time.Minute}, Registrations: BudgetBound{1, time.Minute}, Observe: observe, Log: slog.New(slog.DiscardHandler),
			New:     func(b BudgetBound) (Budget, error) { return identitytest.NewBudget(b.Burst), nil },
			Refused: func(name string) { counted[name]++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		pair, register := []charge{{budgetPair, "ada"}}, []charge{{budgetRegister, "192.0.2.1"}}
		for range 3 {
			_ = b.take(t.Context(), pair)
			_ = b.check(t.Context(), pair)
			b.permits(pair)
		}
		_ = b.take(t.Context(), register)
		if got := b.permits(register); got != observe {
			t.Errorf("observe %v: a spent budget permits %v", observe, got)
		}
		if len(counted) != 1 || counted["account_and_network"] != refusals {
			t.Errorf("observe %v: counted %v, want %d of one budget", observe, counted, refusals)
		}
		for name := range counted {
			if !slices.Contains(BudgetNames(), name) {
				t.Errorf("budget %q is not listed", name)
			}
		}
	}
}
