package resolvers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/tokens"
)

// Every operation has its line, and no line is left over.
func TestEveryOperationHasItsCosts(t *testing.T) {
	g, err := newGuard(true)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"verify"}
	for _, root := range []string{"Query", "Mutation"} {
		for _, f := range g.schema.Types[root].Fields {
			if !strings.HasPrefix(f.Name, "__") {
				want = append(want, f.Name)
			}
		}
	}
	for _, name := range want {
		if _, ok := costs[name]; !ok {
			t.Errorf("%s has no line in costs", name)
		}
	}
	if len(costs) != len(want) {
		t.Errorf("costs has %d lines for %d operations", len(costs), len(want))
	}
}

// from makes the flows see a client in a network.
func (f flows) from(network string) {
	f.Networks = func(context.Context) []string { return []string{network} }
	f.Address = func(context.Context) string { return network }
}

// guesses tries a wrong password a number of times and returns the last error.
func (f flows) guesses(t *testing.T, n int, email string, device *deviceInput) (e *Error) {
	t.Helper()
	for range n {
		_, err := f.login(t.Context(), loginInput{Email: email, Password: "guess", Device: device}, false)
		e = outward(err)
	}
	return e
}

// knownDeviceInput is what a device sends that has logged in an hour ago.
func (f flows) knownDeviceInput(edit ...func(*tokens.KnownDevice)) *deviceInput {
	d := tokens.KnownDevice{UserID: adaID, Device: "phone", Issued: time.Now().Add(-time.Hour), Generation: f.users.user.DeviceGeneration}
	for _, e := range edit {
		e(&d)
	}
	token := f.Devices.DeviceToken(d)
	return &deviceInput{Token: &token}
}

func (f flows) loginFrom(t *testing.T, device *deviceInput) error {
	t.Helper()
	_, err := f.login(t.Context(), loginInput{Email: ada.Email, Password: ada.Password, Device: device}, false)
	return err
}

func TestGuessesOfOneNetworkAreNotChargedToAnother(t *testing.T) {
	f := newFlows(t)
	f.there()
	f.from("192.0.2.1")
	if e := f.guesses(t, 3, ada.Email, nil); e.Code != Unauthenticated {
		t.Fatalf("the third guess: %s", e.Code)
	}
	if e := f.guesses(t, 1, ada.Email, nil); e.Code != RateLimited || e.RetryAfter == 0 {
		t.Errorf("one more: %s", e.Code)
	}
	f.from("198.51.100.1")
	if err := f.loginFrom(t, nil); err != nil {
		t.Errorf("from another network: %v", err)
	}
}

func TestGuessesAtOneAccountHaveACeiling(t *testing.T) {
	for name, email := range map[string]string{"an account": ada.Email, "an unknown email": "nobody@example.org"} {
		t.Run(name, func(t *testing.T) {
			f := newFlows(t)
			f.there()
			tried := 0
			for i := range 200 { // from as many networks
				f.from(fmt.Sprint("2001:db8::", i))
				if f.guesses(t, 1, email, nil).Code == Unauthenticated {
					tried++
				}
			}
			if tried != 5 {
				t.Errorf("%d guesses were tried, want 5", tried)
			}
			if len(f.passwords.compared) != 5 {
				t.Errorf("%d hashes", len(f.passwords.compared))
			}
		})
	}
}

func TestGuessesOfOneNetworkHaveACeiling(t *testing.T) {
	f := newFlows(t)
	f.there()
	f.from("192.0.2.1")
	for i := range 8 {
		if e := f.guesses(t, 1, fmt.Sprintf("nobody%d@example.org", i), nil); e.Code != Unauthenticated {
			t.Fatalf("guess %d: %s", i, e.Code)
		}
	}
	f.users.err = errors.New("the database was asked") // a refusal comes before
	if e := f.guesses(t, 1, ada.Email, nil); e.Code != RateLimited {
		t.Errorf("the ninth account: %s: %v", e.Code, e.Cause)
	}
}

