package core

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	MaxSeedBytes = 8 << 20 // bytes of a seed's JSON
	maxSeeded    = 10_000  // users, dialogs and messages of one seed, each
	maxSeededID  = 1 << 30 // of a user: later IDs must fit in 31 bits, too
	maxErrors    = 50      // in the error text
)

// Seed is a start state for a test. It names users by login, email, external ID or
// ID, and dialogs by Key.
type Seed struct {
	Users    []SeedUser    `json:"users"`
	Dialogs  []SeedDialog  `json:"dialogs"`
	Messages []SeedMessage `json:"messages"`
}

// SeedUser is a user to create. One of Login, Email and ExternalID is required.
// Password is required unless there is an ExternalID: then the identity provider
// knows the user.
type SeedUser struct {
	ID         int64    `json:"id"` // default: the next ID
	Login      string   `json:"login"`
	Email      string   `json:"email"`
	Password   string   `json:"password"`
	ExternalID string   `json:"external_id"`
	FullName   string   `json:"full_name"`
	Phone      string   `json:"phone"`
	Avatar     string   `json:"avatar"`
	CustomData string   `json:"custom_data"`
	Tags       []string `json:"tags"`
}

// SeedDialog is a dialog to create; an existing private dialog is reused.
type SeedDialog struct {
	Key         string   `json:"key"`  // the name for messages of the seed
	Type        int      `json:"type"` // 1 broadcast, 2 group (default), 3 private, 4 public
	Name        string   `json:"name"` // required unless private
	Description string   `json:"description"`
	Photo       string   `json:"photo"`
	Owner       string   `json:"owner"`
	Occupants   []string `json:"occupants"` // without the owner and the admins
	Admins      []string `json:"admins"`
}

// SeedMessage is a message from the past; no client is notified. The messages of a
// dialog must be in the order in which they were sent.
type SeedMessage struct {
	Dialog string   `json:"dialog"`
	From   string   `json:"from"`
	Text   string   `json:"message"`
	Ago    string   `json:"ago"` // a duration in Go's notation; default 0s
	ReadBy []string `json:"read_by"`
}

// Seeded holds the new IDs: of users in the order of the seed, of dialogs by key, of
// messages in order.
type Seeded struct {
	Users    []int64           `json:"users"`
	Dialogs  map[string]string `json:"dialogs"`
	Messages []string          `json:"messages"`
}

// Seed creates everything or nothing. The error contains everything that is wrong.
func (s *Application) Seed(seed Seed) (Seeded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Registry.Sweep(s.Now())
	if max(len(seed.Users), len(seed.Dialogs), len(seed.Messages)) > maxSeeded {
		return Seeded{}, fmt.Errorf("seed: more than %d of a kind", maxSeeded)
	}
	if len(s.Registry.Users)+len(seed.Users) > s.Registry.maxUsers {
		return Seeded{}, fmt.Errorf("seed: more than %d users", s.Registry.maxUsers)
	}
	if len(s.Archive.Dialogs)+len(seed.Dialogs) > s.Archive.limits.Dialogs {
		return Seeded{}, fmt.Errorf("seed: more than %d dialogs", s.Archive.limits.Dialogs)
	}
	g := &seeding{
		s:       s,
		now:     s.Now(),
		made:    NewRegistry(maxSeeded, 1),
		dialogs: map[string]*Dialog{},
		out:     Seeded{Users: []int64{}, Dialogs: map[string]string{}, Messages: []string{}},
	}
	g.made.NextUser = s.Registry.NextUser
	for i, from := range seed.Users {
		g.user(fmt.Sprintf("users[%d]", i), from)
	}
	for i, from := range seed.Dialogs {
		g.dialog(fmt.Sprintf("dialogs[%d]", i), from)
	}
	for i, from := range seed.Messages {
		g.message(fmt.Sprintf("messages[%d]", i), from)
	}
	if n := g.dialogBytes(); n > s.Archive.maxDialogBytes/2 {
		g.fail("dialogs", "%d bytes are more than half of the sandbox's bound", n)
	}
	if err := g.err(); err != nil {
		return Seeded{}, err
	}
	g.store()
	s.Changed()
	return g.out, nil
}

