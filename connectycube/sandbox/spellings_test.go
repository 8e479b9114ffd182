package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
)

// The JavaScript SDK's documentation writes notification_channels, and gives a browser
// no client_identification_sequence.
func TestSubscriptionsInTheSpellingOfTheDocumentation(t *testing.T) {
	const (
		browser = `"device":{"platform":"web","udid":"b"},"push_token":{"environment":"development","web_endpoint":"https://push.example.com/1","web_auth":"a","web_p256dh":"p"}}`
		phone   = `"device":{"platform":"ios","udid":"p"},"push_token":{"environment":"production","client_identification_sequence":"t"}}`
	)
	for _, tt := range []struct {
		name, body string
		want       string // the channels; "": refused
	}{
		{"web", `{"notification_channels":"web",` + browser, "web"},
		{"gcm", `{"notification_channels":"gcm",` + phone, "gcm"},
		{"apns", `{"notification_channels":"apns",` + phone, "apns"},
		{"a list of one", `{"notification_channels":["apns"],` + phone, "apns"},
		{"several", `{"notification_channels":["apns","apns_voip","apns"],` + phone, "apns apns_voip"},
		{"with commas", `{"notification_channels":"apns, apns_voip",` + phone, "apns apns_voip"},
		{"both spellings", `{"notification_channel":"gcm","notification_channels":"web",` + phone, "gcm"},
		{"unknown", `{"notification_channels":"pigeon",` + phone, ""},
		{"one of several unknown", `{"notification_channels":["apns","pigeon"],` + phone, ""},
		{"web without keys", `{"notification_channels":"web",` + phone, ""},
		{"a phone with a browser's token", `{"notification_channels":"gcm",` + browser, ""},
		{"empty", `{"notification_channels":[],` + phone, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
			if tt.want == "" {
				ann.call(422, "POST /subscriptions.json", tt.body)
			} else {
				g := ann.call(201, "POST /subscriptions.json", tt.body)
				if got := strings.Join(channels(g), " "); got != tt.want {
					t.Errorf("answer %s has channels %q, want %q", g.text, got, tt.want)
				}
			}
			if got := strings.Join(channels(ann.call(200, "GET /subscriptions.json", "")), " "); got != tt.want {
				t.Errorf("listed channels %q, want %q", got, tt.want)
			}
		})
	}
}

