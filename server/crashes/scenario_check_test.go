package crashes

import (
	"fmt"

	"cubegate/connectycube/sandbox"
	"cubegate/server/servertest"
	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// check compares both sides at the end of a scenario, without faults.
func (s *scenario) check() {
	s.t.Helper()
	if s.deleted == unknown || len(s.emails) > 1 || len(s.passwords) > 1 || s.registered == unknown {
		s.access = ""
		if s.registered == unknown {
			s.deleted = unknown
		}
		s.answered("a login", s.tryLogin)
	}
	if s.registered != no && s.deleted != yes {
		s.requireLogin()
		s.requireOneUser()
		return
	}
	for _, email := range s.emails {
		for _, password := range s.passwords {
			got := s.answered("a login of the deleted user", func() outcome {
				return s.send("", fmt.Sprintf(`mutation { answer: login(body: {email: %q, password: %q}) { chatStatus } }`, email, password))
			})
			if s.deleted == yes && got.code != "UNAUTHENTICATED" {
				s.t.Errorf("a login of the deleted user: %q", got.code)
			}
		}
	}
	if n := s.count(s.sessions, bson.D{}); n != 0 {
		s.t.Errorf("%d login sessions without a user are left", n)
	}
	s.countUsers(0)
}

// answered repeats a request until the database has answered it within its timeout, which a
// busy machine may miss without faults, too.
func (s *scenario) answered(request string, send func() outcome) (got outcome) {
	s.t.Helper()
	servertest.Eventually(s.t, "the server answers "+request, func() bool {
		got = send()
		return got.code != "SERVICE_UNAVAILABLE"
	})
	return got
}

// requireLogin checks that the user can log in and gets a ConnectyCube session.
func (s *scenario) requireLogin() {
	s.t.Helper()
	if got := s.answered("a login", s.tryLogin); got.code != "" || got.noReply { // some work can be finished only by a login
		s.t.Errorf("no login without faults: %s", got.code)
	}
	s.waitIdle()
	servertest.Eventually(s.t, "a login without faults gets a ConnectyCube session", func() bool {
		got := s.send("", fmt.Sprintf(`mutation { answer: login(body: {email: %q, password: %q}) { chatStatus ccUserId user { id } } }`, s.emails[0], s.passwords[0]))
		return got.code == "" && got.ChatStatus == "READY"
	})
	s.waitIdle()
}

// countUsers checks the number of users on both sides, and returns the users if it
// is right.
func (s *scenario) countUsers(want int) (ours []store.User, theirs []sandbox.UserState) {
	s.t.Helper()
	ours, theirs = s.allUsers(), s.upstream.State().Users
	if len(ours) != want || len(theirs) != want {
		s.t.Errorf("%d users at the server and %d at ConnectyCube, want %d", len(ours), len(theirs), want)
		return nil, nil
	}
	return ours, theirs
}

// requireOneUser checks that both sides have one user, with the same data.
func (s *scenario) requireOneUser() {
	s.t.Helper()
	users, accounts := s.countUsers(1)
	if users == nil {
		return
	}
	ours, theirs := users[0], accounts[0]
	if theirs.ExternalID == nil || *theirs.ExternalID != ours.ID || theirs.ID != ours.CubeID {
		s.t.Errorf("two identities: %s with %d, %+v", ours.ID, ours.CubeID, theirs)
	}
	if theirs.Email == nil || store.EmailKey(*theirs.Email) != store.EmailKey(ours.Email) {
		s.t.Errorf("the email is %s at the server, and at ConnectyCube %+v", ours.Email, theirs)
	}
	if theirs.FullName == nil || *theirs.FullName != ours.FullName() {
		s.t.Errorf("the name is %q at the server, and at ConnectyCube %+v", ours.FullName(), theirs)
	}
}
