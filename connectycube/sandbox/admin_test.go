package sandbox_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"
)

// manage calls the administration API.
func (c caller) manage(status int, request, body string) got {
	c.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	g := c.send(method, path, body, "CB-Administration-API-Key", "sandbox-api-key")
	if g.status != status {
		c.t.Fatalf("%s: %d %s, want %d", request, g.status, g.text, status)
	}
	return g
}

func TestAdminNeedsItsKey(t *testing.T) {
	c := in(t, sandbox.New(sandbox.Options{AdminKey: "mine"}))
	for key, want := range map[string]int{"": 401, "sandbox-api-key": 403, "mine": 200} {
		for _, path := range []string{"/admin/chat/list", "/admin/chat/messages/list.json", "/admin/stats/messages/sent-total", "/admin/stats/dialogs/created-per-day"} {
			if g := c.send("GET", path, "", "CB-Administration-API-Key", key); g.status != want {
				t.Errorf("%s with %q: %d, want %d", path, key, g.status, want)
			}
		}
	}
}

func TestAdminDeletesAUser(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	anna := people(t, s, "anna")[0]
	if g := anna.manage(200, "DELETE /admin/user/"+anna.id, ""); g.text != `{"success":true}`+"\n" {
		t.Errorf("answer = %s", g.text)
	}
	anna.call(401, "GET /chat/Dialog", "")
	anna.manage(404, "DELETE /admin/user/"+anna.id, "")
	anna.manage(404, "DELETE /admin/user/anna", "")
}

// TestAdminListsMessages checks what a program that copies the archive relies on: whole
// seconds, pages of 100, receipts and deletions that change updated_at, and no trace of
// messages deleted for all.
func TestAdminListsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
		anna, boris := all[0], all[1]
		dialog := anna.group(boris)
		time.Sleep(time.Second - time.Duration(time.Now().Nanosecond()) + 900*time.Millisecond)
		begin := time.Now().Unix()
		var sent []string
		for range 150 {
			sent = append(sent, anna.say(dialog, "x"))
		}
		other := anna.say(anna.dialog(`{"type":3,"occupants_ids":"`+boris.id+`"}`), "y")
		list := func(query string) got {
			t.Helper()
			return anna.manage(200, "GET /admin/chat/messages/list.json?"+query, "")
		}

		g := list("")
		if g.str("total_entries") != "151" || g.str("limit") != "100" || len(g.strs("items", "_id")) != 100 || g.str("items.0._id") != other {
			t.Errorf("first page: %s, limit %s, %d items, the first %s", g.str("total_entries"), g.str("limit"), len(g.strs("items", "_id")), g.str("items.0._id"))
		}
		if n := len(list("limit=500").strs("items", "_id")); n != 100 {
			t.Errorf("limit=500 gave %d items", n)
		}
		if g := list("_id[lt]=" + sent[50] + "&chat_dialog_id=" + dialog); g.str("total_entries") != "50" || g.str("items.0._id") != sent[49] {
			t.Errorf("before an id: %s, the first %s", g.str("total_entries"), g.str("items.0._id"))
		}
		second := "updated_at[gte]=" + strconv.FormatInt(begin, 10)
		if g := list(second + "&sort_asc=updated_at"); g.str("total_entries") != "151" || g.str("items.0._id") != sent[0] {
			t.Errorf("of this second: %s, the first %s", g.str("total_entries"), g.str("items.0._id"))
		}
		if g := list("updated_at[gt]=" + strconv.FormatInt(begin, 10)); g.str("total_entries") != "0" {
			t.Errorf("after this second: %s", g.str("total_entries"))
		}

		time.Sleep(10 * time.Second)
		boris.call(200, "PUT /chat/Message/"+sent[3], `{"delivered":1,"chat_dialog_id":"`+dialog+`"}`)
		boris.call(200, "DELETE /chat/Message/"+sent[4], "")
		anna.call(200, "PUT /chat/Message/"+sent[5], `{"message":"changed","chat_dialog_id":"`+dialog+`"}`)
		anna.call(200, "DELETE /chat/Message/"+sent[6], "force=1")
		g = list("updated_at[gt]=" + strconv.FormatInt(begin, 10) + "&sort_asc=_id")
		if got := strings.Join(g.strs("items", "_id"), " "); got != strings.Join(sent[3:6], " ") {
			t.Errorf("changed = %s, want %s", got, sent[3:6])
		}
		for path, want := range map[string]string{
			"items.0.delivered_ids": "[" + anna.id + " " + boris.id + "]", "items.0.deleted_for_ids": "[]", "items.0.edited_at": "",
			"items.1.deleted_for_ids": "[" + boris.id + "]", "items.2.message": "changed",
		} {
			if v := g.str(path); v != want {
				t.Errorf("%s = %s, want %s", path, v, want)
			}
		}
		if g.str("items.2.edited_at") == "" {
			t.Error("the edit shows no edited_at")
		}
		if g := list("_id=" + sent[6]); g.str("total_entries") != "0" {
			t.Errorf("deleted for all: %s", g.text)
		}
		for _, query := range []string{"sort_asc=date_sent", "sort_asc=_id&sort_desc=_id", "sender_id=1", "message=x"} {
			anna.manage(422, "GET /admin/chat/messages/list?"+query, "")
		}
	})
}

