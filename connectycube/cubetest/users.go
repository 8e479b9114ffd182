package cubetest

import (
	"errors"
	"strings"
	"testing"

	"cubegate/connectycube"
)

func findByEmail(t *testing.T, s *suite) {
	u := account()
	made := s.register(t, u)
	for _, email := range []string{u.Email, strings.ToUpper(u.Email)} {
		found, err := s.cube.UserByEmail(t.Context(), email)
		if err != nil || found != made {
			t.Errorf("UserByEmail(%s) = %+v, %v, want %+v", email, found, err, made)
		}
	}
	_, err := s.cube.UserByEmail(t.Context(), "cubegate-"+random()+"@example.com")
	wantError(t, err, connectycube.ErrNotFound, connectycube.NewUser{})
}

func deleteUser(t *testing.T, s *suite) {
	u := account()
	made, err := s.cube.SignUp(t.Context(), u)
	if err != nil {
		t.Fatalf("SignUp: %v", err)
	}
	opened := s.login(t, u)
	if err := s.cube.DeleteUser(t.Context(), opened); err != nil {
		t.Fatalf("DeleteUser: %v", err)
	}
	_, err = s.cube.UserByID(t.Context(), made.ID)
	wantError(t, err, connectycube.ErrNotFound, u)
	err = s.cube.DeleteUser(t.Context(), opened)
	if err != nil && !errors.Is(err, connectycube.ErrSessionExpired) {
		t.Errorf("second DeleteUser = %v, want nil or ErrSessionExpired", err)
	}
}

func adminDeleteUser(t *testing.T, s *suite) {
	if s.target.Options.AdminKey == "" {
		t.Skip("this target has no administration key")
	}
	u := account()
	made, err := s.cube.SignUp(t.Context(), u)
	if err != nil {
		t.Fatalf("SignUp: %v", err)
	}
	o := s.target.Options
	o.AdminKey = "not-the-key-" + random()
	err = client(t, o).AdminDeleteUser(t.Context(), made.ID)
	wantError(t, err, connectycube.ErrMisconfigured, u)
	if err := s.cube.AdminDeleteUser(t.Context(), made.ID); err != nil {
		s.remove(t, u)
		t.Fatalf("AdminDeleteUser: %v", err)
	}
	_, err = s.cube.UserByID(t.Context(), made.ID)
	wantError(t, err, connectycube.ErrNotFound, u)
	err = s.cube.AdminDeleteUser(t.Context(), made.ID)
	wantError(t, err, connectycube.ErrNotFound, u)
}
