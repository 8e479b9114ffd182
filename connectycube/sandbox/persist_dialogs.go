package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

type savedDialog struct {
	ID          string            `json:"id"`
	Type        dialogKind        `json:"type"`
	Owner       int64             `json:"owner"`
	Name        string            `json:"name,omitempty"`
	Description string            `json:"description,omitempty"`
	Photo       string            `json:"photo,omitempty"`
	Occupants   userSet           `json:"occupants"`
	Admins      userSet           `json:"admins,omitempty"`
	Pinned      []string          `json:"pinned,omitempty"`
	Extensions  map[string]string `json:"extensions,omitempty"`
	Permissions map[string]bool   `json:"permissions,omitempty"`
	Silent      userSet           `json:"silent,omitempty"`
	Hidden      userSet           `json:"hidden,omitempty"`
	Created     time.Time         `json:"created_at"`
	Updated     time.Time         `json:"updated_at"`
}

type savedMessage struct {
	ID          string             `json:"id"`
	Dialog      string             `json:"dialog"`
	Sender      int64              `json:"sender"`
	Recipient   int64              `json:"recipient,omitempty"`
	Body        string             `json:"body,omitempty"`
	Attachments []attachment       `json:"attachments,omitempty"`
	Custom      map[string]any     `json:"custom,omitempty"`
	Created     time.Time          `json:"created_at"`
	Updated     time.Time          `json:"updated_at"`
	Edited      time.Time          `json:"edited_at,omitzero"`
	Read        userSet            `json:"read,omitempty"`
	Delivered   userSet            `json:"delivered,omitempty"`
	DeletedFor  userSet            `json:"deleted_for,omitempty"`
	Reactions   map[string]userSet `json:"reactions,omitempty"`
}

func (a *archive) save(out *savedState) {
	out.Dialogs = make([]savedDialog, 0, len(a.dialogs))
	for e := a.active.Front(); e != nil; e = e.Next() {
		d := e.Value.(*dialog)
		out.Dialogs = append(out.Dialogs, savedDialog{
			ID: d.id, Type: d.kind, Owner: d.owner, Name: d.name, Description: d.description, Photo: d.photo,
			Occupants: slices.Clone(d.occupants), Admins: slices.Clone(d.admins), Pinned: slices.Clone(d.pinned),
			Extensions: d.extensions, Permissions: d.permissions,
			Silent: slices.Clone(d.silent), Hidden: slices.Clone(d.hidden),
			Created: d.created, Updated: d.updated,
		})
	}
	out.Messages = make([]savedMessage, 0, len(a.messages))
	for e := a.history.Front(); e != nil; e = e.Next() {
		m := e.Value.(*message)
		one := savedMessage{
			ID: m.id, Dialog: m.dialog.id, Sender: m.sender, Recipient: m.recipient, Body: m.body,
			Attachments: m.attachments, Custom: m.custom,
			Created: m.created, Updated: m.updated, Edited: m.edited,
			Read: slices.Clone(m.read), Delivered: slices.Clone(m.delivered), DeletedFor: slices.Clone(m.deletedFor),
		}
		for kind, users := range m.reactions {
			if one.Reactions == nil {
				one.Reactions = make(map[string]userSet, len(m.reactions))
			}
			one.Reactions[kind] = slices.Clone(users)
		}
		out.Messages = append(out.Messages, one)
	}
}

func (a *archive) restore(saved *savedState) error {
	for _, from := range saved.Dialogs {
		d := &dialog{
			id: from.ID, kind: from.Type, owner: from.Owner, name: from.Name, description: from.Description, photo: from.Photo,
			occupants: from.Occupants, admins: from.Admins, pinned: from.Pinned,
			extensions: from.Extensions, permissions: from.Permissions, silent: from.Silent, hidden: from.Hidden,
			created: from.Created, updated: from.Updated,
		}
		for _, set := range []userSet{d.occupants, d.admins, d.silent, d.hidden} {
			if !isSet(set) {
				return fmt.Errorf("dialog %s has users out of order", from.ID)
			}
		}
		if d.kind < kindBroadcast || d.kind > kindPublic || d.kind == kindPrivate && len(d.occupants) != 2 ||
			!isOID(from.ID) || a.dialogs[from.ID] != nil {
			return fmt.Errorf("dialog %s is given twice, or is not whole", from.ID)
		}
		a.put(d)
	}
	for _, from := range saved.Messages {
		m := &message{
			id: from.ID, dialog: a.dialogs[from.Dialog], sender: from.Sender, recipient: from.Recipient,
			body: from.Body, attachments: from.Attachments, custom: from.Custom,
			read: from.Read, delivered: from.Delivered, deletedFor: from.DeletedFor, reactions: from.Reactions,
			created: from.Created, updated: from.Updated, edited: from.Edited,
		}
		sets := append(slices.Collect(maps.Values(m.reactions)), m.read, m.delivered, m.deletedFor)
		if m.dialog == nil || !isOID(m.id) || a.messages[m.id] != nil || slices.ContainsFunc(sets, func(set userSet) bool { return !isSet(set) }) {
			return fmt.Errorf("message %s is given twice, or is not whole", from.ID)
		}
		a.append(m)
	}
	if newest := a.active.Back(); newest != nil {
		a.makeRoom(newest.Value.(*dialog))
	}
	a.shrink()
	return nil
}

// isSet says whether the ids ascend, as a search in them needs.
func isSet(set userSet) bool {
	for i := 1; i < len(set); i++ {
		if set[i-1] >= set[i] {
			return false
		}
	}
	return true
}
