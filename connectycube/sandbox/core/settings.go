package core

import (
	"errors"
	"slices"
)

// Settings are the settings of an application's dashboard that change answers,
// except those of CIdP. They begin with the values of Options, and a reset keeps them.
type Settings struct {
	DenyAutoCreate   bool     `json:"deny_auto_create"`  // as in Options
	V1Users          bool     `json:"v1_users"`          // as in Options
	DialogExtensions []string `json:"dialog_extensions"` // as in Options
}

// Clone returns a copy that shares no memory with c, with nil for no extensions.
func (c Settings) Clone() Settings {
	c.DialogExtensions = append([]string(nil), c.DialogExtensions...)
	return c
}

// Settings returns the current settings.
func (s *Application) Settings() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Dashboard.Clone()
}

// SetSettings replaces all settings. If there are more than 50 extensions, or one
// is empty or longer than 2048 bytes, it returns an error and changes nothing.
func (s *Application) SetSettings(c Settings) error {
	unfit := func(key string) bool { return key == "" || len(key) > 2048 }
	if len(c.DialogExtensions) > 50 || slices.ContainsFunc(c.DialogExtensions, unfit) {
		return errors.New("settings: dialog_extensions must have at most 50 keys of 1 to 2048 bytes")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Dashboard = c.Clone()
	return nil
}
