package core

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestMeetingsAreBounded(t *testing.T) {
	isFull := func(err error) bool {
		var refused *Refusal
		return errors.As(err, &refused) && refused.Status == 503
	}
	small := newMeetings()
	for i := range maxMeetings {
		if err := small.Put(Meeting{ID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := small.Put(Meeting{ID: "one more"}); !isFull(err) {
		t.Errorf("error %v", err)
	}
	if err := small.Put(Meeting{ID: "7", Name: "changed"}); err != nil || small.byID["7"].Name != "changed" {
		t.Errorf("a change: %v", err)
	}

	big := newMeetings()
	crowd := make([]Attendee, MostAttendees)
	for i := range crowd {
		crowd[i].Email = strings.Repeat("x", 255)
	}
	n := 0
	for big.Put(Meeting{ID: fmt.Sprint(n), Attendees: crowd}) == nil {
		n++
	}
	if big.bytes > maxMeetingBytes || n < 400 {
		t.Errorf("%d meetings of %d bytes", n, big.bytes)
	}
	if err := big.Put(Meeting{ID: "0"}); err != nil {
		t.Errorf("a full store refuses less: %v", err)
	}
	for _, m := range big.byID {
		big.Remove(m)
	}
	if big.bytes != 0 {
		t.Errorf("%d bytes are left", big.bytes)
	}
}
