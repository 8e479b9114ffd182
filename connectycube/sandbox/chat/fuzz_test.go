package chat_test

import (
	"strings"
	"testing"
)

// FuzzStanza sends random stanzas on a bound stream. The server must continue: other clients
// get answers, even if the sender's stream ends.
//
//	go test -run '^$' -fuzz '^FuzzStanza$' -fuzztime 2m ./connectycube/sandbox/chat
//
// testdata/fuzz holds the findings of earlier runs.
func FuzzStanza(f *testing.F) {
	for _, seed := range []string{
		chatTo(202, "1", "x"), groupTo(team, "2", "x"), join(team),
		`<presence/>`, `<presence type="unavailable"/>`,
		`<enable` + ns + ` resume="1"/>`, `<r` + ns + `/>`, `<a` + ns + ` h="1"/>`, `<resume` + ns + ` previd="" h="0"/>`,
		iq("get", "", `<query xmlns="jabber:iq:privacy"><list name="l"/></query>`),
		iq("set", "", `<query xmlns="jabber:iq:privacy"><list name="l"><item action="deny" order="1"><message/></item></list></query>`),
		iq("set", "", `<query xmlns="jabber:iq:privacy"><default name="l"/></query>`),
		iq("get", bareJID(202), `<query xmlns="jabber:iq:last"/>`),
		iq("set", "", `<subscribe xmlns="https://connectycube.com/protocol/status_streaming" user_jid="202-1001@`+domain+`" enable="true"/>`),
		`<message to="` + bareJID(202) + `" type="chat"><body>n</body><replace xmlns="urn:xmpp:message-correct:0" id="1"/></message>`,
		`<message to="` + roomJID(team) + `/202" type="chat"><displayed xmlns="urn:xmpp:chat-markers:0" id="1"/></message>`,
		`<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`,
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		w := newFixture(t, nil)
		b := w.online(202)
		a := w.online(101)
		for _, frame := range []string{one, two} {
			if a.trySend(strings.ToValidUTF8(frame, "?")) != nil {
				break
			}
		}
		_ = a.trySend(iq("get", "", `<ping xmlns="urn:xmpp:ping"/>`))
		a.play(`<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`, "close")
		b.sync()
		w.server.Sockets()
	})
}
