package core

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// CIdP holds the settings of a Custom Identity Provider, as in the dashboard.
//
// Headers and RequestParams may contain #{login}, #{password} and #{email}, the values
// of the login request; a missing one is empty. ResponseParams map uid (required),
// login, email, full_name and external_user_id to paths in the answer, such as
// #{user.id}. See https://developers.connectycube.com/guides/custom-identity-provider.
type CIdP struct {
	Enabled        bool              `json:"enabled"`
	Method         string            `json:"method"` // GET (default) or POST, which sends JSON
	URL            string            `json:"url"`
	Headers        map[string]string `json:"headers"`
	RequestParams  map[string]string `json:"request_params"`
	ResponseParams map[string]string `json:"response_params"`

	// The fields below are no settings of the dashboard. With them, a test can meet
	// the mistakes in the set-up of a provider that docs/connectycube.md lists.

	Body    string `json:"body,omitempty"`    // of a POST: BodyJSON (default) or BodyForm; which one the service sends is unknown
	Answers string `json:"answers,omitempty"` // texts of refusals: AnswersCurrent (default) or Answers2020
	Outside bool   `json:"outside,omitempty"` // the sandbox does not reach this machine and private networks, as the service does not
}

// The values of CIdP.Body and CIdP.Answers.
const (
	BodyJSON       = "json"
	BodyForm       = "form"
	AnswersCurrent = "current"
	Answers2020    = "2020" // as the service wrote them in 2020 and 2021
)

var responseTargets = []string{"uid", "login", "email", "full_name", "external_user_id"}

// Validate returns all errors of the settings. Settings that are off may be
// incomplete.
func (c CIdP) Validate() error {
	var errs []error
	if method := strings.ToUpper(c.Method); method != "" && method != "GET" && method != "POST" {
		errs = append(errs, errors.New("cidp: method must be GET or POST"))
	}
	if u, err := url.Parse(c.URL); c.Enabled && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		errs = append(errs, errors.New("cidp: url must be an http or https URL"))
	}
	if c.Enabled && !Placeholder.MatchString(c.ResponseParams["uid"]) {
		errs = append(errs, errors.New(`cidp: response_params must map uid, as in {"uid":"#{user.id}"}`))
	}
	for field, choice := range map[string][]string{
		"body " + c.Body:       {BodyJSON, BodyForm},
		"answers " + c.Answers: {AnswersCurrent, Answers2020},
	} {
		if name, value, _ := strings.Cut(field, " "); value != "" && !slices.Contains(choice, value) {
			errs = append(errs, fmt.Errorf("cidp: %s must be %s", name, strings.Join(choice, " or ")))
		}
	}
	for target := range c.ResponseParams {
		if !slices.Contains(responseTargets, target) {
			errs = append(errs, fmt.Errorf("cidp: response_params: %q must be one of %s", target, strings.Join(responseTargets, ", ")))
		}
	}
	if len(c.URL) > 2048 || tooMuch(c.Headers) || tooMuch(c.RequestParams) || tooMuch(c.ResponseParams) {
		errs = append(errs, errors.New("cidp: settings must have at most 50 entries each, and texts at most 2048 bytes"))
	}
	return errors.Join(errs...)
}

func tooMuch(m map[string]string) bool {
	for k, v := range m {
		if len(k) > 2048 || len(v) > 2048 {
			return true
		}
	}
	return len(m) > 50
}

// Clone returns a copy that shares no memory with c, with empty maps for missing ones.
func (c CIdP) Clone() CIdP {
	c.Method = cmp.Or(strings.ToUpper(c.Method), "GET")
	for _, m := range []*map[string]string{&c.Headers, &c.RequestParams, &c.ResponseParams} {
		if *m = maps.Clone(*m); *m == nil {
			*m = map[string]string{}
		}
	}
	return c
}

// SetCIdP replaces the settings. Logins that already wait for the provider keep the
// old ones. If Validate returns an error, SetCIdP returns it and changes nothing.
func (s *Application) SetCIdP(c CIdP) error {
	if err := c.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cidp, s.callback = c.Clone(), nil
	return nil
}

// Placeholder matches #{path}.
var Placeholder = regexp.MustCompile(`#\{([^{}]*)\}`)

// UserOfProvider finds the user with the uid, or creates one. It leaves the profile
// of an existing user unchanged. The caller holds the lock.
func (s *Application) UserOfProvider(mapped Params, now time.Time) (*User, error) {
	uid := mapped.Text("uid")
	if u := s.Registry.ByExternal[uid]; u != nil {
		return u, nil
	}
	fields := Params{"login": providerLogin(uid)}
	maps.Copy(fields, mapped)
	fields["external_id"] = uid
	p, err := Profile{}.With(fields)
	if err != nil {
		return nil, err
	}
	u := &User{Profile: p}
	return u, s.Registry.Add(u, now)
}

// providerLogin returns the login of a provider's user without a mapped login.
func providerLogin(uid string) string { return "custom_" + uid }

// Provider returns a copy of the settings of the Custom Identity Provider.
func (s *Application) Provider() CIdP {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cidp.Clone()
}

// Callback is the outcome of a question to the Custom Identity Provider.
type Callback struct {
	At      time.Time `json:"at"`
	Problem string    `json:"problem"` // "": the provider named a user
}

// NoteCallback records the last outcome.
func (s *Application) NoteCallback(c Callback) {
	c.At = shown(c.At)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callback = &c
}

// LastCallback returns the last outcome, or nil if the provider was never asked.
func (s *Application) LastCallback() *Callback {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.callback
}
