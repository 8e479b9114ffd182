package sandbox_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"
)

const emma = `{"full_name":"Emma","age":41,"job":"accountant","languages":["de","en"],"is_member":true}`

// record creates a record and returns its ID.
func (p person) record(class, body string) string {
	p.t.Helper()
	return p.call(201, "POST /data/"+class+".json", body).str("_id")
}

// class creates the records that searches find, and returns their names by ID.
func (p person) class() map[string]string {
	p.t.Helper()
	names := map[string]string{}
	for _, body := range []string{
		`{"full_name":"Emma","age":41,"score":1.5,"job":"accountant","languages":["de","en"],"is_member":true}`,
		`{"full_name":"Fred","age":9,"score":-2,"languages":["en"],"is_member":false}`,
		`{"full_name":"Gina","age":100,"job":"count","languages":[]}`,
		`{"full_name":"Hans"}`,
	} {
		var named struct {
			Name string `json:"full_name"`
		}
		if err := json.Unmarshal([]byte(body), &named); err != nil {
			p.t.Fatal(err)
		}
		names[p.record("profile", body)] = named.Name
	}
	return names
}

// found returns the names of the records of a list, in their order.
func found(g got, names map[string]string) string {
	var all []string
	for _, id := range g.strs("items", "_id") {
		all = append(all, names[id])
	}
	return strings.Join(all, " ")
}

func TestARecordIsCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the dates are whole seconds
		s := sandbox.New(sandbox.Options{})
		ann := people(t, s, "ann")[0]
		g := ann.call(201, "POST /data/profile.json", emma)
		for path, want := range map[string]string{
			"full_name": "Emma", "age": "41", "languages": "[de en]", "is_member": "true", "user_id": ann.id,
			"created_at": fmt.Sprint(s.Now().Unix()), "updated_at": fmt.Sprint(s.Now().Unix()),
			"permissions": "map[delete:map[access:owner] read:map[access:open] update:map[access:owner]]",
		} {
			if v := g.str(path); v != want {
				t.Errorf("%s = %q, want %q", path, v, want)
			}
		}
		if parent, has := g.at("_parent_id"); !has || parent != nil || len(g.str("_id")) != 24 {
			t.Errorf("answer %s", g.text)
		}
		other := ann.call(201, "POST /data/profile", `{"full_name":"Fred","age":"9","user_id":7,"_id":"x","id":"x","created_at":1}`)
		if job, has := other.at("job"); !has || job != nil || other.str("user_id") != ann.id || other.str("created_at") == "1" {
			t.Errorf("fields of the class and of the service: %s", other.text)
		}
		if age, _ := other.at("age"); age != json.Number("9") {
			t.Errorf("age = %#v, want a number, as the field has", age)
		}
		if name, _ := ann.call(201, "POST /data/profile", `{"full_name":"007"}`).at("full_name"); name != "007" {
			t.Errorf("full_name = %#v, want a text, as the field has", name)
		}
		if list := ann.call(200, "GET /data/other", ""); list.str("items") != "[]" || list.str("class_name") != "other" {
			t.Errorf("a class without records: %s", list.text)
		}
		c := in(t, s)
		if g := c.send("POST", "/data/profile", emma, "CB-Token", c.open("")); g.status != 403 {
			t.Errorf("without a user: %d %s", g.status, g.text)
		}
	})
}

