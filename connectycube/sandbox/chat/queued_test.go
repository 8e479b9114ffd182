package chat

import (
	"testing"

	"cubegate/connectycube/xmpp"
)

// The bytes that wait for all streams together are bounded: thousands of lost streams hold no
// more than a few do.
func TestQueuesOfAllStreamsAreBoundedTogether(t *testing.T) {
	s := New(Options{})
	text := make([]byte, 64<<10)
	var streams []*stream
	for user := range int64(3 * maxQueuedBytes / maxStreamBytes) {
		st := newStream(s, user, xmpp.JID{})
		streams = append(streams, st)
		for range maxStreamBytes/len(text) - 1 { // no stream is full alone
			st.push(outgoing{text: text, stanza: true, content: &content{text: text}})
		}
	}
	held := int64(0)
	for _, st := range streams {
		held += int64(st.size)
	}
	if held != s.queued.Load() {
		t.Errorf("%d bytes are counted, want %d", s.queued.Load(), held)
	}
	if most := int64(2*maxQueuedBytes + len(text)); held > most {
		t.Errorf("%d bytes wait for all streams, want at most %d", held, most)
	}
	reader := newStream(s, 1, xmpp.JID{}) // nothing waits for it
	if !reader.push(outgoing{text: make([]byte, 1<<10)}) || reader.full {
		t.Error("a stream that reads was ended")
	}
	s.mu.Lock()
	for _, st := range streams {
		st.flight = nil
		for i := range st.queue {
			st.queue[i].content = nil // no user to rescue it for
		}
		s.end(st)
	}
	s.mu.Unlock()
	if got := s.queued.Load(); got != int64(reader.size) {
		t.Errorf("%d bytes are counted once the streams have ended, want %d", got, reader.size)
	}
}
