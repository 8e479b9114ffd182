package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"cubegate/connectycube/sandbox/core"
)

func TestOldPasswordOfAChangeIsRecalled(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := newTestAPI(core.Options{}, nil)
	if err := s.Keep(file); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Seed(core.Seed{Users: []core.SeedUser{{Login: "ann", Password: "password of ann"}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = newTestAPI(core.Options{}, nil) // has not seen the password
	if err := s.Keep(file); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	u := s.Registry.ByLogin["ann"]
	live := s.Registry.Open(u, s.Now())
	change := func(old string) error {
		_, err := putUser(s, &request{ctx: t.Context(), now: s.Now(), token: live.Token, arg: fmt.Sprint(u.ID), params: core.Params{
			"user": map[string]any{"password": "a new one", "old_password": old},
		}})
		return err
	}
	if err := change("wrong one"); !errors.Is(err, errWrongOld) {
		t.Errorf("with a wrong old password: %v", err)
	}
	if err := change("password of ann"); err != nil {
		t.Error(err)
	}
	_, err := s.createSession(&request{ctx: t.Context(), now: s.Now(), params: core.Params{
		"application_id": json.Number("1001"), "auth_key": "sandbox-auth-key",
		"user": map[string]any{"login": "ann", "password": "a new one"},
	}})
	if err != nil {
		t.Error(err)
	}
}