func TestSeveralRecordsAreCreatedOrNone(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	many := `{"record":{"10":{"n":3},"2":{"n":2},"1":{"n":1}}}`
	g := ann.call(201, "POST /data/list/multi.json", many)
	if g.str("class_name") != "list" || strings.Join(g.strs("items", "n"), " ") != "1 2 3" || g.str("items.0.permissions.read.access") != "open" {
		t.Errorf("answer %s", g.text)
	}
	form := ann.send("POST", "/data/list/multi", "record[0][n]=7&record[1][n]=null&record[1][t]=null+", "CB-Token", ann.token)
	if form.status != 201 || form.str("items.0.n") != "7" || form.str("items.1.n") != "" || form.str("items.1.t") != "null " {
		t.Errorf("a form: %d %s", form.status, form.text)
	}
	for _, bad := range []string{`{}`, `{"record":{}}`, `{"record":[]}`, `{"record":{"0":1}}`, `{"record":{"0":{"n":1},"1":{"n":{"a":1}}}}`} {
		ann.call(422, "POST /data/list/multi", bad)
	}
	if n := ann.call(200, "GET /data/list?count=1", "").str("items.count"); n != "5" {
		t.Errorf("%s records, want 5", n)
	}
}

func TestRecordsAreFound(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	names := ann.class()
	for _, tt := range []struct{ query, want string }{
		{"", "Emma Fred Gina Hans"},
		{"?age=41", "Emma"},
		{"?age=41.0", "Emma"},
		{"?age[gt]=9", "Emma Gina"},
		{"?age[gte]=9&age[lt]=41.5", "Emma Fred"},
		{"?age[lte]=9", "Fred"},
		{"?score[lt]=0", "Fred"},
		{"?age[ne]=41", "Fred Gina Hans"},
		{"?age[in]=9,100", "Fred Gina"},
		{"?age[in][]=9&age[in][]=100", "Fred Gina"},
		{"?age[or]=9,41", "Emma Fred"},
		{"?age[nin]=9,100", "Emma Hans"},
		{"?full_name=Emma", "Emma"},
		{"?full_name=emma", ""},
		{"?full_name[gt]=Fred", "Gina Hans"},
		{"?job[ctn]=count", "Emma Gina"},
		{"?age[ctn]=1", "Emma Gina"},
		{"?is_member=true", "Emma"},
		{"?is_member=0", "Fred"},
		{"?is_member[ne]=true", "Fred Gina Hans"},
		{"?job=null", "Fred Hans"},
		{"?job[ne]=null", "Emma Gina"},
		{"?languages=en", "Emma Fred"},
		{"?languages[all]=en,de", "Emma"},
		{"?languages[nin]=de", "Fred Gina Hans"},
		{"?shoe_size=44", ""},
		{"?user_id=" + ann.id, "Emma Fred Gina Hans"},
		{"?user_id[gt]=" + ann.id, ""},
		{"?created_at[gte]=2024-01-01T00:00:00Z", "Emma Fred Gina Hans"},
		{"?created_at[lt]=2024-01-01T00:00:00Z", ""},
		{"?sort_asc=age", "Hans Fred Emma Gina"},
		{"?sort_desc=full_name", "Hans Gina Fred Emma"},
		{"?sort_desc=age&skip=1&limit=2", "Emma Fred"},
		{"?sort_asc=age&limit=-1", "Gina"},
		{"?skip=1.0&limit=1.0", "Fred"},
		{"?skip=9", ""},
	} {
		if got := found(ann.call(200, "GET /data/profile.json"+tt.query, ""), names); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.query, got, tt.want)
		}
	}
	g := ann.call(200, "GET /data/profile?age[gt]=9&skip=1&limit=500", "")
	if g.str("skip") != "1" || g.str("limit") != "100" || g.str("class_name") != "profile" || g.str("items.0.permissions") != "" {
		t.Errorf("answer %s", g.text)
	}
	if g := ann.call(200, "GET /data/profile?count=1&age[gt]=9&limit=1", ""); g.str("items.count") != "2" {
		t.Errorf("count: %s", g.text)
	}
	for query, want := range map[string]string{
		"output[include]=age,job":    "_id age job",
		"output[include][]=age":      "_id age",
		"output[exclude]=age,_id":    "_id _parent_id created_at full_name is_member job languages score updated_at user_id",
		"output[include]=no_such":    "_id",
		"output[exclude]=languages,": "_id _parent_id age created_at full_name is_member job score updated_at user_id",
	} {
		item, _ := ann.call(200, "GET /data/profile?limit=1&"+query, "").at("items.0")
		var keys []string
		for key := range item.(map[string]any) {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		if got := strings.Join(keys, " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestSearchesThatAreRefused(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	ann.class()
	many := strings.Repeat("1,", 301)
	for query, text := range map[string]string{
		"near=30,50;1000":            "does not imitate near",
		"place[near]=30,50;1000":     "does not imitate near",
		"age[calc]=avg":              "does not imitate calc",
		"group_by=job":               "does not imitate group_by",
		"age[calc]=avg&group_by=job": "does not imitate",
		"age[between]=1":             "unknown operator",
		"age[eq]=1":                  "unknown operator",
		"limit=0":                    "limit",
		"limit=-2":                   "limit",
		"skip=-1":                    "skip",
		"limit=ten":                  "limit",
		"sort_asc=age&sort_desc=age": "sort",
		"sort_asc=":                  "sort",
		"age[in]=":                   "values",
		"age[in]=" + many:            "values",
		"a[in]=" + many[:400] + "&b[in]=" + many[:400]: "values",
		"age[gt][x]=1": "takes",
	} {
		if g := ann.call(422, "GET /data/profile?"+query, ""); !strings.Contains(g.text, text) {
			t.Errorf("%s: %s, want %q", query, g.text, text)
		}
	}
}

func TestRecordsByTheirIDs(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "ann", "bob")
	ann, bob := all[0], all[1]
	one, two := ann.record("profile", emma), ann.record("profile", `{"full_name":"Fred"}`)
	hidden := ann.record("profile", `{"full_name":"Gina","permissions":{"read":{"access":"owner"}}}`)
	elsewhere := ann.record("other", `{"full_name":"Hans"}`)
	g := bob.call(200, "GET /data/profile/"+two+","+one+","+hidden+","+elsewhere+","+one+".json", "")
	if strings.Join(g.strs("items", "full_name"), " ") != "Fred Emma" || g.str("items.0.permissions.read.access") != "open" {
		t.Errorf("answer %s", g.text)
	}
	if g := ann.call(200, "GET /data/profile/"+hidden, ""); g.str("items.0.full_name") != "Gina" || g.str("class_name") != "profile" {
		t.Errorf("answer %s", g.text)
	}
	bob.call(403, "GET /data/profile/"+hidden, "")
	bob.call(404, "GET /data/profile/"+elsewhere, "")
	bob.call(404, "GET /data/profile/nonsense", "")
	ann.call(422, "GET /data/profile/"+strings.Repeat(one+",", 1001), "")
	if g := ann.call(200, "GET /data/profile/"+hidden+"?permissions=1", ""); g.str("record_id") != hidden || g.str("permissions.read.access") != "owner" {
		t.Errorf("permissions: %s", g.text)
	}
	bob.call(403, "GET /data/profile/"+one+"?permissions=1", "")
}

func TestRecordsAreUpdated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the dates are whole seconds
		s := sandbox.New(sandbox.Options{})
		ann := people(t, s, "ann")[0]
		id := ann.record("profile", emma)
		made := s.Now().Unix()
		if err := s.Advance(time.Minute); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ body, field, want string }{
			{`{"job":"director","age":"22"}`, "job", "director"},
			{`{"id":"x","_id":"y"}`, "age", "22"},
			{`{"inc":{"age":1}}`, "age", "23"},
			{`{"inc":{"age":"-3"}}`, "age", "20"},
			{`{"inc":{"age":0.5}}`, "age", "20.5"},
			{`{"inc":{"visits":2}}`, "visits", "2"},
			{`{"age":9223372036854775807}`, "age", "9223372036854775807"},
			{`{"inc":{"age":1}}`, "age", "9.223372036854776e+18"},
			{`{"push":{"languages":["fr","en"]}}`, "languages", "[de en fr en]"},
			{`{"push":{"hobbies":"chess"}}`, "hobbies", "[chess]"},
			{`{"add_to_set":{"languages":["fr","it"]}}`, "languages", "[de en fr en it]"},
			{`{"add_to_set":{"hobbies":"chess"}}`, "hobbies", "[chess]"},
			{`{"pull":{"languages":"en"}}`, "languages", "[de fr it]"},
			{`{"languages":{"1":"es","0":"da"}}`, "languages", "[da es it]"},
			{`{"update_by_index":{"languages":{"2":"nl"}}}`, "languages", "[da es nl]"},
			{`{"pop":{"languages":"1"}}`, "languages", "[da es]"},
			{`{"pop":{"languages":-1}}`, "languages", "[es]"},
			{`{"pull_all":{"languages":["es","xx"]}}`, "languages", "[]"},
			{`{"pop":{"languages":1}}`, "languages", "[]"},
			{`{"numbers":[1,5,9,5]}`, "numbers", "[1 5 9 5]"},
			{`{"pull":{"numbers":{"gt":4,"lt":9}}}`, "numbers", "[1 9]"},
			{`{"pull_with_filter":{"numbers":{"gte":"9"}}}`, "numbers", "[1]"},
			{`{"pull":{"absent":"x"},"pop":{"absent":1},"pull_all":{"absent":["x"]}}`, "absent", ""},
			{`{"pop":"music"}`, "pop", "music"},
			{`{"is_member":null}`, "is_member", ""},
			{`{"numbers":[]}`, "numbers", "[]"},
		} {
			g := ann.call(200, "PUT /data/profile/"+id+".json", tt.body)
			if got := g.str(tt.field); got != tt.want {
				t.Errorf("%s: %s = %q, want %q", tt.body, tt.field, got, tt.want)
			}
			if again := ann.call(200, "GET /data/profile/"+id, ""); again.str("items.0."+tt.field) != tt.want {
				t.Errorf("%s is stored as %s", tt.body, again.text)
			}
		}
		g := ann.call(200, "PUT /data/profile/"+id, `{}`)
		if g.str("created_at") != fmt.Sprint(made) || g.str("updated_at") != fmt.Sprint(s.Now().Unix()) || g.str("_id") != id || g.str("full_name") != "Emma" {
			t.Errorf("answer %s", g.text)
		}
		form := ann.send("PUT", "/data/profile/"+id, "job=null&full_name=Em", "CB-Token", ann.token)
		if job, has := form.at("job"); form.status != 200 || !has || job != nil || form.str("full_name") != "Em" {
			t.Errorf("a form: %d %s", form.status, form.text)
		}
		if g := ann.call(200, "PUT /data/profile/"+id, `{"job":"null"}`); g.str("job") != "null" {
			t.Errorf("the text null in JSON: %s", g.text)
		}
		ann.call(404, "PUT /data/profile/5c0d4f95ca8bf4291e8d3c2d", `{}`)
		ann.call(404, "PUT /data/other/"+id, `{}`)
	})
}

