package core

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

type savedDialog struct {
	ID          string            `json:"id"`
	Type        DialogKind        `json:"type"`
	Owner       int64             `json:"owner"`
	Name        string            `json:"name,omitempty"`
	Description string            `json:"description,omitempty"`
	Photo       string            `json:"photo,omitempty"`
	Occupants   UserSet           `json:"occupants"`
	Admins      UserSet           `json:"admins,omitempty"`
	Pinned      []string          `json:"pinned,omitempty"`
	Extensions  map[string]string `json:"extensions,omitempty"`
	Permissions map[string]bool   `json:"permissions,omitempty"`
	Silent      UserSet           `json:"silent,omitempty"`
	Hidden      UserSet           `json:"hidden,omitempty"`
	Whiteboards []Whiteboard      `json:"whiteboards,omitempty"`
	Created     time.Time         `json:"created_at"`
	Updated     time.Time         `json:"updated_at"`
}

type savedMessage struct {
	ID          string             `json:"id"`
	StanzaID    string             `json:"stanza_id,omitempty"`
	Dialog      string             `json:"dialog"`
	Sender      int64              `json:"sender"`
	Recipient   int64              `json:"recipient,omitempty"`
	Body        string             `json:"body,omitempty"`
	Attachments []Attachment       `json:"attachments,omitempty"`
	Custom      map[string]any     `json:"custom,omitempty"`
	Created     time.Time          `json:"created_at"`
	Updated     time.Time          `json:"updated_at"`
	Edited      time.Time          `json:"edited_at,omitzero"`
	Read        UserSet            `json:"read,omitempty"`
	Delivered   UserSet            `json:"delivered,omitempty"`
	DeletedFor  UserSet            `json:"deleted_for,omitempty"`
	Reactions   map[string]UserSet `json:"reactions,omitempty"`
}

func (a *Archive) save(out *savedState) {
	out.Dialogs = make([]savedDialog, 0, len(a.Dialogs))
	for e := a.active.Front(); e != nil; e = e.Next() {
		d := e.Value.(*Dialog)
		out.Dialogs = append(out.Dialogs, savedDialog{
			ID: d.ID, Type: d.Kind, Owner: d.Owner, Name: d.Name, Description: d.Description, Photo: d.Photo,
			Occupants: slices.Clone(d.Occupants), Admins: slices.Clone(d.Admins), Pinned: slices.Clone(d.Pinned),
			Extensions: d.Extensions, Permissions: d.Permissions,
			Silent: slices.Clone(d.Silent), Hidden: slices.Clone(d.Hidden), Whiteboards: d.Whiteboards,
			Created: d.Created, Updated: d.Updated,
		})
	}
	out.Messages = make([]savedMessage, 0, len(a.Messages))
	for e := a.history.Front(); e != nil; e = e.Next() {
		m := e.Value.(*Message)
		one := savedMessage{
			ID: m.ID, StanzaID: m.StanzaID, Dialog: m.Dialog.ID, Sender: m.Sender, Recipient: m.Recipient, Body: m.Body,
			Attachments: m.Attachments, Custom: m.Custom,
			Created: m.Created, Updated: m.Updated, Edited: m.Edited,
			Read: slices.Clone(m.Read), Delivered: slices.Clone(m.Delivered), DeletedFor: slices.Clone(m.DeletedFor),
		}
		for kind, users := range m.Reactions {
			if one.Reactions == nil {
				one.Reactions = make(map[string]UserSet, len(m.Reactions))
			}
			one.Reactions[kind] = slices.Clone(users)
		}
		out.Messages = append(out.Messages, one)
	}
}

func (a *Archive) restore(saved *savedState) error {
	for _, from := range saved.Dialogs {
		d := &Dialog{
			ID: from.ID, Kind: from.Type, Owner: from.Owner, Name: from.Name, Description: from.Description, Photo: from.Photo,
			Occupants: from.Occupants, Admins: from.Admins, Pinned: from.Pinned,
			Extensions: from.Extensions, Permissions: from.Permissions, Silent: from.Silent, Hidden: from.Hidden,
			Whiteboards: from.Whiteboards,
			Created:     from.Created, Updated: from.Updated,
		}
		for _, set := range []UserSet{d.Occupants, d.Admins, d.Silent, d.Hidden} {
			if !isSet(set) {
				return fmt.Errorf("dialog %s has users out of order", from.ID)
			}
		}
		if d.Kind < KindBroadcast || d.Kind > KindPublic || d.Kind == KindPrivate && len(d.Occupants) != 2 ||
			!IsOID(from.ID) || a.Dialogs[from.ID] != nil {
			return fmt.Errorf("dialog %s occurs twice, or is incomplete", from.ID)
		}
		a.put(d)
	}
	for _, from := range saved.Messages {
		m := &Message{
			ID: from.ID, StanzaID: from.StanzaID, Dialog: a.Dialogs[from.Dialog], Sender: from.Sender, Recipient: from.Recipient,
			Body: from.Body, Attachments: from.Attachments, Custom: from.Custom,
			Read: from.Read, Delivered: from.Delivered, DeletedFor: from.DeletedFor, Reactions: from.Reactions,
			Created: from.Created, Updated: from.Updated, Edited: from.Edited,
		}
		sets := append(slices.Collect(maps.Values(m.Reactions)), m.Read, m.Delivered, m.DeletedFor)
		if m.Dialog == nil || !IsOID(m.ID) || a.Messages[m.ID] != nil || slices.ContainsFunc(sets, func(set UserSet) bool { return !isSet(set) }) {
			return fmt.Errorf("message %s occurs twice, or is incomplete", from.ID)
		}
		a.append(m)
	}
	if newest := a.active.Back(); newest != nil {
		a.makeRoom(newest.Value.(*Dialog))
	}
	a.Shrink()
	return nil
}

// isSet reports whether the IDs ascend, as the binary search requires.
func isSet(set UserSet) bool {
	for i := 1; i < len(set); i++ {
		if set[i-1] >= set[i] {
			return false
		}
	}
	return true
}
