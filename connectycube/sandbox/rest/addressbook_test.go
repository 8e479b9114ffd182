package rest

import (
	"fmt"
	"testing"

	"cubegate/connectycube/sandbox/core"
)

func TestDevicesOfAnAddressBookAreBounded(t *testing.T) {
	s := newTestAPI(core.Options{}, nil)
	live := &core.Session{User: &core.User{ID: 1}}
	upload := func(device string) error {
		contacts := []any{map[string]any{"phone": "1234567890", "name": "n"}}
		_, err := uploadAddressBook(s, &request{params: core.Params{"contacts": contacts, "udid": device}}, live)
		return err
	}
	for i := range maxUserDevices {
		if err := upload(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if upload("one more") == nil {
		t.Error("one device too many is accepted")
	}
	if err := upload("3"); err != nil {
		t.Errorf("a known device: %v", err)
	}
	s.AddressBooks.Forget(1)
	if err := upload("one more"); err != nil {
		t.Errorf("after the user was deleted: %v", err)
	}
}
