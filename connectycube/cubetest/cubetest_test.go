package cubetest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"

	"cubegate/connectycube"
	"cubegate/connectycube/cubetest"
	"cubegate/connectycube/sandbox"
)

func options(base string, via *http.Client) connectycube.Options {
	return connectycube.Options{
		BaseURL:  base,
		AppID:    sandbox.DefaultAppID,
		AuthKey:  sandbox.DefaultAuthKey,
		AdminKey: sandbox.DefaultAdminKey,
		HTTP:     via,
	}
}

// provide runs a real provider, so that the callback crosses a socket.
func provide(s *sandbox.Sandbox) func(*testing.T, map[string]string) {
	return func(t *testing.T, uids map[string]string) {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			uid, known := uids[r.URL.Query().Get("token")]
			if !known {
				w.WriteHeader(http.StatusUnauthorized)
				uid = "refused" // a refusal with a uid is still a refusal
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"user": map[string]string{"id": uid}})
		}))
		t.Cleanup(srv.Close)
		err := s.SetCIdP(sandbox.CIdP{
			Enabled:        true,
			URL:            srv.URL,
			RequestParams:  map[string]string{"token": "#{login}"},
			ResponseParams: map[string]string{"uid": "#{user.id}"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSandboxInProcess(t *testing.T) {
	cubetest.Run(t, func(t *testing.T) cubetest.Target {
		s := sandbox.New(sandbox.Options{})
		return cubetest.Target{Options: options("http://sandbox.invalid", s.Client()), Provide: provide(s)}
	})
}

func TestSandboxOverSocket(t *testing.T) {
	cubetest.Run(t, func(t *testing.T) cubetest.Target {
		s := sandbox.New(sandbox.Options{DenyAutoCreate: true})
		srv := httptest.NewServer(s)
		t.Cleanup(srv.Close)
		return cubetest.Target{Options: options(srv.URL, nil), Provide: provide(s)}
	})
}

// TestRealApplication needs an application without a Custom Identity Provider:
// TEST_CUBE_APP_ID and TEST_CUBE_AUTH_KEY, and TEST_CUBE_API_URL if it is not at
// https://api.connectycube.com. With TEST_CUBE_ADMIN_KEY it also tests the calls of
// an administrator.
func TestRealApplication(t *testing.T) {
	raw, key := os.Getenv("TEST_CUBE_APP_ID"), os.Getenv("TEST_CUBE_AUTH_KEY")
	if raw == "" || key == "" {
		t.Skip("no real application: TEST_CUBE_APP_ID and TEST_CUBE_AUTH_KEY are not set")
	}
	id, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		t.Fatal("TEST_CUBE_APP_ID is not a number")
	}
	cubetest.Run(t, func(*testing.T) cubetest.Target {
		return cubetest.Target{Options: connectycube.Options{
			BaseURL:  os.Getenv("TEST_CUBE_API_URL"),
			AppID:    id,
			AuthKey:  key,
			AdminKey: os.Getenv("TEST_CUBE_ADMIN_KEY"),
		}}
	})
}
