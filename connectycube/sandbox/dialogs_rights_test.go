package sandbox_test

import (
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// stage is a dialog with a user in each role, and another user who writes. In a private
// dialog that is the opponent.
type stage struct {
	owner, admin, member, outsider, other person
	id                                    string
}

func setStage(t *testing.T, kind string) stage {
	all := people(t, sandbox.New(sandbox.Options{}), "owner", "admin", "member", "outsider", "other")
	st := stage{owner: all[0], admin: all[1], member: all[2], outsider: all[3], other: all[4]}
	switch kind {
	case "broadcast": // only admins may write
		st.id = st.owner.dialog(`{"type":1,"name":"b","admins_ids":"` + idsOf([]person{st.admin, st.other}) + `"}`)
	case "group":
		st.id = st.owner.dialog(`{"type":2,"name":"g","occupants_ids":"` + idsOf([]person{st.member, st.other}) + `","admins_ids":"` + st.admin.id + `"}`)
	case "private":
		st.id = st.owner.dialog(`{"type":3,"occupants_ids":"` + st.member.id + `"}`)
	case "public":
		st.id = st.owner.dialog(`{"type":4,"name":"p","admins_ids":"` + st.admin.id + `"}`)
		st.member.call(200, "POST /chat/Dialog/"+st.id+"/subscribe.json", "")
		st.other.call(200, "POST /chat/Dialog/"+st.id+"/subscribe.json", "")
	}
	return st
}

// deeds are the acts in the table of rights; {own} is a message of the actor, {theirs} one
// of another user.
var deeds = map[string]struct{ request, body string }{
	"send":      {"POST /chat/Message.json", `{"chat_dialog_id":"{dialog}","message":"x"}`},
	"read":      {"GET /chat/Message.json?chat_dialog_id={dialog}", ""},
	"add":       {"PUT /chat/Dialog/{dialog}.json", `{"push_all":{"occupants_ids":[{outsider}]}}`},
	"rename":    {"PUT /chat/Dialog/{dialog}.json", `{"name":"new"}`},
	"describe":  {"PUT /chat/Dialog/{dialog}.json", `{"photo":"x","description":"y"}`},
	"extend":    {"PUT /chat/Dialog/{dialog}.json", `{"extensions":{"a":"b"}}`},
	"remove":    {"PUT /chat/Dialog/{dialog}.json", `{"pull_all":{"occupants_ids":[{other}]}}`},
	"go":        {"PUT /chat/Dialog/{dialog}.json", `{"pull_all":{"occupants_ids":[{self}]}}`},
	"pin":       {"PUT /chat/Dialog/{dialog}.json", `{"push_all":{"pinned_messages_ids":["{theirs}"]}}`},
	"unpin":     {"PUT /chat/Dialog/{dialog}.json", `{"pull_all":{"pinned_messages_ids":["{theirs}"]}}`},
	"appoint":   {"PUT /chat/Dialog/{dialog}/admins.json", `{"push_all":{"admins_ids":[{other}]}}`},
	"dismiss":   {"PUT /chat/Dialog/{dialog}.json", `{"pull_all":{"admins_ids":[{other}]}}`},
	"hide":      {"DELETE /chat/Message/{theirs}.json", ""},
	"moderate":  {"DELETE /chat/Message/{theirs}.json", "force=1"},
	"unsay":     {"DELETE /chat/Message/{own}.json", "force=1"},
	"edit own":  {"PUT /chat/Message/{own}.json", `{"chat_dialog_id":"{dialog}","message":"x"}`},
	"edit":      {"PUT /chat/Message/{theirs}.json", `{"chat_dialog_id":"{dialog}","message":"x"}`},
	"mark":      {"PUT /chat/Message/{theirs}.json", `{"chat_dialog_id":"{dialog}","read":1}`},
	"mark all":  {"PUT /chat/Message.json", `{"chat_dialog_id":"{dialog}","read":1}`},
	"react":     {"PUT /chat/Message/{theirs}/reactions.json", `{"add":"👍"}`},
	"see":       {"GET /chat/Message/{theirs}/reactions.json", ""},
	"mute":      {"PUT /chat/Dialog/{dialog}/notifications.json", `{"enabled":0}`},
	"occupants": {"GET /chat/Dialog/{dialog}/occupants.json", ""},
	"subscribe": {"POST /chat/Dialog/{dialog}/subscribe.json", ""},
	"clear":     {"DELETE /chat/Dialog/clearHistory/{dialog}.json", ""},
	"clear all": {"DELETE /chat/Dialog/clearHistory/{dialog}.json", "force=1"},
	"leave":     {"DELETE /chat/Dialog/{dialog}.json", ""},
	"erase":     {"DELETE /chat/Dialog/{dialog}.json", "force=1"},
}

// TestRights compares the documented table by role: owner, admin, member, outsider. + is
// done, - is refused, a dot is an impossible case.
func TestRights(t *testing.T) {
	kinds := []string{"broadcast", "group", "private", "public"}
	table := map[string][4]string{
		"send":      {"++-.", "+++-", "+.+-", "+++-"},
		"read":      {"+++.", "+++-", "+.+-", "+++-"},
		"add":       {"---.", "+++-", "-.--", "----"},
		"rename":    {"++-.", "+++-", "-.--", "++--"},
		"describe":  {"++-.", "+++-", "-.--", "++--"},
		"extend":    {"++-.", "+++-", "+.+-", "++--"},
		"remove":    {"++-.", "++--", "-.--", "++--"},
		"go":        {"++..", "+++-", "....", "+++-"},
		"pin":       {"++-.", "++--", "-.--", "++--"},
		"unpin":     {"++-.", "++--", "-.--", "++--"},
		"appoint":   {"+--.", "+---", "-.--", "+---"},
		"dismiss":   {"+--.", "+---", "-.--", "+---"},
		"hide":      {"++-.", "+++-", "+.+-", "+++-"},
		"moderate":  {"++-.", "++--", "-.--", "++--"},
		"unsay":     {"++..", "+++.", "+.+.", "+++."},
		"edit own":  {"++..", "+++.", "+.+.", "+++."},
		"edit":      {"---.", "----", "-.--", "----"},
		"mark":      {"+++.", "+++-", "+.+-", "+++-"},
		"mark all":  {"+++.", "+++-", "+.+-", "+++-"},
		"react":     {"+++.", "+++-", "+.+-", "+++-"},
		"see":       {"+++.", "+++-", "+.+-", "+++-"},
		"mute":      {"+++.", "+++-", "+.+-", "+++-"},
		"occupants": {"+++.", "+++-", "+.+-", "+++-"},
		"subscribe": {"---.", "----", "-.--", "++++"},
		"clear":     {"+++.", "+++-", "+.+-", "+++-"},
		"clear all": {"+--.", "+---", "+.--", "+---"},
		"leave":     {"+++.", "+++-", "+.+-", "+++-"},
		"erase":     {"+--.", "+---", "+.--", "+---"},
	}
	for deed := range deeds {
		if _, listed := table[deed]; !listed {
			t.Errorf("%s has no row", deed)
		}
	}
	for deed, row := range table {
		for k, kind := range kinds {
			for r, role := range []string{"owner", "admin", "member", "outsider"} {
				if row[k][r] == '.' {
					continue
				}
				t.Run(deed+"/"+kind+"/"+role, func(t *testing.T) {
					tryDeed(t, deed, kind, role, row[k][r] == '+')
				})
			}
		}
	}
}

func tryDeed(t *testing.T, deed, kind, role string, allowed bool) {
	st := setStage(t, kind)
	actor := map[string]person{"owner": st.owner, "admin": st.admin, "member": st.member, "outsider": st.outsider}[role]
	other := st.other
	if kind == "private" {
		if other = st.member; role == "member" {
			other = st.owner
		}
	}
	fill := []string{"{dialog}", st.id, "{self}", actor.id, "{other}", other.id, "{outsider}", st.outsider.id, "{theirs}", other.say(st.id, "hello")}
	if strings.Contains(deeds[deed].request, "{own}") {
		fill = append(fill, "{own}", actor.say(st.id, "mine"))
	}
	replace := strings.NewReplacer(fill...)
	method, path, _ := strings.Cut(replace.Replace(deeds[deed].request), " ")
	g := actor.send(method, path, replace.Replace(deeds[deed].body), "CB-Token", actor.token)
	done := g.status == 200 || g.status == 201
	if list, reported := g.at("SuccessfullyDeleted.ids"); reported {
		wrong, _ := g.at("WrongPermissions.ids")
		done = len(list.([]any)) == 1
		if done == (len(wrong.([]any)) == 1) {
			t.Fatalf("report = %s", g.text)
		}
	} else if !done && (g.status != 403 || g.str("errors.base.0") != "Forbidden") {
		t.Fatalf("%d %s, want it done or Forbidden", g.status, g.text)
	}
	if done != allowed {
		t.Errorf("%d %s, want allowed: %v", g.status, g.text, allowed)
	}
}

func TestAnAdminDoesNotRemoveTheOwner(t *testing.T) {
	st := setStage(t, "group")
	st.admin.call(403, "PUT /chat/Dialog/"+st.id, `{"pull_all":{"occupants_ids":[`+st.owner.id+`]}}`)
	st.owner.call(200, "GET /chat/Message?chat_dialog_id="+st.id, "")
}

// TestAFormerAdminOfABroadcast: a former admin is a reader, even of their own messages.
func TestAFormerAdminOfABroadcast(t *testing.T) {
	st := setStage(t, "broadcast")
	id := st.admin.say(st.id, "x")
	st.owner.call(200, "PUT /chat/Dialog/"+st.id+"/admins", `{"pull_all":{"admins_ids":[`+st.admin.id+`]}}`)
	st.admin.call(403, "POST /chat/Message", `{"chat_dialog_id":"`+st.id+`","message":"x"}`)
	if g := st.admin.call(200, "DELETE /chat/Message/"+id, "force=1"); g.str("WrongPermissions.ids.0") != id {
		t.Errorf("report = %s", g.text)
	}
}

// TestARefusedChangeChangesNothing: the allowed part of a change is refused with the rest.
func TestARefusedChangeChangesNothing(t *testing.T) {
	st := setStage(t, "group")
	before := st.member.call(200, "GET /chat/Dialog?_id="+st.id, "").text
	st.member.call(403, "PUT /chat/Dialog/"+st.id, `{"name":"new","push_all":{"occupants_ids":[`+st.outsider.id+`],"admins_ids":[`+st.member.id+`]}}`)
	st.owner.call(422, "PUT /chat/Dialog/"+st.id, `{"name":"","push_all":{"occupants_ids":[`+st.outsider.id+`]}}`)
	st.owner.call(422, "PUT /chat/Dialog/"+st.id, `{"name":"new","extensions":{"a":1,"b":2,"c":3,"d":4}}`)
	if after := st.member.call(200, "GET /chat/Dialog?_id="+st.id, "").text; after != before {
		t.Errorf("dialog = %s, want %s", after, before)
	}
}

func TestUpdateDialog(t *testing.T) {
	st := setStage(t, "group")
	message := st.member.say(st.id, "pin me")
	g := st.owner.call(200, "PUT /chat/Dialog/"+st.id+".json",
		`{"name":"Crossfit2","photo":"gym2.jpeg","permissions":{"allow_preview":false},"is_muted":true,
		"push_all":{"occupants_ids":["`+st.outsider.id+`",7],"pinned_messages_ids":["`+message+`","5c123fdce588ce064043f53a"],"admins_ids":[`+st.other.id+`]},
		"pull_all":{"occupants_ids":"`+st.member.id+`","admins_ids":[`+st.admin.id+`]}}`)
	want := map[string]string{
		"name": "Crossfit2", "photo": "gym2.jpeg", "permissions": "map[allow_preview:false]", "is_muted": "true",
		"occupants_ids":       "[" + strings.Join([]string{st.owner.id, st.admin.id, st.outsider.id, st.other.id}, " ") + "]",
		"admins_ids":          "[" + st.other.id + "]",
		"pinned_messages_ids": "[" + message + "]",
	}
	for path, want := range want {
		if v := g.str(path); v != want {
			t.Errorf("%s = %s, want %s", path, v, want)
		}
	}
	st.member.call(403, "GET /chat/Message?chat_dialog_id="+st.id, "")
	if v := st.owner.call(200, "GET /chat/Dialog/"+st.id+"/notifications", "").text; v != `{"notifications":{"enabled":0}}`+"\n" {
		t.Errorf("notifications = %s", v)
	}
}

func TestDeleteSeveralDialogs(t *testing.T) {
	st := setStage(t, "group")
	foreign := st.outsider.group(st.other)
	g := st.owner.call(200, "DELETE /chat/Dialog/"+st.id+","+foreign+",499abe15e4b077ddd43e7b5h.json", "")
	want := `{"SuccessfullyDeleted":{"ids":["` + st.id + `"]},"NotFound":{"ids":["499abe15e4b077ddd43e7b5h"]},"WrongPermissions":{"ids":["` + foreign + `"]}}` + "\n"
	if g.text != want {
		t.Errorf("report = %s, want %s", g.text, want)
	}
	st.owner.call(404, "DELETE /chat/Dialog/499abe15e4b077ddd43e7b5h", "")
}

// TestLeaving: a group continues without the user who deleted it, and ends with the last
// one.
func TestLeaving(t *testing.T) {
	st := setStage(t, "group")
	for _, p := range []person{st.owner, st.admin, st.member} {
		if g := p.call(200, "DELETE /chat/Dialog/"+st.id, ""); g.text != "" {
			t.Errorf("body = %q, want none", g.text)
		}
	}
	g := st.other.call(200, "GET /chat/Dialog", "")
	if v := g.str("items.0.occupants_ids"); v != "["+st.other.id+"]" {
		t.Errorf("occupants = %s", v)
	}
	st.other.call(200, "DELETE /chat/Dialog/"+st.id, "")
	st.other.call(404, "PUT /chat/Dialog/"+st.id, `{"name":"x"}`)
}

// TestADeletedPrivateDialogComesBack with the next message, without the earlier ones.
func TestADeletedPrivateDialogComesBack(t *testing.T) {
	st := setStage(t, "private")
	st.owner.say(st.id, "before")
	st.member.call(200, "DELETE /chat/Dialog/"+st.id, "")
	if g := st.member.call(200, "GET /chat/Dialog", ""); g.str("total_entries") != "0" {
		t.Errorf("after deleting: %s", g.text)
	}
	st.owner.say(st.id, "after")
	g := st.member.call(200, "GET /chat/Dialog", "")
	if g.str("items.0.last_message") != "after" || g.str("items.0.unread_messages_count") != "1" {
		t.Errorf("dialog = %s", g.text)
	}
	if g := st.member.call(200, "GET /chat/Message?chat_dialog_id="+st.id, ""); strings.Join(g.strs("items", "message"), " ") != "after" {
		t.Errorf("messages = %s", g.text)
	}
}

func TestSubscribe(t *testing.T) {
	st := setStage(t, "public")
	g := st.outsider.call(200, "POST /chat/Dialog/"+st.id+"/subscribe.json", "")
	if g.str("occupants_count") != "5" || g.str("occupants_ids") != "[]" {
		t.Errorf("dialog = %s", g.text)
	}
	st.outsider.call(200, "POST /chat/Dialog/"+st.id+"/subscribe", "") // once more
	g = st.outsider.call(200, "GET /chat/Dialog/"+st.id+"/occupants.json?limit=2&skip=1", "")
	if ids := g.strs("items", "id"); len(ids) != 2 || ids[0] != st.admin.id || g.str("items.0.login") != "admin" {
		t.Errorf("occupants = %s", g.text)
	}
	if g := st.outsider.call(200, "DELETE /chat/dialog/"+st.id+"/subscribe", ""); g.text != "" {
		t.Errorf("body = %q, want none", g.text)
	}
	st.outsider.call(403, "GET /chat/Message?chat_dialog_id="+st.id, "")
	st.outsider.call(404, "POST /chat/Dialog/5c091822e588ce6856f873de/subscribe", "")
}