func TestRightPasswordsCostNothing(t *testing.T) {
	f := newFlows(t)
	f.there()
	for range 50 {
		if err := f.loginFrom(t, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever others have tried on the account, or from the same network, a device
// that is known gets in.
func TestAKnownDeviceHasABudgetOfItsOwn(t *testing.T) {
	f := newFlows(t)
	f.there()
	for i := range 20 {
		f.from(fmt.Sprint("192.0.2.", i%2))
		f.guesses(t, 1, ada.Email, nil)
	}
	if err := f.loginFrom(t, nil); outward(err).Code != RateLimited {
		t.Fatalf("a stranger: %v", err)
	}
	phone := f.knownDeviceInput()
	if err := f.loginFrom(t, phone); err != nil {
		t.Errorf("the phone: %v", err)
	}
	last := f.passwords.turns[len(f.passwords.turns)-1]
	if !last.Known || !slices.Equal(last.Lanes, []string{adaID, "phone"}) {
		t.Errorf("the phone's turn is %+v", last)
	}
	if e := f.guesses(t, 3, ada.Email, phone); e.Code != Unauthenticated {
		t.Errorf("the phone's third guess: %s", e.Code)
	}
	if e := f.guesses(t, 1, ada.Email, phone); e.Code != RateLimited {
		t.Errorf("the phone is no stranger after three guesses: %s", e.Code)
	}
	for name, device := range map[string]*deviceInput{
		"another account's":      f.knownDeviceInput(func(d *tokens.KnownDevice) { d.UserID = "another" }),
		"of an older generation": f.knownDeviceInput(func(d *tokens.KnownDevice) { d.Generation-- }),
		"too young":              f.knownDeviceInput(func(d *tokens.KnownDevice) { d.Issued = time.Now() }),
		"nonsense":               {Token: new(string)},
	} {
		if err := f.loginFrom(t, device); outward(err).Code != RateLimited {
			t.Errorf("a token that is %s: %v", name, err)
		}
	}
}

func TestANetworkWithASessionBuysATurnAndNoBudget(t *testing.T) {
	f := newFlows(t)
	f.there()
	s := f.sessions.all["s1"]
	s.Address = "203.0.113.5"
	f.sessions.all["s1"] = s
	f.from("203.0.113.5")
	if e := f.guesses(t, 4, ada.Email, nil); e.Code != RateLimited {
		t.Errorf("the fourth guess: %s", e.Code)
	}
	if turn := f.passwords.turns[0]; !turn.Known || !slices.Equal(turn.Lanes, []string{"network of " + adaID}) {
		t.Errorf("turn %+v", turn)
	}
	f.from("192.0.2.1")
	f.guesses(t, 1, ada.Email, nil)
	f.guesses(t, 1, "nobody@example.org", nil)
	for _, turn := range f.passwords.turns[len(f.passwords.turns)-2:] {
		if turn.Known || !slices.Equal(turn.Lanes, []string{"192.0.2.1"}) {
			t.Errorf("a stranger's turn is %+v", turn)
		}
	}
}

func TestKnownTurnsOfAnAccountAreBounded(t *testing.T) {
	f := newFlows(t)
	f.there()
	phone := f.knownDeviceInput()
	for range 31 {
		if err := f.loginFrom(t, phone); err != nil {
			t.Fatal(err)
		}
	}
	if turns := f.passwords.turns; !turns[29].Known || turns[30].Known {
		t.Errorf("the 30th turn is known %v, the 31st %v", turns[29].Known, turns[30].Known)
	}
}

func TestLoginGivesADeviceToken(t *testing.T) {
	f := newFlows(t)
	f.there()
	read := func(out signedIn) tokens.KnownDevice {
		t.Helper()
		if out.device == "" {
			t.Fatal("no device token")
		}
		d, err := f.Devices.ReadDeviceToken(out.device)
		if err != nil && !errors.Is(err, tokens.ErrExpired) {
			t.Fatal(err)
		}
		return d
	}
	first, err := f.login(t.Context(), login, false)
	if err != nil {
		t.Fatal(err)
	}
	if d := read(first); d != (tokens.KnownDevice{}) {
		t.Errorf("the token counts at once: %+v", d)
	}
	again, err := f.login(t.Context(), loginInput{Email: ada.Email, Password: ada.Password, Device: f.knownDeviceInput()}, false)
	if err != nil {
		t.Fatal(err)
	}
	if d := read(again); d.Device != "phone" || d.UserID != adaID {
		t.Errorf("a known device becomes %+v", d)
	}
	refreshed, err := f.refreshSession(t.Context(), first.refresh)
	if err != nil || refreshed.device != "" {
		t.Errorf("a refresh at once gives %q, %v", refreshed.device, err)
	}
	s := f.sessions.all[first.session.ID]
	s.Created = time.Now().Add(-time.Hour)
	f.sessions.all[first.session.ID] = s
	refreshed, err = f.refreshSession(t.Context(), refreshed.refresh)
	if err != nil {
		t.Fatal(err)
	}
	if d := read(refreshed); d.Device != first.session.ID {
		t.Errorf("a later refresh gives %+v", d)
	}
}

func TestARevokedSessionEndsAllDeviceTokens(t *testing.T) {
	f := newFlows(t)
	f.there()
	phone := f.knownDeviceInput()
	if _, err := f.endSession(t.Context(), *f.users.user, "s1", "logout"); err != nil {
		t.Fatal(err)
	}
	_ = f.loginFrom(t, phone)
	if !slices.Equal(f.passwords.turns[0].Lanes, []string{adaID, "phone"}) {
		t.Error("a logout ends the device token")
	}
	if _, err := f.endSession(t.Context(), *f.users.user, "s3", kindRevoke); err != nil {
		t.Fatal(err)
	}
	_ = f.loginFrom(t, phone)
	if slices.Contains(f.passwords.turns[1].Lanes, "phone") {
		t.Error("the device is still known after a revocation")
	}
}

func TestRegistrationsOfANetworkAreBounded(t *testing.T) {
	f := newFlows(t)
	for i := range 5 {
		f.users.user = nil
		in := ada
		in.Email = fmt.Sprintf("ada%d@example.org", i)
		if i == 2 { // an email that is taken is an answer worth something
			f.there()
			in.Email = ada.Email
		}
		_, err := f.register(t.Context(), in)
		if want := i == 4; (err != nil && outward(err).Code == RateLimited) != want {
			t.Errorf("registration %d: %v", i+1, err)
		}
	}
	if f.passwords.hashed != 4 {
		t.Errorf("%d hashes for 4 registrations", f.passwords.hashed)
	}
	f.from("198.51.100.1")
	f.users.user = nil
	if _, err := f.register(t.Context(), ada); err != nil {
		t.Errorf("from another network: %v", err)
	}
}

func TestRubbishIsCountedAndGoodTokensPass(t *testing.T) {
	f := newFlows(t)
	f.there()
	ask := func(token string) int {
		w := httptest.NewRecorder()
		f.VerifyConnectyCube()(w, httptest.NewRequest("GET", "/?token="+token, nil))
		return w.Code
	}
	var last int
	for range 7 {
		last = ask("rubbish")
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the seventh token got %d", last)
	}
	if code := ask("good+" + adaID); code != http.StatusOK {
		t.Errorf("a good token got %d", code)
	}
	if _, err := f.refreshSession(t.Context(), "rubbish"); outward(err).Code != RateLimited {
		t.Errorf("refresh: %v", err)
	}
}

func TestLimitsCanBeObserved(t *testing.T) {
	f := newFlows(t)
	f.there()
	f.Budgets.observe = true
	if e := f.guesses(t, 50, ada.Email, nil); e.Code != Unauthenticated {
		t.Errorf("the 50th guess: %s", e.Code)
	}
	if lines := strings.Count(f.log.String(), "limits are only observed"); lines != 1 {
		t.Errorf("%d lines in the log, want one a second", lines)
	}
}

func TestConfirmationsAreCountedForTheirSession(t *testing.T) {
	f := newFlows(t)
	f.there()
	user := *f.users.user
	for i := range 4 {
		err := f.confirm(t.Context(), "changeEmail", user, "s1", "guess")
		if want := []Code{Forbidden, Forbidden, Forbidden, RateLimited}[i]; outward(err).Code != want {
			t.Errorf("guess %d: %v, want %s", i+1, err, want)
		}
	}
	if err := f.confirm(t.Context(), "changeEmail", user, "s3", ada.Password); err != nil {
		t.Errorf("in another session: %v", err)
	}
}
