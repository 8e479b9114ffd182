package sandbox_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// device returns the body of a subscription.
func device(channel, environment, udid string) string {
	platform := map[string]string{"gcm": "android", "web": "web"}[channel]
	if platform == "" {
		platform = "ios"
	}
	return fmt.Sprintf(`{"notification_channel":%q,"device":{"platform":%q,"udid":%q},"push_token":{"environment":%q,
		"client_identification_sequence":"t","web_endpoint":"e","web_auth":"a","web_p256dh":"p"}}`, channel, platform, udid, environment)
}

func TestSubscriptions(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "ann", "bob")
	ann, bob := all[0], all[1]
	first := ann.call(201, "POST /subscriptions.json", device("gcm", "development", "phone")).str("0.subscription.id")
	if again := ann.call(201, "POST /subscriptions.json", device("gcm", "development", "phone")).str("0.subscription.id"); again != first {
		t.Errorf("the same device is another subscription: %s, was %s", again, first)
	}
	ann.call(201, "POST /subscriptions.json", device("apns_voip", "production", "phone"))
	list := ann.call(200, "GET /subscriptions.json", "")
	if list.str("0.subscription.id") != first || list.str("1.subscription.notification_channel.name") != "apns_voip" || list.str("2") != "" {
		t.Errorf("subscriptions = %s", list.text)
	}
	bob.call(404, "DELETE /subscriptions/"+first+".json", "")
	if g := ann.call(200, "DELETE /subscriptions/"+first+".json", ""); g.text != "" {
		t.Errorf("body = %q", g.text)
	}
	ann.call(404, "DELETE /subscriptions/"+first, "")
	if list := ann.call(200, "GET /subscriptions", ""); list.str("0.subscription.device.platform.name") != "ios" || list.str("1") != "" {
		t.Errorf("after one was deleted: %s", list.text)
	}
}

func TestSubscriptionRefusals(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	whole := device("gcm", "development", "phone")
	for name, edit := range map[string][2]string{
		"channel":       {`"notification_channel":"gcm"`, `"notification_channel":"email"`},
		"no channel":    {`"notification_channel":"gcm",`, ``},
		"platform":      {`"android"`, `"symbian"`},
		"no udid":       {`"phone"`, `""`},
		"long udid":     {`"phone"`, `"` + strings.Repeat("x", 256) + `"`},
		"environment":   {`"development"`, `"staging"`},
		"no token":      {`"client_identification_sequence":"t",`, ``},
		"long token":    {`sequence":"t"`, `sequence":"` + strings.Repeat("x", 5000) + `"`},
		"web needs all": {`"gcm"`, `"web"`},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(whole, edit[0], edit[1], 1)
			if name == "web needs all" {
				body = strings.Replace(body, `"web_auth":"a",`, "", 1)
			}
			g := ann.call(422, "POST /subscriptions.json", body)
			if g.str("errors.base.0") == "" {
				t.Errorf("body = %s", g.text)
			}
		})
	}
	ann.call(201, "POST /subscriptions.json", device("web", "production", "browser"))
}

func TestSubscriptionsOfAUserAreBounded(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	for i := range 15 {
		ann.call(201, "POST /subscriptions.json", device("gcm", "development", fmt.Sprint("device ", i)))
	}
	list := ann.call(200, "GET /subscriptions.json", "")
	if list.str("0.subscription.device.udid") != "device 5" || list.str("9.subscription.device.udid") != "device 14" || list.str("10") != "" {
		t.Errorf("subscriptions = %s", list.text)
	}
}

func TestSubscriptionsEndWithTheUser(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := people(t, s, "ann", "bob")
	ann, bob := all[0], all[1]
	ann.call(201, "POST /subscriptions.json", device("gcm", "development", "phone"))
	push := event(`"user":{"ids":"`+ann.id+`"}`, "hi")
	bob.call(201, "POST /events.json", push)
	ann.call(200, "DELETE /users/"+ann.id, "")
	bob.call(201, "POST /events.json", push)
	sent := s.Outbox()
	if sent[0].Devices != 1 || sent[0].Recipients != 1 || sent[1].Devices != 0 || sent[1].Recipients != 0 {
		t.Errorf("outbox = %+v", sent)
	}
}

// event returns the body of a push to a user; fields are JSON and come before the rest.
func event(fields, message string) string {
	return `{"event":{` + fields + `,"notification_type":"push","environment":"development","message":"` +
		base64.StdEncoding.EncodeToString([]byte(message)) + `"}}`
}

