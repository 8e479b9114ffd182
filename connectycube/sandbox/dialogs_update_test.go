package sandbox_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"
)

// TestTimesOfDialogs: every change of a dialog for all users changes updated_at, by which
// clients ask.
func TestTimesOfDialogs(t *testing.T) {
	for deed, do := range map[string]func(stage, string){
		"rename":    func(st stage, _ string) { st.owner.call(200, "PUT /chat/Dialog/"+st.id, `{"name":"new"}`) },
		"message":   func(st stage, _ string) { st.owner.say(st.id, "x") },
		"edit":      func(st stage, id string) { st.owner.call(200, "PUT /chat/Message/"+id, `{"message":"x"}`) },
		"subscribe": func(st stage, _ string) { st.outsider.call(200, "POST /chat/Dialog/"+st.id+"/subscribe", "") },
	} {
		t.Run(deed, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := setStage(t, "public")
				id := st.owner.say(st.id, "first")
				time.Sleep(time.Minute)
				do(st, id)
				g := st.owner.call(200, "GET /chat/Dialog", "")
				if want := time.Now().UTC().Format(time.RFC3339); g.str("items.0.updated_at") != want {
					t.Errorf("updated_at = %s, want %s", g.str("items.0.updated_at"), want)
				}
			})
		})
	}
}

// TestQuietDialogsMakeRoom: the longest quiet dialog is replaced, not the oldest.
func TestQuietDialogsMakeRoom(t *testing.T) {
	me := people(t, sandbox.New(sandbox.Options{MaxDialogs: 2, MaxDialogMessages: 3}), "owner")[0]
	old, quiet := me.dialog(`{"type":4,"name":"old"}`), me.dialog(`{"type":4,"name":"quiet"}`)
	for _, text := range []string{"1", "2", "3", "4"} {
		me.say(old, text)
	}
	me.dialog(`{"type":4,"name":"new"}`)
	names := me.call(200, "GET /chat/Dialog?sort_asc=name", "").strs("items", "name")
	if got := strings.Join(names, " "); got != "new old" {
		t.Errorf("dialogs = %s, want new and old", got)
	}
	me.call(404, "GET /chat/Message?chat_dialog_id="+quiet, "")
	if got := strings.Join(me.call(200, "GET /chat/Message?chat_dialog_id="+old, "").strs("items", "message"), " "); got != "2 3 4" {
		t.Errorf("messages = %s, want the newest three", got)
	}
}

// TestComingBack: a former member who is added again finds the group like any new member.
func TestComingBack(t *testing.T) {
	st := setStage(t, "group")
	st.member.call(200, "PUT /chat/Dialog/"+st.id+"/notifications", `{"enabled":"0"}`)
	st.member.call(200, "DELETE /chat/Dialog/"+st.id, "")
	st.owner.call(200, "PUT /chat/Dialog/"+st.id, `{"push_all":{"occupants_ids":[`+st.member.id+`]}}`)
	if g := st.member.call(200, "GET /chat/Dialog", ""); g.str("items.0._id") != st.id || g.str("items.0.is_muted") != "false" {
		t.Errorf("dialogs = %s", g.text)
	}
}

func TestAPrivateDialogIsShownAgainToWhoMakesIt(t *testing.T) {
	st := setStage(t, "private")
	st.owner.call(200, "DELETE /chat/Dialog/"+st.id, "")
	g := st.owner.call(201, "POST /chat/Dialog", `{"type":3,"occupants_ids":"`+st.member.id+`","extensions":{"a":"b"}}`)
	if g.str("_id") != st.id || g.str("extensions") != "" {
		t.Errorf("dialog = %s, want the existing one", g.text)
	}
	if g := st.owner.call(200, "GET /chat/Dialog", ""); g.str("total_entries") != "1" {
		t.Errorf("dialogs = %s", g.text)
	}
}

func TestADeletedBroadcastIsGoneForOne(t *testing.T) {
	st := setStage(t, "broadcast")
	st.owner.say(st.id, "x")
	st.member.call(200, "DELETE /chat/Dialog/"+st.id, "")
	if g := st.member.call(200, "GET /chat/Dialog", ""); g.str("total_entries") != "0" {
		t.Errorf("dialogs = %s", g.text)
	}
	if g := st.member.call(200, "GET /chat/Message?chat_dialog_id="+st.id, ""); g.str("items") != "[]" {
		t.Errorf("messages = %s", g.text)
	}
	if g := st.outsider.call(200, "GET /chat/Message?chat_dialog_id="+st.id, ""); len(g.strs("items", "_id")) != 1 {
		t.Errorf("messages of another user = %s", g.text)
	}
}

