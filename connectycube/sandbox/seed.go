package sandbox

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
	maxSeed     = 8 << 20 // bytes of a seed's JSON
	maxSeeded   = 10_000  // users, dialogs, messages of one seed, each
	maxSeededID = 1 << 30 // of a user: what comes after must fit in 31 bits, too
	maxProblems = 50      // that are shown
)

// Seed is what a test begins with. Users are named by login, e-mail or external
// id, or by number; dialogs by Key.
type Seed struct {
	Users    []SeedUser    `json:"users"`
	Dialogs  []SeedDialog  `json:"dialogs"`
	Messages []SeedMessage `json:"messages"`
}

// SeedUser is a user to make. One of Login, Email and ExternalID is required, and
// Password unless there is an ExternalID: then the identity provider knows it.
type SeedUser struct {
	ID         int64    `json:"id"` // default: the next one
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

// SeedDialog is a dialog to make; a private one that is there already is taken.
type SeedDialog struct {
	Key         string   `json:"key"`  // what messages call it
	Type        int      `json:"type"` // 1 broadcast, 2 group (default), 3 private, 4 public
	Name        string   `json:"name"` // required unless private
	Description string   `json:"description"`
	Photo       string   `json:"photo"`
	Owner       string   `json:"owner"`
	Occupants   []string `json:"occupants"` // beside the owner and the admins
	Admins      []string `json:"admins"`
}

// SeedMessage is a message that was sent before anybody came; nobody is told of
// it. Messages of a dialog stand in the order in which they were sent.
type SeedMessage struct {
	Dialog string   `json:"dialog"`
	From   string   `json:"from"`
	Text   string   `json:"message"`
	Ago    string   `json:"ago"` // how long ago, as Go writes durations; default 0s
	ReadBy []string `json:"read_by"`
}

// Seeded says which ids things got: users in the order of the seed, dialogs by
// key, messages in order.
type Seeded struct {
	Users    []int64           `json:"users"`
	Dialogs  map[string]string `json:"dialogs"`
	Messages []string          `json:"messages"`
}

// Seed makes all of it, or nothing: the error says everything that is wrong.
func (s *Application) Seed(seed Seed) (Seeded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registry.sweep(s.Now())
	if max(len(seed.Users), len(seed.Dialogs), len(seed.Messages)) > maxSeeded {
		return Seeded{}, fmt.Errorf("seed: more than %d of a kind", maxSeeded)
	}
	if len(s.registry.users)+len(seed.Users) > s.registry.maxUsers {
		return Seeded{}, fmt.Errorf("seed: more than %d users", s.registry.maxUsers)
	}
	if len(s.archive.dialogs)+len(seed.Dialogs) > s.archive.maxDialogs {
		return Seeded{}, fmt.Errorf("seed: more than %d dialogs", s.archive.maxDialogs)
	}
	g := &seeding{
		s:       s,
		now:     s.Now(),
		made:    newRegistry(maxSeeded, 1),
		dialogs: map[string]*dialog{},
		out:     Seeded{Users: []int64{}, Dialogs: map[string]string{}, Messages: []string{}},
	}
	g.made.nextUser = s.registry.nextUser
	for i, from := range seed.Users {
		g.user(fmt.Sprintf("users[%d]", i), from)
	}
	for i, from := range seed.Dialogs {
		g.dialog(fmt.Sprintf("dialogs[%d]", i), from)
	}
	for i, from := range seed.Messages {
		g.message(fmt.Sprintf("messages[%d]", i), from)
	}
	if n := g.dialogBytes(); n > s.archive.maxDialogBytes/2 {
		g.problem("dialogs", "%d bytes are more than half of what the sandbox may hold", n)
	}
	if err := g.problems(); err != nil {
		return Seeded{}, err
	}
	g.store()
	s.changed()
	return g.out, nil
}

// seeding is a seed that is being understood. The sandbox is not touched before
// all of it is; users have their ids already, as nobody else can take them while
// the lock is held.
type seeding struct {
	s     *Application
	now   time.Time
	wrong []error
	out   Seeded

	made     registry // the seed's users
	dialogs  map[string]*dialog
	order    []string // of the keys of dialogs
	messages []seedingMessage
}

type seedingMessage struct {
	*message
	key    string // of the dialog, which may turn out to be there already
	at     time.Time
	readBy []int64
}

func (g *seeding) problem(at, format string, args ...any) {
	g.wrong = append(g.wrong, fmt.Errorf("seed: "+at+": "+format, args...))
}

func (g *seeding) problems() error {
	if n := len(g.wrong); n > maxProblems {
		g.wrong = append(g.wrong[:maxProblems:maxProblems], fmt.Errorf("seed: and %d more", n-maxProblems))
	}
	return errors.Join(g.wrong...)
}

func (g *seeding) user(at string, from SeedUser) {
	p, err := profile{}.with(from.fields())
	if err == nil && p.login == "" && p.email == "" {
		err = errNoLogin
	}
	if err == nil && from.Password == "" && from.ExternalID == "" {
		err = errBlankPassword
	}
	if text := checkLength("password", from.Password, 6, 40); text != "" && from.Password != "" {
		err = errors.Join(err, asBase(422, text))
	}
	u := &user{profile: p}
	if err == nil {
		err = errors.Join(g.s.registry.conflict(u, p), g.made.conflict(u, p))
	}
	if err != nil {
		g.problem(at, "%s", refusalText(err))
	}
	if from.Password != "" {
		u.credential = g.s.passwords.credentialOf(from.Password)
	}
	if u.id = from.ID; u.id == 0 {
		g.made.nextUser++
		u.id = g.made.nextUser
	}
	if from.ID < 0 || from.ID > maxSeededID || g.made.users[u.id] != nil || g.s.registry.users[u.id] != nil {
		g.problem(at, "id is another user's, or not 1 to %d", maxSeededID)
	}
	g.made.nextUser = max(g.made.nextUser, u.id)
	g.made.put(u, g.now)
	g.out.Users = append(g.out.Users, u.id)
}

// fields are what a sign-up would have carried; null clears nothing here.
func (from SeedUser) fields() params {
	fields := params{"tag_list": strings.Join(from.Tags, ",")}
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

// refusalText is what a refusal says, on one line.
func refusalText(err error) string {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var texts []string
		for _, one := range many.Unwrap() {
			texts = append(texts, refusalText(one))
		}
		return strings.Join(texts, "; ")
	}
	r, _ := err.(*refusal)
	if r == nil {
		return err.Error()
	}
	byField, _ := r.errors.(map[string][]string)
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

// who finds a user of the seed or of the sandbox; 0 is nobody.
func (g *seeding) who(at, name string) int64 {
	id, _ := strconv.ParseInt(name, 10, 64)
	for _, r := range []*registry{&g.made, &g.s.registry} {
		for _, u := range []*user{r.byLogin[name], r.byEmail[normalEmail(name)], r.byExternal[name], r.users[id]} {
			if u != nil {
				return u.id
			}
		}
	}
	g.problem(at, "there is no user %q", name)
	return 0
}

func (g *seeding) all(at string, names []string) (set userSet) {
	for i, name := range names {
		set.add(g.who(fmt.Sprintf("%s[%d]", at, i), name))
	}
	return set
}

func (g *seeding) dialog(at string, from SeedDialog) {
	d := &dialog{
		kind:    dialogKind(cmp.Or(from.Type, int(kindGroup))),
		owner:   g.who(at+".owner", from.Owner),
		created: g.now,
	}
	d.admins = g.all(at+".admins", from.Admins)
	d.admins.remove(d.owner)
	d.occupants = g.all(at+".occupants", from.Occupants)
	for _, id := range append(slices.Clone(d.admins), d.owner) {
		d.occupants.add(id)
	}
	err := g.s.describe(d, params{"name": from.Name, "description": from.Description, "photo": from.Photo})
	if err == nil && d.kind != kindPrivate {
		err = d.check()
	}
	if err != nil {
		g.problem(at, "%s", refusalText(err))
	}
	if d.kind < kindBroadcast || d.kind > kindPublic {
		g.problem(at, "type must be 1 to 4")
	}
	if d.kind == kindPrivate {
		d.name, d.description, d.photo = "", "", ""
		if len(d.occupants) != 2 || len(d.admins) > 0 {
			g.problem(at, "a private dialog has an owner and one occupant")
		}
	}
	if from.Key == "" || g.dialogs[from.Key] != nil {
		g.problem(at, "key is missing, or given twice")
	}
	g.dialogs[from.Key] = d
	g.order = append(g.order, from.Key)
}

func (g *seeding) message(at string, from SeedMessage) {
	d := g.dialogs[from.Dialog]
	if d == nil {
		g.problem(at, "there is no dialog %q in the seed", from.Dialog)
		d = &dialog{}
	}
	m := seedingMessage{
		message: &message{sender: g.who(at+".from", from.From), body: from.Text},
		key:     from.Dialog,
		at:      g.now,
		readBy:  g.all(at+".read_by", from.ReadBy),
	}
	if d.kind >= kindBroadcast && d.kind <= kindPublic && !d.may(m.sender, toSend) {
		g.problem(at, "%q may not send there", from.From)
	}
	if from.Ago != "" {
		ago, err := time.ParseDuration(from.Ago)
		if err != nil || ago < 0 || ago > maxAdvance {
			g.problem(at, `ago must be a duration such as "90m"`)
		}
		m.at = g.now.Add(-ago)
	}
	if m.at.Before(d.created) {
		d.created = m.at
	}
	if from.Text == "" {
		g.problem(at, "message is required")
	}
	g.messages = append(g.messages, m)
}

// dialogBytes is what the seed's dialogs take. At most half of the bound they do
// not drop one another.
func (g *seeding) dialogBytes() (n int) {
	for _, d := range g.dialogs {
		n += d.weight()
	}
	return n
}

// store is the part that cannot fail.
func (g *seeding) store() {
	r, a := &g.s.registry, &g.s.archive
	for _, id := range g.out.Users {
		r.put(g.made.users[id], g.now)
	}
	r.nextUser = max(r.nextUser, g.made.nextUser)
	for _, key := range g.order {
		d := g.dialogs[key]
		if d.kind == kindPrivate {
			d = a.privateDialog(d.owner, d.opponent(d.owner), g.now)
			g.dialogs[key] = d
		} else {
			a.add(d, d.created) // not after its first message
		}
		g.out.Dialogs[key] = d.id
	}
	for _, m := range g.messages {
		m.dialog = g.dialogs[m.key]
		m.recipient = m.dialog.opponent(m.sender)
		a.post(m.message, m.at)
		for _, id := range m.readBy {
			a.mark(m.message, id, true, m.at)
		}
		g.out.Messages = append(g.out.Messages, m.id)
	}
	a.shrink()
}