// seeding is a seed that is being checked. It changes the sandbox only after all
// checks. Its users already have their IDs, because the lock keeps others from
// taking these.
type seeding struct {
	s     *Application
	now   time.Time
	wrong []error
	out   Seeded

	made     Registry // the seed's users
	dialogs  map[string]*Dialog
	order    []string // of the keys of dialogs
	messages []seedingMessage
}

type seedingMessage struct {
	*Message
	key    string // of the dialog, which may exist already
	at     time.Time
	readBy []int64
}

func (g *seeding) fail(at, format string, args ...any) {
	g.wrong = append(g.wrong, fmt.Errorf("seed: "+at+": "+format, args...))
}

func (g *seeding) err() error {
	if n := len(g.wrong); n > maxErrors {
		g.wrong = append(g.wrong[:maxErrors:maxErrors], fmt.Errorf("seed: and %d more", n-maxErrors))
	}
	return errors.Join(g.wrong...)
}

func (g *seeding) user(at string, from SeedUser) {
	p, err := Profile{}.With(from.fields())
	if err == nil && p.Login == "" && p.Email == "" {
		err = ErrNoLogin
	}
	if err == nil && from.Password == "" && from.ExternalID == "" {
		err = ErrBlankPassword
	}
	if text := CheckLength("password", from.Password, 6, 40); text != "" && from.Password != "" {
		err = errors.Join(err, AsBase(422, text))
	}
	u := &User{Profile: p}
	if err == nil {
		err = errors.Join(g.s.Registry.conflict(u, p), g.made.conflict(u, p))
	}
	if err != nil {
		g.fail(at, "%s", RefusalText(err))
	}
	if from.Password != "" {
		u.Credential = g.s.Passwords.CredentialOf(from.Password)
	}
	if u.ID = from.ID; u.ID == 0 {
		g.made.NextUser++
		u.ID = g.made.NextUser
	}
	if from.ID < 0 || from.ID > maxSeededID || g.made.Users[u.ID] != nil || g.s.Registry.Users[u.ID] != nil {
		g.fail(at, "id must be 1 to %d and not another user's", maxSeededID)
	}
	g.made.NextUser = max(g.made.NextUser, u.ID)
	g.made.put(u, g.now)
	g.out.Users = append(g.out.Users, u.ID)
}

// fields returns the fields of an equivalent sign-up, without empty ones.
func (from SeedUser) fields() Params {
	fields := Params{"tag_list": strings.Join(from.Tags, ",")}
	if from.Login == "" && from.Email == "" && from.ExternalID != "" {
		fields["login"] = providerLogin(from.ExternalID)
	}
	for name, value := range map[string]string{
		"login": from.Login, "email": from.Email, "external_id": from.ExternalID, "full_name": from.FullName,
		"phone": from.Phone, "avatar": from.Avatar, "custom_data": from.CustomData,
	} {
		if value != "" {
			fields[name] = value
		}
	}
	return fields
}