func TestAnUpdateThatIsRefusedChangesNothing(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	id := ann.record("profile", emma)
	other := ann.record("profile", `{"full_name":"Fred"}`)
	before := ann.call(200, "GET /data/profile", "").text
	for _, body := range []string{
		`{"job":"x","inc":{"full_name":1}}`,
		`{"job":"x","inc":{"age":"much"}}`,
		`{"job":"x","push":{"age":1}}`,
		`{"job":"x","push":{"languages":[]}}`,
		`{"job":"x","push":{"languages":[["a"]]}}`,
		`{"job":"x","push":{"languages":null}}`,
		`{"job":"x","pop":{"languages":2}}`,
		`{"job":"x","pull":{"languages":{"near":1}}}`,
		`{"job":"x","pull":{"age":41}}`,
		`{"job":"x","pull_all":{"languages":[]}}`,
		`{"job":"x","add_to_set":{"languages":{"a":1}}}`,
		`{"job":"x","languages":{"2":"x"}}`,
		`{"job":"x","languages":{"-1":"x"}}`,
		`{"job":"x","languages":{"0":null}}`,
		`{"job":"x","languages":{}}`,
		`{"job":"x","full_name":{"0":"x"}}`,
		`{"job":{"a":"b"}}`,
		`{"job":[{"a":"b"}]}`,
		`{"job":1e999}`,
		`{"a.b":1}`,
		`{"$set":1}`,
		`{"":1}`,
		`{"job":"x","_parent_id":"someone"}`,
		`{"job":"x","_parent_id":"` + id + `"}`,
		`{"job":"x","permissions":"open"}`,
		`{"job":"x","permissions":{"create":{"access":"open"}}}`,
		`{"job":"x","permissions":{"read":{"access":"not_allowed"}}}`,
		`{"job":"x","permissions":{"read":{"access":"open_for_users_ids"}}}`,
		`{"job":"x","permissions":{"read":{"access":"open_for_users_ids","ids":["ann"]}}}`,
		`{"job":"x","permissions":{"read":{"access":"open_for_groups"}}}`,
		`{"job":"x","permissions":{"read":{}}}`,
		`{"job":"` + strings.Repeat("x", 255<<10) + `"}`,
	} {
		shown := body[:min(len(body), 80)]
		if g := ann.call(422, "PUT /data/profile/"+id, body); g.str("errors.base.0") == "" {
			t.Errorf("%s: %s", shown, g.text)
		}
		ann.call(422, "PUT /data/profile/by_criteria", strings.Replace(body, "{", `{"search_criteria":{"full_name":"Emma"},`, 1))
		ann.call(422, "PUT /data/profile/multi", `{"record":{"1":{"id":"`+other+`","job":"x"},"2":`+strings.Replace(body, "{", `{"id":"`+id+`",`, 1)+`}}`)
		if after := ann.call(200, "GET /data/profile", "").text; after != before {
			t.Fatalf("%s: %s, was %s", shown, after, before)
		}
	}
}

