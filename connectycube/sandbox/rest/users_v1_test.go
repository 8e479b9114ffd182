package rest

import (
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox/core"
)

func TestV1List(t *testing.T) {
	tests := []struct {
		query string
		want  string // IDs, or "invalid"
	}{
		{"", "1 2 3 4 5"},
		{"filter[]=number id in 3,1", "1 3"},
		{"filter=number id eq 2", "2"},
		{"filter[eq]=number id eq 2", "2"},
		{"filter[]=number id gt 3", "4 5"},
		{"filter[]=number id ge 3&filter[]=number id lt 5", "3 4"},
		{"filter[]=number id le 2", "1 2"},
		{"filter[]=number id ne 2", "1 3 4 5"},
		{"filter[]=number id between 2,4", "2 3 4"},
		{"filter[]=string login eq ann", "1"},
		{"filter[]=string login gt bob", "3 4 5"},
		{"filter[]=string email eq ANN@example.com", "1"},
		{"filter[]=string email ne ann@example.com", "2 3 4 5"}, // users without an email match, too
		{"filter[]=string full_name eq Hunter Bob", "2"},
		{"filter[]=string full_name in Hunter Bob, Hunter Ann", "1 2"},
		{"filter[]=string user_tags in blue,green", "2"},
		{"filter[]=string user_tags ne red", "3 4 5"},
		{"filter[]=string phone eq 123", "3"},
		{"filter[]=number phone gt 5", "3"}, // users without a phone do not match
		{"filter[]=string website eq http://x", ""},
		{"filter[]=date created_at eq 1970-01-01", ""},
		{"filter[]=date created_at gt 1970.01.01", "1 2 3 4 5"},
		{"filter[]=date created_at between 2026-01-01,2026-01-02", "1 2 3 4 5"},
		{"filter[]=date created_at lt 2026-01-01T10:00:00.000Z", ""}, // by the day
		{"filter[]=date last_request_at gt 1970-01-01", ""},
		{"external_user_id=7", ""},
		{"order=desc string login&per_page=2", "5 4"},
		{"order=asc string full_name", "4 5 1 2 3"},
		{"order=desc string id", "5 4 3 2 1"},                // the SDK sends string for every field
		{"order=desc integer external_user_id", "1 2 3 4 5"}, // no user has one: by ID
		{"page=2&per_page=2", "3 4"},
		{"page=9", ""},

		{"filter[]=id", "invalid"},
		{"filter[]=number id in", "invalid"},
		{"filter[]=number id in ,", "invalid"},
		{"filter[]=number id in " + strings.Repeat("1,", maxValues+1), "invalid"},
		{"filter[]=number id between 1", "invalid"},
		{"filter[]=number id between 1,2,3", "invalid"},
		{"filter[]=number id like 1", "invalid"},
		{"filter[]=number id eq x", "invalid"},
		{"filter[]=number created_at eq 1", "invalid"},
		{"filter[]=date id eq 2026-01-01", "invalid"},
		{"filter[]=date created_at eq yesterday", "invalid"},
		{"filter[]=boolean id eq true", "invalid"},
		{"filter[]=string custom_data eq x", "invalid"},
		{"filter[]=string password eq x", "invalid"},
		{"order=login", "invalid"},
		{"order=up string login", "invalid"},
		{"order=asc string password", "invalid"},
		{"page=0", "invalid"},
		{"per_page=0", "invalid"},
		{"per_page=many", "invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			if got := listV1(t, tt.query); got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOfSeveralTheOldestIsFound(t *testing.T) {
	r := town(t)
	for _, id := range []int64{5, 2, 4} {
		r.Users[id].FacebookID = "f"
	}
	for range 20 { // the order of maps differs each time
		if u := oldestUser(r, "facebook_id", "f"); u == nil || u.ID != 2 {
			t.Fatalf("found %+v", u)
		}
	}
}

// listV1 returns the IDs of the users that a query finds.
func listV1(t *testing.T, query string) string {
	t.Helper()
	s := newTestAPI(core.Options{Dashboard: core.Settings{V1Users: true}}, nil)
	s.Registry = *town(t)
	for _, u := range s.Registry.Users {
		u.Created = u.Created.AddDate(56, 0, 0) // to 2026: a date at the epoch is null
	}
	p, err := decodeForm(strings.ReplaceAll(query, " ", "+"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := listUsersV1(s, &request{params: p}, nil)
	if err != nil {
		return "invalid"
	}
	page := answer.body.(map[string]any)
	items := page["items"].([]map[string]userJSON)
	if n := page["per_page"].(int); len(items) > n || n > maxPage {
		t.Errorf("%d items of %d", len(items), n)
	}
	var found []*core.User
	for _, item := range items {
		found = append(found, s.Registry.Users[item["user"].ID])
	}
	return ids(found)
}

// FuzzV1Filter: a filter is refused, or can be applied to every user, and only its
// negation finds users without the field.
//
//	go test -run '^$' -fuzz '^FuzzV1Filter$' -fuzztime 2m ./connectycube/sandbox/rest
//
// testdata/fuzz holds the findings of earlier runs.
func FuzzV1Filter(f *testing.F) {
	for _, seed := range []string{
		"number id in 51941,51946", "string full_name eq John Smith", "date created_at between 2018-12-06,2018.12.07",
		"date updated_at gt 2018-12-06T09:21:41.000Z", "number timezone ne 180", "string user_tags in a, b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := parseV1Filter(text)
		if err != nil {
			return
		}
		if len(filter.texts) == 0 || len(filter.texts) > maxValues || filter.numbers != nil && len(filter.numbers) != len(filter.texts) {
			t.Errorf("%q has values %q, %v", text, filter.texts, filter.numbers)
		}
		for _, u := range town(t).Users {
			filter.matches(u)
		}
		none := time.Unix(0, 0)
		if empty := (&core.User{Created: none, Updated: none}); filter.matches(empty) != (filter.op == "ne" && filter.col.text != nil) && !strings.Contains(text, " id ") {
			t.Errorf("%q: a user without fields matches: %v", text, filter.matches(empty))
		}
	})
}
