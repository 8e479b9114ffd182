package server

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"cubegate/server/config"

	"github.com/spf13/cobra"
)

// addStandardCommands adds cobra's help and completion. Cobra itself adds them only
// after checkArguments has run.
func (p process) addStandardCommands(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			p.extendHelp(root, cmd)
		case "completion":
			cmd.Use = "completion bash|zsh|fish|powershell"
			cmd.Short = "prints a script that makes the shell complete commands and flags"
		}
	}
}

// extendHelp makes the command help explain settings, too.
func (p process) extendHelp(root, help *cobra.Command) {
	help.Use = "help [command or SETTING]"
	help.Short = "explains a command or a setting; without one, lists commands and settings"
	help.Example = "  cubegate help grant\n  cubegate help TRUSTED_PROXIES"
	help.Args = func(_ *cobra.Command, args []string) error {
		about, rest, _ := root.Find(args)
		if about != root || len(rest) == 0 {
			return unknownCommand(about, rest)
		}
		_, err := settingsNamed(config.Settings(p.configYAML), rest)
		if err != nil && len(root.SuggestionsFor(rest[0])) > 0 {
			return unknownCommand(root, rest)
		}
		return err
	}
	explain := help.Run
	help.Run = func(cmd *cobra.Command, args []string) {
		if found, err := settingsNamed(config.Settings(p.configYAML), args); err == nil && len(found) > 0 {
			printSettings(p.stdout, found)
			return
		}
		explain(cmd, args)
	}
}

// settingsNamed returns the settings with the given variables or keys, in any letter case.
func settingsNamed(settings []config.Setting, names []string) ([]config.Setting, error) {
	var found []config.Setting
	for _, name := range names {
		i := slices.IndexFunc(settings, func(s config.Setting) bool {
			return strings.EqualFold(name, s.Env) || strings.EqualFold(name, s.Key) || s.Secret && strings.EqualFold(name, s.Env+"_FILE")
		})
		if i < 0 {
			return nil, unknownTopic(settings, name)
		}
		found = append(found, settings[i])
	}
	return found, nil
}

// unknownTopic is the error of help about a word that is neither a command nor a setting.
func unknownTopic(settings []config.Setting, name string) error {
	words := make([]string, len(settings))
	for i, s := range settings {
		words[i] = s.Env
	}
	if similar := mostSimilar(name, words); similar != "" {
		return fmt.Errorf("unknown setting %q; did you mean %s?", name, similar)
	}
	return fmt.Errorf("unknown command or setting %q", name)
}

// helpColumns is the width of the meanings of settings.
const helpColumns = 88

// wrap breaks text at blanks into lines of at most the given columns. A longer word has a
// line of its own.
func wrap(text string, most int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case columns(*last)+len(" ")+columns(word) <= most:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// printSettings lists settings with their meanings. It shows names and defaults, never
// values.
func printSettings(w io.Writer, settings []config.Setting) {
	for _, s := range settings {
		value := s.Default
		if s.Secret {
			value = "(secret; also as " + s.Env + "_FILE)"
		}
		fmt.Fprintf(w, "\n%s\n", strings.TrimRight("  "+s.Env+"  "+value, " "))
		for _, line := range wrap(s.Comment, helpColumns) {
			fmt.Fprintf(w, "      %s\n", line)
		}
	}
}