func TestSeveralRecordsAreUpdated(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "ann", "bob")
	ann, bob := all[0], all[1]
	names := ann.class()
	var ids []string
	for id := range names {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(names[a], names[b]) })
	bobs := bob.record("profile", `{"full_name":"Ivan"}`)
	missing := "5c0d625aca8bf43a5b8cf111"
	g := ann.call(200, "PUT /data/profile/multi.json", `{"record":{"1":{"id":"`+ids[1]+`","age":50},"2":{"_id":"`+ids[0]+`","age":"28"},
		"3":{"id":"`+missing+`","age":35},"4":{"id":"`+bobs+`","age":1},"5":{"id":"`+ids[1]+`","inc":{"age":1}}}}`)
	if found(g, names) != "Fred Emma" || strings.Join(g.strs("items", "age"), " ") != "51 28" || g.str("not_found.ids") != "["+missing+"]" || g.str("WrongPermissions.ids") != "["+bobs+"]" {
		t.Errorf("answer %s", g.text)
	}
	ann.call(422, "PUT /data/profile/multi", `{"record":{"1":{"age":1}}}`)

	g = ann.call(200, "PUT /data/profile/by_criteria.json", `{"search_criteria":{"age":{"gt":30},"full_name":{"ne":"Gina"}},"job":"sailor","inc":{"age":1}}`)
	if g.str("total_found") != "1" || g.str("skip") != "0" || g.str("limit") != "100" || g.str("items.0.job") != "sailor" || g.str("items.0.age") != "52" || g.str("class_name") != "profile" {
		t.Errorf("answer %s", g.text)
	}
	if g := ann.call(200, "PUT /data/profile/by_criteria", `{"search_criteria":{"full_name":{"in":["Ivan","Hans"]}},"job":"cook"}`); found(g, names) != "Hans" {
		t.Errorf("a record of another user: %s", g.text)
	}
	if g := ann.call(200, "PUT /data/profile/by_criteria", `{"search_criteria":{"user_id":`+ann.id+`},"seen":true}`); g.str("total_found") != "4" {
		t.Errorf("equality: %s", g.text)
	}
	if g := ann.call(200, "PUT /data/profile/by_criteria", `{"search_criteria":{"age":{"gt":1000}},"seen":true}`); g.str("total_found") != "0" || g.str("items") != "[]" {
		t.Errorf("none: %s", g.text)
	}
	for _, bad := range []string{`{"job":"x"}`, `{"search_criteria":{},"job":"x"}`, `{"search_criteria":{"age":{"calc":"avg"}},"job":"x"}`, `{"search_criteria":"age","job":"x"}`} {
		ann.call(422, "PUT /data/profile/by_criteria", bad)
	}
}