func channels(g got) (names []string) {
	for _, i := range []string{"0", "1", "2"} {
		if name := g.str(i + ".subscription.notification_channel.name"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// The official video chat sample sends no environment.
func TestAnEventWithoutEnvironmentIsForBoth(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := people(t, s, "ann", "bob")
	ann, bob := all[0], all[1]
	bob.call(201, "POST /subscriptions.json", device("gcm", "development", "phone"))
	bob.call(201, "POST /subscriptions.json", device("gcm", "production", "phone"))
	bob.call(201, "POST /subscriptions.json", device("web", "production", "browser"))
	push := event(`"user":{"ids":["`+bob.id+`"]}`, "call")
	for _, tt := range []struct {
		edit    [2]string
		shown   string
		devices int
	}{
		{[2]string{`"environment":"development",`, ``}, "", 3},
		{[2]string{`"environment":"development",`, `"push_type":"gcm",`}, "", 2},
		{[2]string{`"development"`, `"production"`}, "production", 2},
		{[2]string{`"development"`, `"development"`}, "development", 1},
	} {
		g := ann.call(201, "POST /events.json", strings.Replace(push, tt.edit[0], tt.edit[1], 1))
		sent := s.Outbox()
		if last := sent[len(sent)-1]; g.str("0.event.environment") != tt.shown || last.Devices != tt.devices || last.Environment != tt.shown {
			t.Errorf("%v: answer %s, outbox %+v; want %d devices", tt.edit, g.text, last, tt.devices)
		}
	}
}

// The Dart SDK prints seconds as 1620656869.0, and with milliseconds as 1620656869.5.
func TestNumbersWithAFraction(t *testing.T) {
	s := sandbox.New(sandbox.Options{V1Users: true})
	all := people(t, s, "ann", "bob")
	ann, bob := all[0], all[1]
	two := ann.dialog(`{"type":3,"occupants_ids":[` + bob.id + `.0]}`)
	if err := s.Advance(time.Minute); err != nil {
		t.Fatal(err)
	}
	ann.call(201, "POST /chat/Message.json", `{"recipient_id":`+bob.id+`.0,"message":"hello"}`)
	sent := ann.call(200, "GET /chat/Message.json?chat_dialog_id="+two, "").str("items.0.date_sent")
	if sent == "" {
		t.Fatal("the message is not listed")
	}
	for _, tt := range []struct {
		list, query string
		found       int
	}{
		{"chat/Message", "date_sent[gte]=" + sent + ".0", 1},
		{"chat/Message", "date_sent[gt]=" + sent + ".0", 0},
		{"chat/Message", "date_sent[lt]=" + sent + ".5", 1},
		{"chat/Message", "date_sent[gte]=" + sent + ".5", 0},
		{"chat/Message", "date_sent=" + sent + ".0", 1},
		{"chat/Message", "date_sent=" + sent + ".5", 0},
		{"chat/Message", "date_sent[ne]=" + sent + ".5", 1},
		{"chat/Message", "sender_id[in]=" + ann.id + ".0,5.5", 1},
		{"chat/Message", "limit=10.0&skip=0.0", 1},
		{"chat/Message", "limit=1.9&skip=0.9", 1},
		{"chat/Message", "limit=10.0&skip=1.0", 0},
		{"chat/Dialog", "type=3.0", 1},
		{"chat/Dialog", "type[in]=2.0,3.0", 1},
		{"chat/Dialog", "last_message_date_sent[lte]=" + sent + ".25", 1},
		{"chat/Dialog", "last_message_date_sent[lt]=" + sent + ".0", 0},
		{"users/v2", "id[in][]=" + ann.id + ".0", 1},
		{"users/v2", "id=" + ann.id + ".0&created_at[lte]=" + sent + ".5", 1},
		{"users/v2", "id=" + ann.id + "&created_at[gt]=" + sent + ".5", 0},
		{"users/v2", "id=" + ann.id + "&limit=5.0&offset=0.0", 1},
		{"users/v2", "id=" + ann.id + ".5", 0},
		{"users", "per_page=10.0&page=1.0", 2},
		{"users", "filter[]=number+id+in+" + ann.id + ".0", 1},
	} {
		path := "GET /" + tt.list + ".json?" + tt.query
		if tt.list == "chat/Message" {
			path += "&chat_dialog_id=" + two
		}
		g := ann.call(200, path, "")
		if list, _ := g.at("items"); len(list.([]any)) != tt.found {
			t.Errorf("%s: %s, want %d", tt.query, g.text, tt.found)
		}
	}
	for _, query := range []string{"limit=1.", "limit=.5.", "limit=NaN", "skip=-0.5", "limit=0.5", "date_sent[gt]=1e999", "date_sent[gt]=Infinity", "date_sent[gt]=0x10", "limit=1_0"} {
		ann.call(422, "GET /chat/Message.json?chat_dialog_id="+two+"&"+query, "")
	}
	ann.call(422, "POST /chat/Dialog.json", `{"type":3,"occupants_ids":[`+bob.id+`.5]}`)
	c := in(t, s)
	c.signUp(`{"login":"tim","password":"11111111","timezone":60.0}`)
	if g := c.send("POST", "/session", `{"application_id":1001.0,"auth_key":"sandbox-auth-key","timestamp":1620656869.0}`); g.status != 201 || g.str("session.ts") != "1620656869" {
		t.Errorf("session: %d %s", g.status, g.text)
	}
}

// Phone numbers are common logins. The service refused them for one day in 2021.
func TestALoginWithAPlus(t *testing.T) {
	c := in(t, sandbox.New(sandbox.Options{V1Users: true}))
	id := c.signUp(`{"login":"+4915112345678","password":"11111111"}`)
	token := c.open(`{"login":"+4915112345678","password":"11111111"}`)
	for _, path := range []string{"/users/v2?login=%2B4915112345678", "/users/v2?login[start_with]=%2B491"} {
		if g := c.send("GET", path, "", "CB-Token", token); g.str("items.0.id") != id {
			t.Errorf("%s: %s", path, g.text)
		}
	}
	if g := c.send("GET", "/users/by_login?login=%2B4915112345678", "", "CB-Token", token); g.str("user.id") != id {
		t.Errorf("by_login: %s", g.text)
	}
	if made := c.open(`{"login":"+49151","password":"11111111"}`); made == "" {
		t.Error("a login that creates the user is refused")
	}
}