// RefusalText returns the texts of a refusal, or of several errors, in one line.
func RefusalText(err error) string {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var texts []string
		for _, one := range many.Unwrap() {
			texts = append(texts, RefusalText(one))
		}
		return strings.Join(texts, "; ")
	}
	r, _ := err.(*Refusal)
	if r == nil {
		return err.Error()
	}
	if list, ok := r.Errors.([]string); ok {
		return strings.Join(list, "; ")
	}
	byField, _ := r.Errors.(map[string][]string)
	var texts []string
	for _, field := range slices.Sorted(maps.Keys(byField)) {
		text := strings.Join(byField[field], "; ")
		if field != "base" {
			text = field + " " + text
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// userID finds a user of the seed or of the sandbox; 0 if there is none.
func (g *seeding) userID(at, name string) int64 {
	id, _ := strconv.ParseInt(name, 10, 64)
	for _, r := range []*Registry{&g.made, &g.s.Registry} {
		for _, u := range []*User{r.ByLogin[name], r.ByEmail[NormalEmail(name)], r.ByExternal[name], r.Users[id]} {
			if u != nil {
				return u.ID
			}
		}
	}
	g.fail(at, "there is no user %q", name)
	return 0
}

func (g *seeding) all(at string, names []string) (set UserSet) {
	for i, name := range names {
		set.Add(g.userID(fmt.Sprintf("%s[%d]", at, i), name))
	}
	return set
}

func (g *seeding) dialog(at string, from SeedDialog) {
	d := &Dialog{
		Kind:    DialogKind(cmp.Or(from.Type, int(KindGroup))),
		Owner:   g.userID(at+".owner", from.Owner),
		Created: g.now,
	}
	d.Admins = g.all(at+".admins", from.Admins)
	d.Admins.Remove(d.Owner)
	d.Occupants = g.all(at+".occupants", from.Occupants)
	for _, id := range append(slices.Clone(d.Admins), d.Owner) {
		d.Occupants.Add(id)
	}
	err := g.s.Describe(d, Params{"name": from.Name, "description": from.Description, "photo": from.Photo})
	if err == nil && d.Kind != KindPrivate {
		err = d.Check()
	}
	if err != nil {
		g.fail(at, "%s", RefusalText(err))
	}
	if d.Kind < KindBroadcast || d.Kind > KindPublic {
		g.fail(at, "type must be 1 to 4")
	}
	if d.Kind == KindPrivate {
		d.Name, d.Description, d.Photo = "", "", ""
		if len(d.Occupants) != 2 || len(d.Admins) > 0 {
			g.fail(at, "a private dialog must have an owner and one occupant")
		}
	}
	if from.Key == "" || g.dialogs[from.Key] != nil {
		g.fail(at, "key is missing, or used twice")
	}
	g.dialogs[from.Key] = d
	g.order = append(g.order, from.Key)
}

func (g *seeding) message(at string, from SeedMessage) {
	d := g.dialogs[from.Dialog]
	if d == nil {
		g.fail(at, "there is no dialog %q in the seed", from.Dialog)
		d = &Dialog{}
	}
	m := seedingMessage{
		Message: &Message{Sender: g.userID(at+".from", from.From), Body: from.Text},
		key:     from.Dialog,
		at:      g.now,
		readBy:  g.all(at+".read_by", from.ReadBy),
	}
	if d.Kind >= KindBroadcast && d.Kind <= KindPublic && !d.May(m.Sender, ToSend) {
		g.fail(at, "%q may not send there", from.From)
	}
	if from.Ago != "" {
		ago, err := time.ParseDuration(from.Ago)
		if err != nil || ago < 0 || ago > maxAdvance {
			g.fail(at, `ago must be a duration such as "90m"`)
		}
		m.at = g.now.Add(-ago)
	}
	if m.at.Before(d.Created) {
		d.Created = m.at
	}
	if from.Text == "" {
		g.fail(at, "message is required")
	}
	g.messages = append(g.messages, m)
}

// dialogBytes returns the size of the seed's dialogs. Up to half of the bound they
// do not replace one another.
func (g *seeding) dialogBytes() (n int) {
	for _, d := range g.dialogs {
		n += d.weight()
	}
	return n
}

// store stores the checked seed. It cannot fail.
func (g *seeding) store() {
	r, a := &g.s.Registry, &g.s.Archive
	for _, id := range g.out.Users {
		r.put(g.made.Users[id], g.now)
	}
	r.NextUser = max(r.NextUser, g.made.NextUser)
	for _, key := range g.order {
		d := g.dialogs[key]
		if d.Kind == KindPrivate {
			d = a.PrivateDialog(d.Owner, d.Opponent(d.Owner), g.now)
			g.dialogs[key] = d
		} else {
			a.Add(d, d.Created) // which is not after its first message
		}
		g.out.Dialogs[key] = d.ID
	}
	for _, m := range g.messages {
		m.Dialog = g.dialogs[m.key]
		m.Recipient = m.Dialog.Opponent(m.Sender)
		a.Post(m.Message, m.at)
		for _, id := range m.readBy {
			a.Mark(m.Message, id, true, m.at)
		}
		g.out.Messages = append(g.out.Messages, m.ID)
	}
	a.Shrink()
}