func TestRecordsAreDeleted(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "ann", "bob")
	ann, bob := all[0], all[1]
	names := ann.class()
	by := map[string]string{}
	for id, name := range names {
		by[name] = id
	}
	bob.call(403, "DELETE /data/profile/"+by["Emma"], "")
	if g := ann.call(200, "DELETE /data/profile/"+by["Emma"]+".json", ""); g.text != "" {
		t.Errorf("body %q", g.text)
	}
	ann.call(404, "DELETE /data/profile/"+by["Emma"], "")
	bobs := bob.record("profile", `{"full_name":"Ivan","age":7}`)
	g := ann.call(200, "DELETE /data/profile/"+by["Fred"]+","+bobs+","+by["Emma"]+".json", "")
	if g.str("SuccessfullyDeleted.ids") != "["+by["Fred"]+"]" || g.str("WrongPermissions.ids") != "["+bobs+"]" || g.str("NotFound.ids") != "["+by["Emma"]+"]" {
		t.Errorf("report %s", g.text)
	}
	if g := ann.call(200, "DELETE /data/profile/by_criteria.json", "age[gte]=1"); g.text != `{"total_deleted":1}`+"\n" {
		t.Errorf("by criteria: %s", g.text)
	}
	if g := ann.call(200, "DELETE /data/profile/by_criteria?full_name=Zoe", ""); g.str("total_deleted") != "0" {
		t.Errorf("none: %s", g.text)
	}
	ann.call(422, "DELETE /data/profile/by_criteria", "")
	ann.call(422, "DELETE /data/profile/by_criteria?age[near]=1", "")
	if got := found(ann.call(200, "GET /data/profile", ""), map[string]string{bobs: "Ivan", by["Hans"]: "Hans"}); got != "Hans Ivan" {
		t.Errorf("left: %s", got)
	}
}

