package sandbox

import (
	"net/http"
	"slices"
	"strconv"
)

const maxPushToken = 4096 // bytes of one token or endpoint; our own

// Words of the push API (doc server/push_notifications).
var (
	pushChannels     = []string{"apns", "apns_voip", "gcm", "web"}
	pushPlatforms    = []string{"ios", "android", "web"}
	pushEnvironments = []string{"development", "production"}
)

// named is how the push API writes a word of its own.
type named struct {
	Name *string `json:"name"`
}

type subscriptionJSON struct {
	ID      int64 `json:"id"`
	Channel named `json:"notification_channel"`
	Device  struct {
		UDID     string `json:"udid"`
		Platform named  `json:"platform"`
	} `json:"device"`
}

// wrapped gives the list of wrapped items that this API answers, for one item
// too.
func wrapped(own ...subscription) []map[string]subscriptionJSON {
	items := make([]map[string]subscriptionJSON, len(own))
	for i, sub := range own {
		out := subscriptionJSON{ID: sub.id, Channel: named{&sub.channel}}
		out.Device.UDID, out.Device.Platform = sub.udid, named{&sub.platform}
		items[i] = map[string]subscriptionJSON{"subscription": out}
	}
	return items
}

func createSubscription(s *API, q *request, live *session) (reply, error) {
	token, device := q.params.object("push_token"), q.params.object("device")
	sub := subscription{
		user:        live.user.id,
		channel:     q.params.text("notification_channel"),
		environment: token.text("environment"),
		platform:    device.text("platform"),
		udid:        device.text("udid"),
	}
	if wrong := sub.check(token); len(wrong) > 0 {
		return reply{}, asBase(422, wrong...)
	}
	return reply{status: http.StatusCreated, body: wrapped(s.subscriptions.add(sub))}, nil
}

// check reports everything that is wrong at once. What is required is
// documented; the texts are assumed.
func (sub *subscription) check(token params) (wrong []string) {
	for _, word := range []struct {
		field, value string
		known        []string
	}{
		{"notification_channel", sub.channel, pushChannels},
		{"push_token[environment]", sub.environment, pushEnvironments},
		{"device[platform]", sub.platform, pushPlatforms},
	} {
		if !slices.Contains(word.known, word.value) {
			wrong = append(wrong, word.field+" is not one of the allowed values")
		}
	}
	if sub.udid == "" || len(sub.udid) > 255 {
		wrong = append(wrong, "device[udid] is required, of at most 255 characters")
	}
	required := []string{"client_identification_sequence"}
	if sub.channel == "web" {
		required = []string{"web_endpoint", "web_auth", "web_p256dh"}
	}
	for _, field := range required {
		if n := len(token.text(field)); n == 0 || n > maxPushToken {
			wrong = append(wrong, "push_token["+field+"] is required, of at most 4096 bytes")
		}
	}
	return wrong
}

func listSubscriptions(s *API, _ *request, live *session) (reply, error) {
	return reply{status: http.StatusOK, body: wrapped(s.subscriptions.list(live.user.id)...)}, nil
}

// deleteSubscription: another's subscription is said not to exist.
func deleteSubscription(s *API, q *request, live *session) (reply, error) {
	id, err := strconv.ParseInt(q.arg, 10, 64)
	if err != nil || !s.subscriptions.remove(live.user.id, id) {
		return reply{}, errNoResource
	}
	return reply{status: http.StatusOK}, nil
}