func TestAdminListsDialogs(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	group := anna.group(boris)
	private := anna.dialog(`{"type":3,"occupants_ids":"` + boris.id + `"}`)
	anna.say(private, "hello")
	boris.call(200, "DELETE /chat/Dialog/"+private, "")
	boris.call(200, "PUT /chat/Dialog/"+group+"/notifications", `{"enabled":0}`)
	g := anna.manage(200, "GET /admin/chat/list", "")
	for path, want := range map[string]string{
		"total_entries": "2", "items.0._id": private, "items.0.deleted_ids": "[" + boris.id + "]", "items.0.silent_ids": "[]",
		"items.0.last_message": "hello", "items.0.last_message_status": "sent", "items.0.unread_messages_count": "", "items.0.is_muted": "",
		"items.1._id": group, "items.1.silent_ids": "[" + boris.id + "]",
	} {
		if v := g.str(path); v != want {
			t.Errorf("%s = %s, want %s", path, v, want)
		}
	}
	if g := anna.manage(200, "GET /admin/chat/list?type=2&_id[lte]="+group, ""); g.str("total_entries") != "1" {
		t.Errorf("filtered: %s", g.text)
	}
	anna.manage(422, "GET /admin/chat/list?sort_asc=name", "")

	g = anna.manage(200, "PUT /admin/chat/"+group, `{"user_id":`+anna.id+`,"is_muted":true,"name":"renamed"}`)
	if g.str("silent_ids") != "["+anna.id+" "+boris.id+"]" || g.str("name") != "renamed" {
		t.Errorf("updated = %s", g.text)
	}
	anna.manage(403, "PUT /admin/chat/"+group, `{"user_id":7,"is_muted":true}`)
	anna.manage(404, "PUT /admin/chat/620e2b1463ee2a1977b4ee65", `{"name":"x"}`)
}

func TestAdminStatistics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		anna := people(t, sandbox.New(sandbox.Options{}), "anna")[0] // on 2000-01-01
		dialog := anna.dialog(`{"type":4,"name":"p"}`)
		anna.dialog(`{"type":1,"name":"b"}`)
		for range 30 { // an hour each: the session must not expire
			anna.say(dialog, "x")
			time.Sleep(time.Hour)
		}
		tests := []struct{ query, want string }{
			{"messages/sent-total", `{"total":30}`},
			{"messages/sent-total?start_date=946738800&end_date=946746000", `{"total":3}`}, // 15 to 17 o'clock
			{"messages/sent-per-day", `{"2000-01-01":24,"2000-01-02":6}`},
			{"messages/sent-per-day?limit=1&offset=1", `{"2000-01-02":6}`},
			{"messages/sent-per-day?start_date=2000-01-02T00:00:00Z", `{"2000-01-02":6}`},
			{"dialogs/created-total", `{"total":2}`},
			{"dialogs/created-total?types[]=2&types[]=4", `{"total":1}`},
			{"dialogs/created-per-day.json?types=1,4", `{"2000-01-01":2}`},
		}
		for _, tt := range tests {
			if g := anna.manage(200, "GET /admin/stats/"+tt.query, ""); strings.TrimSpace(g.text) != tt.want {
				t.Errorf("%s = %s, want %s", tt.query, g.text, tt.want)
			}
		}
		anna.manage(422, "GET /admin/stats/messages/sent-total?start_date=x", "")
	})
}