func TestPermissionsOfRecords(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	id := c.signUp(`{"login":"officer","password":"11111111","tag_list":"officers,staff"}`)
	officer := person{c, id, c.open(`{"login":"officer","password":"11111111"}`)}
	all := people(t, s, "owner", "friend", "stranger")
	owner, friend, stranger := all[0], all[1], all[2]
	record := owner.call(201, "POST /data/papers.json", `{"n":1,"permissions":{"read":{"access":"open_for_groups","groups":["officers","assistants"]},
		"update":{"access":"open_for_users_ids","ids":["`+friend.id+`",7]},"delete":{"access":"open_for_groups","groups":["staff"]}}}`)
	if want := "map[delete:map[access:open_for_groups users_groups:[staff]] read:map[access:open_for_groups users_groups:[officers assistants]] update:map[access:open_for_users_ids users_ids:[" + friend.id + " 7]]]"; record.str("permissions") != want {
		t.Errorf("permissions %s, want %s", record.str("permissions"), want)
	}
	paper := "/data/papers/" + record.str("_id")
	for _, tt := range []struct {
		who                  person
		name                 string
		read, update, listed int
	}{
		{owner, "owner", 200, 200, 1},
		{friend, "friend", 403, 200, 0},
		{officer, "officer", 200, 403, 1},
		{stranger, "stranger", 403, 403, 0},
	} {
		tt.who.call(tt.read, "GET "+paper, "")
		tt.who.call(tt.update, "PUT "+paper, `{"n":2}`)
		if n := tt.who.call(200, "GET /data/papers?count=1", "").str("items.count"); n != fmt.Sprint(tt.listed) {
			t.Errorf("%s: %s listed, want %d", tt.name, n, tt.listed)
		}
	}
	friend.call(403, "PUT "+paper, `{"permissions":{"read":{"access":"open"}}}`)
	stranger.call(403, "DELETE "+paper, "")
	friend.call(403, "DELETE "+paper, "")
	if g := stranger.call(200, "DELETE /data/papers/by_criteria?n[gt]=0", ""); g.str("total_deleted") != "0" {
		t.Errorf("a stranger deleted %s", g.text)
	}
	owner.call(200, "PUT "+paper, `{"permissions":{"read":{"access":"open"},"update":{"access":"open"}}}`)
	stranger.call(200, "GET "+paper, "")
	if g := stranger.call(200, "PUT "+paper, `{"n":3}`); g.str("permissions.delete.access") != "open_for_groups" || g.str("n") != "3" || g.str("user_id") != owner.id {
		t.Errorf("answer %s", g.text)
	}
	officer.call(200, "DELETE "+paper, "")
}