func TestEventsAreResolved(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	names := map[string]string{}
	for _, login := range []string{"ann", "bob", "carl"} {
		tags := map[string]string{"ann": "red", "bob": "red,blue", "carl": ""}[login]
		id := c.signUp(`{"login":"` + login + `","password":"11111111","external_id":"x-` + login + `","tag_list":"` + tags + `"}`)
		names[id] = login
	}
	sender := people(t, s, "dora")[0]
	names[sender.id] = "dora"
	id := func(login string) string {
		for id, name := range names {
			if name == login {
				return id
			}
		}
		return ""
	}
	for _, tt := range []struct{ name, to, want string }{
		{"ids as text", `"user":{"ids":"` + id("ann") + `, ` + id("bob") + `"}`, "ann bob"},
		{"ids as a list", `"user":{"ids":[` + id("bob") + `,"` + id("ann") + `"]}`, "ann bob"},
		{"one twice", `"user":{"ids":[` + id("ann") + `,` + id("ann") + `]}`, "ann"},
		{"unknown users", `"user":{"ids":"1,2"}`, ""},
		{"external ids", `"external_user":{"ids":"x-carl,x-ann,x-unknown"}`, "ann carl"},
		{"any tag", `"user":{"tags":{"any":"blue,green"}}`, "bob"},
		{"any tag as a list", `"user":{"tags":{"any":["red","green"]}}`, "ann bob"},
		{"all tags", `"user":{"tags":{"all":"blue,red"}}`, "bob"},
		{"all tags, one missing", `"user":{"tags":{"all":"blue,green"}}`, ""},
		{"without a tag", `"user":{"tags":{"exclude":"blue"}}`, "ann carl dora"},
		{"tags together", `"user":{"tags":{"any":"red","exclude":"blue"}}`, "ann"},
		{"two ways", `"user":{"ids":"` + id("carl") + `","tags":{"any":"blue"}}`, "bob carl"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sender.call(201, "POST /events.json", event(tt.to, "hi"))
			items := s.Outbox()
			last := items[len(items)-1]
			var got []string
			for _, user := range last.Users {
				got = append(got, names[fmt.Sprint(user)])
			}
			slices.Sort(got)
			if strings.Join(got, " ") != tt.want || last.Recipients != len(got) || last.Text != "hi" || fmt.Sprint(last.From) != sender.id {
				t.Errorf("pushed %+v to %q, want %q", last, got, tt.want)
			}
		})
	}
}

func TestPushesGoToDevicesThatFit(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	ann := people(t, s, "ann")[0]
	for _, d := range [][2]string{{"gcm", "development"}, {"gcm", "production"}, {"apns", "development"}, {"web", "development"}} {
		ann.call(201, "POST /subscriptions.json", device(d[0], d[1], "phone"))
	}
	for kind, want := range map[string]int{"": 3, `"push_type":"gcm",`: 1, `"push_type":"apns",`: 1, `"push_type":"apns_voip",`: 0} {
		ann.call(201, "POST /events.json", event(kind+`"user":{"ids":"`+ann.id+`"}`, "hi"))
		items := s.Outbox()
		if last := items[len(items)-1]; last.Devices != want || last.Environment != "development" {
			t.Errorf("%s: %+v, want %d devices", kind, last, want)
		}
	}
}

func TestEventMessages(t *testing.T) {
	tests := []struct {
		name, kind, message string
		want                string // "" = refused
	}{
		{"plain", "", "aGVsbG8=", "hello"},
		{"plain without padding", "", "aGVsbG8", "hello"},
		{"with a payload", "apns", "payload=aGVsbG8=", "hello"},
		{"plain for a platform", "apns", "aGVsbG8=", "hello"},
		{"Google's form", "gcm", "data.message=aGVsbG8=&data.x=eQ==", "data.message=hello\ndata.x=y"},
		{"Google's form for Apple", "apns", "data.message=aGVsbG8=", ""},
		{"Google's form without base64", "gcm", "data.message=***", ""},
		{"not base64", "", "hello there!", ""},
		{"nothing", "", "", ""},
		{"an empty payload", "apns", "payload=", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := sandbox.New(sandbox.Options{})
			ann := people(t, s, "ann")[0]
			body := fmt.Sprintf(`{"event":{"notification_type":"push","environment":"production","push_type":%q,"message":%q,"user":{"ids":%q}}}`, tt.kind, tt.message, ann.id)
			if tt.want == "" {
				ann.call(422, "POST /events.json", body)
				if n := len(s.Outbox()); n != 0 {
					t.Errorf("%d items are in the outbox", n)
				}
				return
			}
			g := ann.call(201, "POST /events.json", body)
			if g.str("0.event.message") != tt.message || s.Outbox()[0].Text != tt.want {
				t.Errorf("answer %s, outbox %+v", g.text, s.Outbox())
			}
		})
	}
}

func TestEventRefusals(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	ann := people(t, s, "ann")[0]
	whole := event(`"event_type":"one_shot","push_type":"gcm","user":{"ids":"1"}`, "hi")
	ann.call(201, "POST /events.json", whole)
	for name, edit := range map[string][2]string{
		"kind":            {`"notification_type":"push"`, `"notification_type":"email"`},
		"no kind":         {`"notification_type":"push",`, ``},
		"environment":     {`"development"`, `"staging"`},
		"empty list":      {`"user":{"ids":"1"}`, `"environment":[]`},
		"push type":       {`"gcm"`, `"pigeon"`},
		"event type":      {`"one_shot"`, `"monthly"`},
		"unknown users":   {`"user":{"ids":"1"},`, ``},
		"no ids":          {`"ids":"1"`, `"ids":[]`},
		"ids of no user":  {`"ids":"1"`, `"ids":"john"`},
		"no tags":         {`"ids":"1"`, `"tags":{}`},
		"no event":        {`"event"`, `"evnt"`},
		"event is a text": {whole, `{"event":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			ann.call(422, "POST /events.json", strings.Replace(whole, edit[0], edit[1], 1))
		})
	}
	if n := len(s.Outbox()); n != 1 {
		t.Errorf("%d items are in the outbox, want one", n)
	}
}
