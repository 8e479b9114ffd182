package resolvers

import (
	"testing"

	"cubegate/resolvers/identity"
	"cubegate/resolvers/transport"
	"cubegate/resolvers/transport/transporttest"
	"cubegate/store"
)

func TestPageInputHasBounds(t *testing.T) {
	limit := func(n int32) *pageInput { return &pageInput{Limit: &n} }
	after := "x"
	for name, tt := range map[string]struct {
		in   *pageInput
		want identity.Page
	}{
		"no page":  {nil, identity.Page{Limit: store.MaxPage}},
		"no limit": {&pageInput{After: &after}, identity.Page{After: "x", Limit: store.MaxPage}},
		"some":     {limit(7), identity.Page{Limit: 7}},
		"zero":     {limit(0), identity.Page{Limit: 1}},
		"negative": {limit(-1), identity.Page{Limit: 1}},
		"too many": {limit(store.MaxPage + 1), identity.Page{Limit: store.MaxPage}},
	} {
		if got := tt.in.page(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

// TestPageHasTheStoresNext checks that the cursor of the next page is the store's, because the
// store skips malformed documents and a full page may have fewer items.
func TestPageHasTheStoresNext(t *testing.T) {
	h := transport.Bearer(crowdedAPI(t))
	for document, want := range map[string]any{
		`{users(page: {limit: 100}) {next}}`: "later",
		`{audit(page: {limit: 100}) {next}}`: "older",
	} {
		got := transporttest.Ask(t, withHeader(h, "Authorization", "Bearer good "+adaID), document, nil)
		for _, list := range got.Data {
			if next := list.(map[string]any)["next"]; next != want {
				t.Errorf("%s: next is %v, want %q", document, next, want)
			}
		}
		if got.Code() != "" || len(got.Data) != 1 {
			t.Errorf("%s: %s", document, got.Text)
		}
	}
	f := newFakes(t)
	f.users.User.Roles = []string{"admin"}
	got := transporttest.Ask(t, withHeader(transport.Bearer(f.graphQL(t)), "Authorization", "Bearer good "+adaID), `{users {items {id} next}}`, nil)
	if page, _ := got.Data["users"].(map[string]any); page["next"] != nil || got.Code() != "" {
		t.Errorf("a short page: %s", got.Text)
	}
}