func TestChildrenGoWithTheirParent(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "ann", "bob")
	ann, bob := all[0], all[1]
	room := ann.record("rooms", `{"name":"lab"}`)
	desk := bob.record("desks", `{"name":"desk","_parent_id":"`+room+`"}`)
	lamp := bob.record("lamps", `{"name":"lamp","_parent_id":"`+desk+`"}`)
	loose := bob.record("lamps", `{"name":"torch","_parent_id":"`+desk+`"}`)
	bob.call(200, "PUT /data/lamps/"+loose, `{"_parent_id":null}`)
	ann.call(200, "PUT /data/rooms/"+room, `{"_parent_id":"`+lamp+`"}`) // a circle
	if g := ann.call(200, "GET /data/lamps?_parent_id="+desk, ""); strings.Join(g.strs("items", "_id"), " ") != lamp || g.str("items.0._parent_id") != desk {
		t.Errorf("children: %s", g.text)
	}
	ann.call(200, "DELETE /data/rooms/"+room, "")
	for class, want := range map[string]string{"rooms": "0", "desks": "0", "lamps": "1"} {
		if n := ann.call(200, "GET /data/"+class+"?count=1", "").str("items.count"); n != want {
			t.Errorf("%s: %s left, want %s", class, n, want)
		}
	}
}

func TestCustomDataIsInTheDataFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := open(t, file)
	ann := people(t, s, "ann")[0]
	id := ann.record("profile", `{"full_name":"Emma","age":41.0,"languages":["de",2,true],"permissions":{"update":{"access":"open_for_groups","groups":["x"]}}}`)
	child := ann.record("notes", `{"text":"hello","_parent_id":"`+id+`"}`)
	ann.record("gone", `{"n":1}`)
	ann.call(200, "DELETE /data/gone/by_criteria?n=1", "")
	look := func() string {
		t.Helper()
		return ann.call(200, "GET /data/profile/"+id, "").text + ann.call(200, "GET /data/notes/"+child, "").text + ann.call(200, "GET /data/gone", "").text
	}
	s = survivesRestarts(t, s, file, func(s *sandbox.Sandbox) { ann.caller = in(t, s) }, look)
	next := ann.call(201, "POST /data/profile", `{"age":"50"}`)
	if age, _ := next.at("age"); age != json.Number("50") {
		t.Errorf("the field forgot that it has numbers: %s", next.text)
	}
	ann.call(200, "DELETE /data/profile/"+id, "")
	ann.call(404, "GET /data/notes/"+child, "")
	s.Reset()
	if g := people(t, s, "bob")[0].call(200, "GET /data/profile", ""); g.str("items") != "[]" {
		t.Errorf("after a reset: %s", g.text)
	}
	shut(t, s)
}
