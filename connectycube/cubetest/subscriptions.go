package cubetest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"cubegate/connectycube"
)

// subscriptions uses two devices: deleting one subscription leaves the other.
func subscriptions(t *testing.T, s *suite) {
	u := account()
	s.register(t, u)
	opened := s.login(t, u)
	if list, err := s.cube.Subscriptions(t.Context(), opened); err != nil || len(list) > 0 {
		t.Errorf("Subscriptions of a new user = %v, %v", list, err)
	}
	kept, removed := "device-"+random(), "device-"+random()
	s.subscribe(t, opened, kept)
	s.subscribe(t, opened, removed)
	list, err := s.cube.Subscriptions(t.Context(), opened)
	at := slices.IndexFunc(list, func(one connectycube.Subscription) bool { return one.DeviceID == removed })
	if err != nil || len(list) != 2 || at < 0 {
		t.Fatalf("Subscriptions = %v, %v, want those of %s and %s", list, err, kept, removed)
	}
	for range 2 { // a subscription that does not exist is no error
		if err := s.cube.DeleteSubscription(t.Context(), opened, list[at].ID); err != nil {
			t.Fatalf("DeleteSubscription: %v", err)
		}
	}
	list, err = s.cube.Subscriptions(t.Context(), opened)
	if err != nil || len(list) != 1 || list[0].DeviceID != kept {
		t.Errorf("Subscriptions after one was deleted = %v, %v, want that of %s", list, err, kept)
	}
}

// subscribe registers a device as an app does. The client has no call for it.
func (s *suite) subscribe(t *testing.T, as connectycube.Session, device string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"notification_channel": "gcm",
		"push_token":           map[string]string{"environment": "development", "client_identification_sequence": "token-" + device},
		"device":               map[string]string{"platform": "android", "udid": device},
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url("/subscriptions.json"), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("CB-Token", as.Token)
	resp, err := s.http().Do(req)
	if err != nil {
		t.Fatalf("subscribing %s: %v", device, err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("subscribing %s: status %d", device, resp.StatusCode)
	}
}
