package rest

import (
	"net/http"
	"slices"
	"strconv"

	"cubegate/connectycube/sandbox/core"
)

const maxPushToken = 4096 // bytes of one token or endpoint; our own

// Words of https://developers.connectycube.com/server/push_notifications.
var (
	pushChannels     = []string{"apns", "apns_voip", "gcm", "web"}
	pushPlatforms    = []string{"ios", "android", "web"}
	pushEnvironments = []string{"development", "production"}
)

// named is a word in an answer of the push API.
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

// wrapped returns the list of wrapped items that this API answers, even for one item.
func wrapped(own ...core.Subscription) []map[string]subscriptionJSON {
	items := make([]map[string]subscriptionJSON, len(own))
	for i, sub := range own {
		out := subscriptionJSON{ID: sub.ID, Channel: named{&sub.Channel}}
		out.Device.UDID, out.Device.Platform = sub.UDID, named{&sub.Platform}
		items[i] = map[string]subscriptionJSON{"subscription": out}
	}
	return items
}

// createSubscription stores one subscription for each channel.
func createSubscription(s *API, q *request, live *core.Session) (reply, error) {
	token, device := q.params.Object("push_token"), q.params.Object("device")
	sub := core.Subscription{
		User:        live.User.ID,
		Environment: token.Text("environment"),
		Platform:    device.Text("platform"),
		UDID:        device.Text("udid"),
	}
	channels := channelsOf(q.params)
	for _, sub.Channel = range channels {
		if wrong := checkSubscription(&sub, token); len(wrong) > 0 {
			return reply{}, core.AsBase(422, wrong...)
		}
	}
	made := make([]core.Subscription, len(channels))
	for i, channel := range channels {
		sub.Channel = channel
		made[i] = s.Subscriptions.Add(sub)
	}
	return reply{status: http.StatusCreated, body: wrapped(made...)}, nil
}

// channelsOf returns the channels of a subscription, at least one, which may be no
// valid one. The documentation of the JavaScript SDK names the field in the plural:
// https://developers.connectycube.com/js/push-notifications.
func channelsOf(p core.Params) []string {
	for _, field := range []string{"notification_channel", "notification_channels"} {
		if named := p.List(field); len(named) > 0 {
			slices.Sort(named)
			return slices.Compact(named)
		}
	}
	return []string{""}
}

// checkSubscription returns all errors of a subscription. The required fields are
// documented; the texts are assumed.
func checkSubscription(sub *core.Subscription, token core.Params) (wrong []string) {
	for _, word := range []struct {
		field, value string
		known        []string
	}{
		{"notification_channel", sub.Channel, pushChannels},
		{"push_token[environment]", sub.Environment, pushEnvironments},
		{"device[platform]", sub.Platform, pushPlatforms},
	} {
		if !slices.Contains(word.known, word.value) {
			wrong = append(wrong, word.field+" is not one of the allowed values")
		}
	}
	if sub.UDID == "" || len(sub.UDID) > 255 {
		wrong = append(wrong, "device[udid] is required, of at most 255 characters")
	}
	required := []string{"client_identification_sequence"}
	if sub.Channel == "web" {
		required = []string{"web_endpoint", "web_auth", "web_p256dh"}
	}
	for _, field := range required {
		if n := len(token.Text(field)); n == 0 || n > maxPushToken {
			wrong = append(wrong, "push_token["+field+"] is required, of at most 4096 bytes")
		}
	}
	return wrong
}

func listSubscriptions(s *API, _ *request, live *core.Session) (reply, error) {
	return reply{status: http.StatusOK, body: wrapped(s.Subscriptions.List(live.User.ID)...)}, nil
}

// deleteSubscription answers 404 for another user's subscription.
func deleteSubscription(s *API, q *request, live *core.Session) (reply, error) {
	id, err := strconv.ParseInt(q.arg, 10, 64)
	if err != nil || !s.Subscriptions.Remove(live.User.ID, id) {
		return reply{}, core.ErrNoResource
	}
	return reply{status: http.StatusOK}, nil
}
