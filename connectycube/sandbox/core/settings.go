package core

import (
	"errors"
	"slices"
)

// Settings are what an application's dashboard has, as far as it changes answers
// and is not CIdP. They begin as Options say, and a reset leaves them alone.
type Settings struct {
	DenyAutoCreate   bool     `json:"deny_auto_create"`  // as in Options
	V1Users          bool     `json:"v1_users"`          // as in Options
	DialogExtensions []string `json:"dialog_extensions"` // as in Options
}

// Clone gives a copy that nobody else can change, with nil for no extensions.
func (c Settings) Clone() Settings {
	c.DialogExtensions = append([]string(nil), c.DialogExtensions...)
	return c
}

// Settings are those in force.
func (s *Application) Settings() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Dashboard.Clone()
}

// SetSettings replaces them all. The error says that there are more than 50
// extensions, or that one is empty or longer than 2048 bytes; then nothing
// changes.
func (s *Application) SetSettings(c Settings) error {
	unfit := func(key string) bool { return key == "" || len(key) > 2048 }
	if len(c.DialogExtensions) > 50 || slices.ContainsFunc(c.DialogExtensions, unfit) {
		return errors.New("settings: dialog_extensions: more than 50, or one that is empty or over 2048 bytes")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Dashboard = c.Clone()
	return nil
}
