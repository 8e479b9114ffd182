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

// CIdP are the settings of a Custom Identity Provider, as the dashboard has them.
//
// Headers and RequestParams may hold #{login}, #{password} and #{email}: what the
// login request carries, empty when it does not. ResponseParams map uid (required),
// login, email, full_name and external_user_id to paths in the answer, #{user.id}.
type CIdP struct {
	Enabled        bool              `json:"enabled"`
	Method         string            `json:"method"` // GET (default) or POST, which sends JSON
	URL            string            `json:"url"`
	Headers        map[string]string `json:"headers"`
	RequestParams  map[string]string `json:"request_params"`
	ResponseParams map[string]string `json:"response_params"`
}

var responseTargets = []string{"uid", "login", "email", "full_name", "external_user_id"}

// Validate says what is wrong with the settings. Settings that are off may be
// incomplete.
func (c CIdP) Validate() error {
	var errs []error
	if method := strings.ToUpper(c.Method); method != "" && method != "GET" && method != "POST" {
		errs = append(errs, errors.New("cidp: method must be GET or POST"))
	}
	if u, err := url.Parse(c.URL); c.Enabled && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		errs = append(errs, errors.New("cidp: url must be an http or https address"))
	}
	if c.Enabled && !Placeholder.MatchString(c.ResponseParams["uid"]) {
		errs = append(errs, errors.New(`cidp: response_params must map uid, as in {"uid":"#{user.id}"}`))
	}
	for target := range c.ResponseParams {
		if !slices.Contains(responseTargets, target) {
			errs = append(errs, fmt.Errorf("cidp: response_params: %q is none of %s", target, strings.Join(responseTargets, ", ")))
		}
	}
	if len(c.URL) > 2048 || tooMuch(c.Headers) || tooMuch(c.RequestParams) || tooMuch(c.ResponseParams) {
		errs = append(errs, errors.New("cidp: more than 50 entries, or a text over 2048 bytes"))
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

// Clone gives a copy that nobody else can change, with empty maps for missing ones.
func (c CIdP) Clone() CIdP {
	c.Method = cmp.Or(strings.ToUpper(c.Method), "GET")
	for _, m := range []*map[string]string{&c.Headers, &c.RequestParams, &c.ResponseParams} {
		if *m = maps.Clone(*m); *m == nil {
			*m = map[string]string{}
		}
	}
	return c
}

// SetCIdP replaces the settings. Logins that are waiting for the provider keep
// the old ones. The error is that of Validate; then nothing changes.
func (s *Application) SetCIdP(c CIdP) error {
	if err := c.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cidp = c.Clone()
	return nil
}

// Placeholder is #{path}.
var Placeholder = regexp.MustCompile(`#\{([^{}]*)\}`)

// UserOfProvider finds the user of the uid, whose profile stays as it is, or
// makes one. The lock is held.
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

// providerLogin is the login of a user that came from the provider without one.
func providerLogin(uid string) string { return "custom_" + uid }

// Provider returns a copy of the settings of the Custom Identity Provider.
func (s *Application) Provider() CIdP {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cidp.Clone()
}
