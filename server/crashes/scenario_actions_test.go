package crashes

import (
	"encoding/json"
	"fmt"
	"slices"

	"cubegate/server/servertest"
)

// What the person of a schedule does, and what is known afterwards.

// outcome is an answer: its code, empty for success, or that there was none.
type outcome struct {
	code string
	none bool
	servertest.LoginReply
}

// ask sends an operation that answers with answer.
func (l *scenario) ask(token, document string) outcome {
	raw, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		l.t.Fatal(err)
	}
	var header []string
	if token != "" {
		header = []string{"Authorization", "Bearer " + token}
	}
	got, err := servertest.Try("POST", l.At("/api"), string(raw), header...)
	if err != nil || l.killer.dead() {
		return outcome{none: true}
	}
	var a struct {
		Data struct{ Answer servertest.LoginReply }
	}
	if err := json.Unmarshal([]byte(got.Body), &a); err != nil {
		l.t.Errorf("an answer that is none: %v", err)
	}
	return outcome{code: servertest.CodeOf(got.Body), LoginReply: a.Data.Answer}
}

// unsure tells answers that do not say whether the thing was done.
func (s outcome) unsure() bool {
	return s.none || s.code == "SERVICE_UNAVAILABLE" || s.code == "INTERNAL_SERVER_ERROR"
}

// action does one thing, whichever the dice say.
func (l *scenario) action() {
	if l.registered != yes {
		l.register()
		return
	}
	if l.gone == yes {
		l.again()
		return
	}
	if l.access == "" && !l.login() {
		return
	}
	acts := []func(){l.renew, l.changeEmail, l.changePassword, l.rename, l.logout, l.leave, func() { l.login() }}
	acts[l.dice.IntN(len(acts))]()
}

func (l *scenario) note(what string, got outcome) {
	text := what + ":" + got.code
	if got.none {
		text = what + ":†"
	}
	l.path = append(l.path, text)
	if got.code == "INTERNAL_SERVER_ERROR" {
		l.t.Errorf("%s: %s", what, got.code)
	}
}

func (l *scenario) register() {
	if l.emails == nil {
		l.emails, l.passwords = []string{"ada@example.org"}, []string{"correct horse"}
	}
	got := l.ask("", fmt.Sprintf(`mutation { answer: register(body: {email: %q, firstName: "Ada", lastName: "Lovelace", password: %q}) { token refreshToken chatStatus user { id } } }`, l.emails[0], l.passwords[0]))
	l.note("register", got)
	switch {
	case got.code == "CONFLICT" && l.registered == unknown:
		l.registered, l.gone = yes, no
	case got.unsure():
		l.registered, l.gone = unknown, unknown
	case got.code == "UPSTREAM_UNAVAILABLE" && l.settings["CONNECTYCUBE_REGISTER_WHILE_AWAY"] == "false":
		l.registered, l.gone = no, no
	case got.code == "":
		l.registered, l.gone = yes, no
		l.access, l.refresh = got.Token, got.RefreshToken
		l.ids = append(l.ids, got.User.ID)
	default:
		l.t.Errorf("register: %s", got.code)
	}
}

// again registers the address of somebody who is gone.
func (l *scenario) again() {
	l.registered, l.gone = no, no
	l.register()
}

// login tries what may be right, and learns what is.
func (l *scenario) login() bool {
	for _, email := range l.emails {
		for _, password := range l.passwords {
			way := []string{"login", "login_By_token"}[l.dice.IntN(2)]
			if way == "login_By_token" && !l.cidp {
				way = "login"
			}
			got := l.ask("", fmt.Sprintf(`mutation { answer: %s(body: {email: %q, password: %q}) { token refreshToken chatStatus user { id } } }`, way, email, password))
			l.note(way, got)
			if got.unsure() {
				return false
			}
			if got.code == "" {
				l.emails, l.passwords, l.gone, l.registered = []string{email}, []string{password}, no, yes
				l.access, l.refresh = got.Token, got.RefreshToken
				if !slices.Contains(l.ids, got.User.ID) {
					l.ids = append(l.ids, got.User.ID)
				}
				return true
			}
		}
	}
	if l.gone == unknown {
		l.gone = yes
		return false
	}
	l.t.Errorf("nobody can log in as %v with %v", l.emails, l.passwords)
	return false
}

func (l *scenario) renew() {
	got := l.ask("", fmt.Sprintf(`mutation { answer: refresh(refreshToken: %q) { token refreshToken chatStatus } }`, l.refresh))
	l.note("refresh", got)
	if got.code == "" && !got.none {
		l.access, l.refresh = got.Token, got.RefreshToken
	} else if !got.unsure() {
		l.t.Errorf("an honest refresh: %s", got.code)
	}
}

func (l *scenario) changeEmail() {
	next := fmt.Sprintf("ada%d@example.org", l.dice.IntN(1_000_000))
	got := l.ask(l.access, fmt.Sprintf(`mutation { answer: changeEmail(email: %q, password: %q) { id } }`, next, l.passwords[0]))
	l.note("changeEmail", got)
	switch {
	case got.unsure():
		l.emails, l.access = append(l.emails, next), ""
	case got.code == "":
		l.emails = []string{next}
	}
}

func (l *scenario) changePassword() {
	next := fmt.Sprintf("another horse %d", l.dice.IntN(1_000_000))
	got := l.ask(l.access, fmt.Sprintf(`mutation { answer: changePassword(current: %q, new: %q) { message } }`, l.passwords[0], next))
	l.note("changePassword", got)
	switch {
	case got.unsure():
		l.passwords, l.access = append(l.passwords, next), ""
	case got.code == "":
		l.passwords = []string{next}
	}
}

func (l *scenario) rename() {
	l.note("rename", l.ask(l.access, fmt.Sprintf(`mutation { answer: updateProfile(firstName: "Ada%d", lastName: "Byron") { id } }`, l.dice.IntN(1000))))
}

func (l *scenario) logout() {
	got := l.ask(l.access, `mutation { answer: logout { message } }`)
	l.note("logout", got)
	if got.code == "" || got.unsure() {
		l.access = ""
	}
}

func (l *scenario) leave() {
	got := l.ask(l.access, fmt.Sprintf(`mutation { answer: deleteMyAccount(password: %q) { message } }`, l.passwords[0]))
	l.note("delete", got)
	switch {
	case got.unsure():
		l.gone, l.access = unknown, ""
	case got.code == "":
		l.gone, l.access = yes, ""
	}
}
