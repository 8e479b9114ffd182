package sandbox_test

import (
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

func TestACallIsRejectedByREST(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := chatters(t, s, "anna", "boris")
	anna, boris := all[0], all[1]
	g := boris.call(200, "POST /calls/reject.json", `{"recipientId":`+anna.id+`,"sessionID":"56eddd33-b3dd-42ee-bf33-11ca1c03218a","platform":"Web","userInfo":{"busy":true,"friend_id":10}}`)
	if strings.TrimSpace(g.text) != "{}" {
		t.Errorf("answer %q", g.text)
	}
	e := anna.next()
	if e.Attr("type") != "headline" || e.Attr("from") != boris.id+jids || e.Attr("id") == "" {
		t.Errorf("got %s", e)
	}
	for name, want := range map[string]string{
		"moduleIdentifier": "WebRTCVideoChat", "signalType": "reject",
		"sessionID": "56eddd33-b3dd-42ee-bf33-11ca1c03218a", "platform": "Web",
	} {
		if v := extra(e, name); v != want {
			t.Errorf("%s = %q, want %q", name, v, want)
		}
	}
	if xml := e.String(); !strings.Contains(xml, "<userInfo><busy>true</busy><friend_id>10</friend_id></userInfo>") {
		t.Errorf("got %s", xml)
	}
	if n := s.State().Totals.Messages; n != 0 {
		t.Errorf("%d messages are stored", n)
	}

	boris.call(200, "POST /calls/reject", `{"recipientId":"`+anna.id+`","sessionID":1701789791673}`) // a timestamp, which the documentation suggests
	if e := anna.next(); extra(e, "sessionID") != "1701789791673" || strings.Contains(e.String(), "userInfo") {
		t.Errorf("got %s", e)
	}
	for name, body := range map[string]string{
		"unknown user": `{"recipientId":1,"sessionID":"x"}`,
		"no user":      `{"sessionID":"x"}`,
		"no call":      `{"recipientId":` + anna.id + `}`,
		"long call":    `{"recipientId":` + anna.id + `,"sessionID":"` + strings.Repeat("x", 256) + `"}`,
		"platform":     `{"recipientId":` + anna.id + `,"sessionID":"x","platform":"telegraph"}`,
		"user info":    `{"recipientId":` + anna.id + `,"sessionID":"x","userInfo":"busy"}`,
	} {
		if g := boris.call(422, "POST /calls/reject", body); g.str("errors.base.0") == "" {
			t.Errorf("%s: %s", name, g.text)
		}
	}
	boris.stanza(anna.id+jids, "chat", "m", `<body>last</body>`)
	if e := anna.next(); body(e) != "last" {
		t.Errorf("a refused call gave %s", e)
	}
}
