package crashes

import (
	"encoding/json"
	"fmt"
	"slices"

	"cubegate/server/servertest"
)

// outcome is the result of one action.
type outcome struct {
	code    string // of the error; empty for success
	noReply bool
	servertest.LoginReply
}

// send sends a document whose field is called answer.
func (s *scenario) send(token, document string) outcome {
	raw, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		s.t.Fatal(err)
	}
	var header []string
	if token != "" {
		header = []string{"Authorization", "Bearer " + token}
	}
	got, err := servertest.Try("POST", s.ResolveURL("/api"), string(raw), header...)
	if err != nil || s.killer.dead() {
		return outcome{noReply: true}
	}
	var reply struct {
		Data struct{ Answer servertest.LoginReply }
	}
	if err := json.Unmarshal([]byte(got.Body), &reply); err != nil {
		s.t.Errorf("the reply is not JSON: %v", err)
	}
	return outcome{code: servertest.CodeOf(got.Body), LoginReply: reply.Data.Answer}
}

// uncertain reports whether the outcome leaves open if the action took effect.
func (o outcome) uncertain() bool {
	return o.noReply || o.code == "SERVICE_UNAVAILABLE" || o.code == "INTERNAL_SERVER_ERROR"
}

// action does one random thing that the user can do now.
func (s *scenario) action() {
	if s.registered != yes {
		s.register()
		return
	}
	if s.deleted == yes {
		s.registered, s.deleted = no, no
		s.register()
		return
	}
	if s.access == "" && !s.login() {
		return
	}
	actions := []func(){s.refreshTokens, s.changeEmail, s.changePassword, s.rename, s.logout, s.deleteAccount, func() { s.login() }}
	actions[s.dice.IntN(len(actions))]()
}

// record notes an action for the output of a failure.
func (s *scenario) record(name string, got outcome) {
	text := name + ":" + got.code
	if got.noReply {
		text = name + ":†"
	}
	s.log = append(s.log, text)
	if got.code == "INTERNAL_SERVER_ERROR" {
		s.t.Errorf("%s: %s", name, got.code)
	}
}

func (s *scenario) register() {
	if s.emails == nil {
		s.emails, s.passwords = []string{"ada@example.org"}, []string{"correct horse"}
	}
	got := s.send("", fmt.Sprintf(`mutation { answer: register(body: {email: %q, firstName: "Ada", lastName: "Lovelace", password: %q}) { token refreshToken chatStatus user { id } } }`, s.emails[0], s.passwords[0]))
	s.record("register", got)
	switch {
	case got.code == "CONFLICT" && s.registered == unknown:
		s.registered, s.deleted = yes, no
	case got.uncertain():
		s.registered, s.deleted = unknown, unknown
	case got.code == "UPSTREAM_UNAVAILABLE" && s.settings["CONNECTYCUBE_REGISTER_WHILE_AWAY"] == "false":
		s.registered, s.deleted = no, no
	case got.code == "":
		s.registered, s.deleted = yes, no
		s.access, s.refresh = got.Token, got.RefreshToken
		s.ids = append(s.ids, got.User.ID)
	default:
		s.t.Errorf("register: %s", got.code)
	}
}

// login tries all candidates for email and password, and keeps those that work. It
// reports whether the user is logged in.
func (s *scenario) login() bool {
	got := s.tryLogin()
	return got.code == "" && !got.noReply
}

// tryLogin returns the outcome of the last attempt.
func (s *scenario) tryLogin() (got outcome) {
	for _, email := range s.emails {
		for _, password := range s.passwords {
			operation := []string{"login", "login_By_token"}[s.dice.IntN(2)]
			if operation == "login_By_token" && !s.cidp {
				operation = "login"
			}
			got = s.send("", fmt.Sprintf(`mutation { answer: %s(body: {email: %q, password: %q}) { token refreshToken chatStatus user { id } } }`, operation, email, password))
			s.record(operation, got)
			if got.uncertain() {
				return got
			}
			if got.code == "" {
				s.emails, s.passwords, s.deleted, s.registered = []string{email}, []string{password}, no, yes
				s.access, s.refresh = got.Token, got.RefreshToken
				if !slices.Contains(s.ids, got.User.ID) {
					s.ids = append(s.ids, got.User.ID)
				}
				return got
			}
		}
	}
	if s.deleted == unknown {
		s.deleted = yes
		return got
	}
	s.t.Errorf("no login works with the emails %v and the passwords %v", s.emails, s.passwords)
	return got
}

func (s *scenario) refreshTokens() {
	got := s.send("", fmt.Sprintf(`mutation { answer: refresh(refreshToken: %q) { token refreshToken chatStatus } }`, s.refresh))
	s.record("refresh", got)
	if got.code == "" && !got.noReply {
		s.access, s.refresh = got.Token, got.RefreshToken
	} else if !got.uncertain() {
		s.t.Errorf("refresh with the latest token: %s", got.code)
	}
}

func (s *scenario) changeEmail() {
	next := fmt.Sprintf("ada%d@example.org", s.dice.IntN(1_000_000))
	got := s.send(s.access, fmt.Sprintf(`mutation { answer: changeEmail(email: %q, password: %q) { id } }`, next, s.passwords[0]))
	s.record("changeEmail", got)
	switch {
	case got.uncertain():
		s.emails, s.access = append(s.emails, next), ""
	case got.code == "":
		s.emails = []string{next}
	}
}

func (s *scenario) changePassword() {
	next := fmt.Sprintf("another horse %d", s.dice.IntN(1_000_000))
	got := s.send(s.access, fmt.Sprintf(`mutation { answer: changePassword(current: %q, new: %q) { message } }`, s.passwords[0], next))
	s.record("changePassword", got)
	switch {
	case got.uncertain():
		s.passwords, s.access = append(s.passwords, next), ""
	case got.code == "":
		s.passwords = []string{next}
	}
}

func (s *scenario) rename() {
	s.record("rename", s.send(s.access, fmt.Sprintf(`mutation { answer: updateProfile(firstName: "Ada%d", lastName: "Byron") { id } }`, s.dice.IntN(1000))))
}

func (s *scenario) logout() {
	got := s.send(s.access, `mutation { answer: logout { message } }`)
	s.record("logout", got)
	if got.code == "" || got.uncertain() {
		s.access = ""
	}
}

func (s *scenario) deleteAccount() {
	got := s.send(s.access, fmt.Sprintf(`mutation { answer: deleteMyAccount(password: %q) { message } }`, s.passwords[0]))
	s.record("delete", got)
	switch {
	case got.uncertain():
		s.deleted, s.access = unknown, ""
	case got.code == "":
		s.deleted, s.access = yes, ""
	}
}
