package rest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// town returns ann (1), bob (2), carl (3) and two users without a name (4, 5), created
// an hour apart.
func town(t *testing.T) *core.Registry {
	t.Helper()
	r := core.NewRegistry(10, 10)
	r.NextUser = 0
	for i, p := range []core.Profile{
		{Login: "ann", Email: "ann@example.com", FullName: "Hunter Ann", ExternalID: "1,2", Tags: []string{"red"}},
		{Login: "bob", Email: "bob@example.com", FullName: "Hunter Bob", ExternalID: "e2", Tags: []string{"red", "blue"}},
		{Login: "carl", FullName: "carl", Phone: "123"},
		{Login: "d-1"},
		{Login: "d-2"},
	} {
		if err := r.Add(&core.User{Profile: p}, time.Unix(int64(i)*3600, 0)); err != nil {
			t.Fatal(err)
		}
	}
	return &r
}

func TestV2Query(t *testing.T) {
	tests := []struct {
		query string
		want  string // IDs, or "invalid"
	}{
		{"id=2", "2"},
		{"id[in][]=3&id[in][]=1", "1 3"},
		{"id[in]=3,1,+1", "1 3"},
		{"id=x", ""},
		{"login=ann", "1"},
		{"login=ANN", ""},
		{"email=ANN@example.com", "1"},
		{"external_id=e2", "2"},
		{"external_id=1,2", "1"}, // an equality is no list
		{"phone=123", "3"},
		{"user_tags=red", "1 2"},
		{"user_tags[in][]=blue&user_tags[in][]=green", "2"},
		{"full_name[start_with]=Hunt", "1 2"},
		{"full_name[start_with]=hunt", ""},
		{"login[in]=ann,bob,carl&login[nin]=bob", "1 3"},
		{"login[in]=ann,bob,carl&user_tags[nin][]=blue", "1 3"},
		{"login[in]=ann,bob,carl&created_at[gt]=0", "2 3"},
		{"login[in]=ann,bob,carl&created_at[gte]=3600&created_at[lt]=7200", "2"},
		{"login[in]=ann,bob,carl&created_at[lte]=1970-01-01T01:00:00Z", "1 2"},
		{"login[in]=ann,bob,carl&created_at[gt]=1970-01-01", "2 3"},
		{"login[in]=ann,bob,carl&updated_at[gt]=1970-01-01T00:59:59.999Z", "2 3"},
		{"login[in]=ann,bob&last_request_at[gt]=1", ""},
		{"login[in]=ann,bob&created_at=1970-01-01T01:00:00Z", "2"},
		{"login[in]=ann,bob&external_id=e2", "2"},
		{"sort_desc=login&login[in]=ann,bob,carl", "3 2 1"},
		{"sort_asc=full_name&login[in]=carl,bob,ann", "1 2 3"},
		{"sort_desc=created_at&id[in]=1,2,3,4,5&limit=2&offset=1", "4 3"},
		{"id[in]=1,2,3,4,5&offset=9", ""},
		{"page=1&per_page=50&id[in]=1,2", "1 2"},
		{"custom_data=x&id=1", "1"},
		{"tags[]=a&id=1", "1"},

		{"", "invalid"},
		{"limit=5", "invalid"},
		{"login[nin]=ann", "invalid"},
		{"created_at[gt]=0", "invalid"},
		{"full_name[start_with]=Hun", "invalid"},
		{"full_name[start_with]=%D0%96%D0%96", "invalid"}, // 4 bytes, 2 characters
		{"id[start_with]=1234", "invalid"},
		{"login[gt]=a&id=1", "invalid"},
		{"created_at=5", "invalid"},
		{"created_at=yesterday&id=1", "invalid"},
		{"created_at[start_with]=1970&id=1", "invalid"},
		{"created_at[in]=5&id=1", "invalid"},
		{"created_at[gt]=yesterday&id=1", "invalid"},
		{"created_at[gt]=2020-02-30&id=1", "invalid"},
		{"login=", "invalid"},
		{"login[]=ann", "invalid"},
		{"login[in]=,", "invalid"},
		{"login[eq]=ann", "invalid"},
		{"login[like]=ann", "invalid"},
		{"password=x", "invalid"}, // ignored, so that no field stands alone
		{"password[eq]=x&id=1", "invalid"},
		{"page[gt]=1&id=1", "invalid"},
		{"id=1&sort_asc=shoe_size", "invalid"},
		{"id=1&sort_asc=user_tags", "invalid"}, // a list has no order
		{"id=1&sort_asc=login&sort_desc=login", "invalid"},
		{"id=1&limit=0", "invalid"},
		{"id=1&limit=many", "invalid"},
		{"id=1&offset=-1", "invalid"},
		{"id[in]=" + strings.Repeat("1,", maxValues+1), "invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			p, err := decodeForm(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			got := "invalid"
			if q, err := parseV2(p); err == nil {
				page, total := q.run(town(t))
				got = ids(page)
				if len(page) > total || q.limit > maxPage {
					t.Errorf("%d of %d, limit %d", len(page), total, q.limit)
				}
			}
			if got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

func ids(page []*core.User) string {
	var out []string
	for _, u := range page {
		out = append(out, fmt.Sprint(u.ID))
	}
	return strings.Join(out, " ")
}

func TestV2Limits(t *testing.T) {
	for query, want := range map[string]int{
		"id=1":                                  100,
		"id=1&limit=7":                          7,
		"id=1&limit=1000":                       100,
		"full_name[start_with]=Hunter":          5,
		"full_name[start_with]=Hunter&limit=50": 5,
		"full_name[start_with]=Hunter&limit=2":  2,
	} {
		p, err := decodeForm(query)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := parseV2(p); err != nil || q.limit != want {
			t.Errorf("%s: limit %d, %v, want %d", query, q.limit, err, want)
		}
	}
}

// FuzzV2Query: the indexes find the same as a scan, and no query finds a user that its
// filters exclude.
//
//	go test -run '^$' -fuzz '^FuzzV2Query$' -fuzztime 2m ./connectycube/sandbox/rest
//
// testdata/fuzz holds the findings of earlier runs.
func FuzzV2Query(f *testing.F) {
	for _, seed := range []string{
		"id=2", "id[in][]=3&id[in][]=1", "email=ANN@example.com&user_tags=red", "external_id=1,2&sort_desc=login",
		"full_name[start_with]=Hunter&created_at[gte]=3600", "login[in]=ann,bob&login[nin]=bob&offset=1&limit=1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := decodeForm(raw)
		if err != nil {
			return
		}
		q, err := parseV2(p)
		if err != nil {
			return
		}
		r := town(t)
		page, total := q.run(r)
		scan := q
		scan.exact = nil
		byScan, totalByScan := scan.run(r)
		if !slices.Equal(page, byScan) || total != totalByScan {
			t.Errorf("%q: index finds %s of %d, scan %s of %d", raw, ids(page), total, ids(byScan), totalByScan)
		}
		if len(page) > q.limit || q.limit < 1 || q.limit > maxPage || q.offset < 0 {
			t.Errorf("%q: %d users, limit %d, offset %d", raw, len(page), q.limit, q.offset)
		}
		for _, u := range page {
			for _, filter := range q.filters {
				if !filter.matches(u) {
					t.Errorf("%q: user %d does not match %+v", raw, u.ID, filter)
				}
			}
		}
	})
}

func TestParams(t *testing.T) {
	tests := []struct {
		raw  string
		want string // of fmt; "" = an error
	}{
		{"user[login]=a&user[password]=b", "map[user:map[login:a password:b]]"},
		{"tags[]=a&tags[]=b", "map[tags:[a b]]"},
		{"id[in][]=1&id[in][]=2", "map[id:map[in:[1 2]]]"},
		{"type[in]=2,3", "map[type:map[in:2,3]]"},
		{"a=1&a=2", "map[a:2]"},
		{"a=%FF", "map[a:\uFFFD]"},
		{"a", "map[a:]"},
		{"", "map[]"},
		{"a=1&a[b]=2", ""},
		{"a[]=1&a[b]=2", ""},
		{"a[b]=1&a[b][c]=2", ""},
		{"a[b=1", ""},
		{"a[b]c=1", ""},
		{"a[][b]=1", ""},
		{"[a]=1", ""},
		{"a[b][c][d][e][f]=1", ""},
		{"a=%zz", ""},
		{"a;b=c;d", "map[a;b:c;d]"},
		{strings.Repeat("a=1&", maxFields), ""},
	}
	for _, tt := range tests {
		got := ""
		if p, err := decodeForm(tt.raw); err == nil {
			got = fmt.Sprint(map[string]any(p))
		}
		if got != tt.want {
			t.Errorf("%.40q: got %q, want %q", tt.raw, got, tt.want)
		}
	}
}

func TestLists(t *testing.T) {
	p, err := decodeBody([]byte(`{"a":"1, 2,,3 ","b":["1","2,3",4,null,{}],"c":5,"d":null,"e":{"x":1}}`), "")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"a": "1|2|3", "b": "1|2|3|4", "c": "5", "d": "", "e": "", "f": ""} {
		if got := strings.Join(p.List(key), "|"); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}

// FuzzParams: any input decodes or is refused, and the form that an SDK would send for
// the decoded fields decodes to the same fields.
//
//	go test -run '^$' -fuzz '^FuzzParams$' -fuzztime 2m ./connectycube/sandbox/rest
//
// testdata/fuzz holds the findings of earlier runs.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{
		`{"user":{"login":"a","tag_list":["x","y"]}}`, "user[login]=a&tags[]=b&tags[]=c", "id[in][]=1", `{"a":1e400}`, `[`, "a=%FF", "", `{"a":`,
	} {
		f.Add(seed, "application/json")
		f.Add(seed, "application/x-www-form-urlencoded")
	}
	f.Fuzz(func(t *testing.T, body, contentType string) {
		p, err := decodeBody([]byte(body), contentType)
		if err != nil {
			return
		}
		for key := range p {
			_, _ = p.Integer(key)
			for _, item := range p.List(key) {
				if item == "" || strings.Contains(item, ",") || item != strings.TrimSpace(item) {
					t.Errorf("list of %q has %q", key, item)
				}
			}
		}
		if strings.HasPrefix(strings.TrimSpace(body), "{") {
			return
		}
		form := url.Values{}
		flatten(form, "", p)
		again, err := decodeForm(form.Encode())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(p) {
			t.Errorf("%q decodes to %v, and %q to %v, %v", body, p, form.Encode(), again, err)
		}
	})
}

// flatten writes decoded fields as a form.
func flatten(to url.Values, prefix string, fields map[string]any) {
	for key, v := range fields {
		if prefix != "" {
			key = prefix + "[" + key + "]"
		}
		switch v := v.(type) {
		case map[string]any:
			flatten(to, key, v)
		case []any:
			for _, item := range v {
				to.Add(key+"[]", fmt.Sprint(item))
			}
		default:
			to.Add(key, fmt.Sprint(v))
		}
	}
}