// TestAdmins: the owner is no admin, a user who leaves is no admin anymore, and five are
// the bound.
func TestAdmins(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "owner", "ad1", "ad2", "ad3", "ad4", "ad5", "ad6")
	owner, admins := all[0], all[1:]
	g := owner.call(201, "POST /chat/Dialog", `{"type":2,"name":"g","occupants_ids":[`+admins[0].id+`],"admins_ids":[`+owner.id+`,`+admins[0].id+`]}`)
	path := "/chat/Dialog/" + g.str("_id")
	check := func(g got, want ...person) {
		t.Helper()
		ids := []string{}
		for _, p := range want {
			ids = append(ids, p.id)
		}
		if v := g.str("admins_ids"); v != "["+strings.Join(ids, " ")+"]" {
			t.Errorf("admins = %s, want %v", v, ids)
		}
		for _, id := range ids {
			if !strings.Contains(g.str("occupants_ids"), id) {
				t.Errorf("occupants = %s without %s", g.str("occupants_ids"), id)
			}
		}
	}
	check(g, admins[0])
	check(owner.call(200, "PUT "+path+"/admins", `{"push_all":{"admins_ids":[`+owner.id+`]},"name":"ignored"}`), admins[0])
	check(owner.call(200, "PUT "+path, `{"push_all":{"admins_ids":["`+admins[1].id+`"]}}`), admins[:2]...)
	check(owner.call(200, "PUT "+path, `{"pull_all":{"occupants_ids":[`+admins[1].id+`]}}`), admins[0])
	check(owner.call(200, "PUT "+path+"/admins", `{"push_all":{"admins_ids":[`+idsOf(admins[1:5])+`]}}`), admins[:5]...)
	owner.call(422, "PUT "+path+"/admins", `{"push_all":{"admins_ids":[`+admins[5].id+`]}}`)
	check(owner.call(200, "PUT "+path+"/admins", `{"push_all":{"admins_ids":[`+admins[5].id+`]},"pull_all":{"admins_ids":[`+admins[0].id+`]}}`), admins[1:]...)
	admins[0].call(403, "PUT "+path+"/admins", `{}`)
	if g := owner.call(200, "PUT "+path+"/admins", `{}`); g.str("name") != "g" {
		t.Errorf("name = %s", g.str("name"))
	}
}

func TestPins(t *testing.T) {
	st := setStage(t, "group")
	first, second := st.owner.say(st.id, "first"), st.owner.say(st.id, "second")
	foreign := st.owner.say(st.owner.group(st.other), "foreign")
	pin := func(ids ...string) string {
		t.Helper()
		return st.owner.call(200, "PUT /chat/Dialog/"+st.id, `{"push_all":{"pinned_messages_ids":["`+strings.Join(ids, `","`)+`"]}}`).str("pinned_messages_ids")
	}
	pin(first, foreign)
	if v := pin(second, first); v != "["+first+" "+second+"]" {
		t.Errorf("pinned = %s", v)
	}
	st.owner.call(200, "DELETE /chat/Message/"+first, "force=1")
	if v := pin(); v != "["+second+"]" {
		t.Errorf("pinned = %s after the deletion", v)
	}
	if v := st.owner.call(200, "PUT /chat/Dialog/"+st.id, `{"pull_all":{"pinned_messages_ids":"`+second+`"}}`).str("pinned_messages_ids"); v != "[]" {
		t.Errorf("pinned = %s after unpinning", v)
	}
}

// TestWhatOneCannotSeeIsNotTheLastMessage, for that user.
func TestWhatOneCannotSeeIsNotTheLastMessage(t *testing.T) {
	st := setStage(t, "group")
	st.owner.say(st.id, "first")
	last := st.owner.say(st.id, "last")
	st.member.call(200, "DELETE /chat/Message/"+last, "")
	for p, want := range map[person]string{st.member: "first", st.other: "last"} {
		if g := p.call(200, "GET /chat/Dialog", ""); g.str("items.0.last_message") != want {
			t.Errorf("last message = %s, want %s", g.str("items.0.last_message"), want)
		}
	}
	st.member.call(404, "GET /chat/Message/"+last+"/reactions", "")
	if g := st.member.call(200, "GET /chat/search?search_text=first", ""); len(g.strs("results.messages", "_id")) != 1 {
		t.Errorf("search = %s", g.text)
	}
	hidden := st.owner.say(st.id, "first hidden")
	st.member.call(200, "DELETE /chat/Message/"+hidden, "")
	if g := st.member.call(200, "GET /chat/search?search_text=first", ""); slices.Contains(g.strs("results.messages", "_id"), hidden) {
		t.Errorf("search finds a deleted message: %s", g.text)
	}
}

// TestATextForAllOfADialogChangesNone: without IDs only marks apply.
func TestATextForAllOfADialogChangesNone(t *testing.T) {
	st := setStage(t, "group")
	st.owner.say(st.id, "mine")
	st.owner.call(200, "PUT /chat/Message", `{"chat_dialog_id":"`+st.id+`","message":"changed","read":1}`)
	if g := st.owner.call(200, "GET /chat/Dialog", ""); g.str("items.0.last_message") != "mine" {
		t.Errorf("last message = %s", g.str("items.0.last_message"))
	}
}
