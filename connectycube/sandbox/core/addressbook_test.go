package core

import (
	"fmt"
	"testing"
)

// The number of all contacts is bounded, so every change must keep it right.
func TestContactsAreCounted(t *testing.T) {
	a := newAddressBooks()
	for i := range 300 {
		user, device, phone := int64(i%3), fmt.Sprint("d", i%5), fmt.Sprint(i%17)
		switch i % 7 {
		case 5:
			a.remove(user, device, phone)
		case 6:
			a.Prune(user, device, map[string]bool{phone: true})
		default:
			a.set(user, device, contact{phone, "n"})
		}
		total := 0
		for _, books := range a.OfUser {
			for _, contacts := range books {
				total += len(contacts)
				if len(contacts) == 0 {
					t.Fatalf("step %d left an empty book", i)
				}
			}
		}
		if total != a.total {
			t.Fatalf("step %d: %d contacts are counted, there are %d", i, a.total, total)
		}
	}
	for user := range int64(3) {
		a.Forget(user)
	}
	if a.total != 0 || len(a.OfUser) != 0 {
		t.Errorf("after all users are gone: %+v", a)
	}
}

func TestContactsAreBounded(t *testing.T) {
	a := newAddressBooks()
	a.total = maxContacts
	var out BookReport
	if reasons := a.Upload(&out, 1, "", "1234567890", Params{"name": "n"}); len(reasons) != 1 || out.Created != 0 {
		t.Errorf("reasons %q, %+v", reasons, out)
	}
}
