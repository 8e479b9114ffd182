package cubetest

import (
	"testing"
	"time"

	"cubegate/connectycube"
)

func extendSession(t *testing.T, s *suite) {
	u := account()
	s.register(t, u)
	opened := s.login(t, u)
	extended, err := s.cube.ExtendSession(t.Context(), opened.Token)
	if err != nil {
		t.Fatalf("ExtendSession: %v", err)
	}
	if extended.Token != opened.Token || extended.UserID != opened.UserID {
		t.Errorf("ExtendSession of %v = %v", opened, extended)
	}
	if left := time.Until(extended.ExpiresAt); left < time.Minute || left > 25*time.Hour {
		t.Errorf("extended session ends in %v", left)
	}
}

func endSession(t *testing.T, s *suite) {
	u := account()
	s.register(t, u)
	ended, other := s.login(t, u), s.login(t, u)
	for range 2 { // a session that has already ended is no error
		if err := s.cube.EndSession(t.Context(), ended.Token); err != nil {
			t.Fatalf("EndSession: %v", err)
		}
	}
	_, err := s.cube.ExtendSession(t.Context(), ended.Token)
	wantError(t, err, connectycube.ErrSessionExpired, u)
	if _, err := s.cube.ExtendSession(t.Context(), other.Token); err != nil {
		t.Errorf("another session of the user: %v", err)
	}
}
