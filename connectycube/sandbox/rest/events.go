package rest

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cubegate/connectycube/sandbox/core"
)

// eventJSON is an event in an answer, as documented. Fields that the sandbox does not
// use are null.
type eventJSON struct {
	ID            int64   `json:"id"`
	EventType     string  `json:"event_type"`
	Message       string  `json:"message"`
	Date          *string `json:"date"`
	Period        *int64  `json:"period"`
	Name          *string `json:"name"`
	OccuredCount  int     `json:"occured_count"` // the service's spelling
	CreatedAt     string  `json:"created_at"`
	UpdatedAt     string  `json:"updated_at"`
	EndDate       *string `json:"end_date"`
	Active        bool    `json:"active"`
	ApplicationID int64   `json:"application_id"`
	UserID        int64   `json:"user_id"`
	Kind          string  `json:"kind"`
	Environment   *string `json:"environment"` // null: both
	TagQuery      *string `json:"tag_query"`
	Channel       named   `json:"notification_channel"` // the Dart SDK reads its name without checking for null
}

// createEvent puts a push into the outbox, with its recipients. A push without
// recipients is accepted too (assumed). One without an environment is for both
// environments: an official sample sends it (docs/connectycube.md, Push).
func createEvent(s *API, q *request, live *core.Session) (reply, error) {
	event := q.params.Object("event")
	channel, environment := event.Text("push_type"), event.Text("environment")
	if wrong := checkEvent(event); len(wrong) > 0 {
		return reply{}, core.AsBase(422, wrong...)
	}
	text, ok := pushText(event.Text("message"), channel)
	if !ok {
		return reply{}, core.AsBase(422, "message is not base64 text, or not formed as its push_type needs")
	}
	users, err := audienceOf(&s.Registry, event)
	if err != nil {
		return reply{}, err
	}
	id := s.Send(core.Outgoing{
		Kind:        core.OutgoingPush,
		At:          q.now,
		Text:        text,
		From:        live.User.ID,
		Users:       users,
		Environment: environment,
		Channel:     channel,
		Devices: s.Subscriptions.Reach(users, func(sub *core.Subscription) bool {
			return (environment == "" || environment == sub.Environment) && (channel == "" || channel == sub.Channel)
		}),
	})
	at := q.now.UTC().Format(seconds)
	return reply{status: http.StatusCreated, body: []map[string]eventJSON{{"event": {
		ID:            id,
		EventType:     "one_shot",
		Message:       event.Text("message"),
		CreatedAt:     at,
		UpdatedAt:     at,
		Active:        true,
		ApplicationID: s.AppID,
		UserID:        live.User.ID,
		Kind:          "API",
		Environment:   core.OrNull(environment),
		Channel:       named{core.OrNull(channel)},
	}}}}, nil
}

// checkEvent returns all errors of an event. The values are documented. The texts are
// assumed, and so is web as a push_type, which the SDK's types contain.
func checkEvent(event core.Params) (wrong []string) {
	for _, word := range []struct {
		field    string
		required bool
		known    []string
	}{
		{"notification_type", true, []string{"push"}},
		{"environment", false, pushEnvironments},
		{"push_type", false, pushChannels},
		{"event_type", false, []string{"one_shot"}},
	} {
		value := event.Text(word.field)
		if (value != "" || word.required) && !slices.Contains(word.known, value) {
			wrong = append(wrong, word.field+" is not one of the allowed values")
		}
	}
	if event.Text("message") == "" {
		wrong = append(wrong, "message is required")
	}
	return wrong
}

// pushText decodes a message: base64, for Apple's channels after payload=
// (https://developers.connectycube.com/server/push_notifications), for Google's as
// data.<name>=<base64> in a form, which the Dart SDK reads. Base64 alone is accepted
// for every channel, because the SDKs' helper writes it.
func pushText(message, channel string) (string, bool) {
	if text, ok := fromBase64(strings.TrimPrefix(message, "payload=")); ok {
		return text, true
	}
	if channel != "gcm" {
		return "", false
	}
	form, err := url.ParseQuery(message)
	if err != nil {
		return "", false
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(form)) {
		text, ok := fromBase64(form.Get(name))
		if !ok {
			return "", false
		}
		lines = append(lines, name+"="+text)
	}
	return strings.Join(lines, "\n"), len(lines) > 0
}

// fromBase64 decodes text with or without padding.
func fromBase64(text string) (string, bool) {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
	return core.ValidText(string(raw)), err == nil && len(raw) > 0
}

// audienceOf returns the IDs of the recipients of an event, ascending and without
// repetitions. At least one of the parameters is required
// (https://developers.connectycube.com/server/push_notifications). Each adds its users
// (assumed). Users who do not exist are left out.
func audienceOf(r *core.Registry, event core.Params) ([]int64, error) {
	user := event.Object("user")
	tags := user.Object("tags")
	ids, external := user.List("ids"), event.Object("external_user").List("ids")
	chosen := map[int64]struct{}{}
	for _, text := range ids {
		id, ok := core.Whole(text)
		if !ok {
			return nil, core.AsBase(422, "user[ids] has something that is no id")
		}
		if r.Users[id] != nil {
			chosen[id] = struct{}{}
		}
	}
	for _, id := range external {
		if u := r.ByExternal[id]; u != nil {
			chosen[u.ID] = struct{}{}
		}
	}
	wanted := newTagQuery(tags)
	if len(ids) == 0 && len(external) == 0 && wanted.isEmpty() {
		return nil, core.AsBase(422, "user[ids], external_user[ids] or user[tags] is required")
	}
	if !wanted.isEmpty() {
		for id, u := range r.Users {
			if wanted.matches(u.Tags) {
				chosen[id] = struct{}{}
			}
		}
	}
	return slices.Sorted(maps.Keys(chosen)), nil
}

// tagQuery is event[user][tags]: all given conditions must hold.
type tagQuery struct{ any, all, exclude []string }

func newTagQuery(tags core.Params) tagQuery {
	return tagQuery{tags.List("any"), tags.List("all"), tags.List("exclude")}
}

func (t tagQuery) isEmpty() bool { return len(t.any)+len(t.all)+len(t.exclude) == 0 }

func (t tagQuery) matches(tags []string) bool {
	has := func(tag string) bool { return slices.Contains(tags, tag) }
	lacks := func(tag string) bool { return !has(tag) }
	return (len(t.any) == 0 || slices.ContainsFunc(t.any, has)) &&
		!slices.ContainsFunc(t.all, lacks) &&
		!slices.ContainsFunc(t.exclude, has)
}
