package server

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"cubegate/server/config"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is an error in the command line.
type usageError struct{ error }

// flagError reports an unknown command before the flags that belong to it, and the setting
// or the flag that an unknown flag likely means.
func (p process) flagError(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 {
		return usageError{unknownCommand(cmd, cmd.Flags().Args())}
	}
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usageError{wrongValue(wrong)}
	}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return usageError{err}
	}
	typed := cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()) // -lan is read as -l -a -n
	dash := "--"
	if unknown.GetSpecifiedShortnames() != "" {
		dash = "-"
	}
	err = fmt.Errorf("unknown flag %s%s", dash, typed)
	variable := strings.ReplaceAll(typed, "-", "_")
	if setting, unnamed := settingsNamed(config.Settings(p.configYAML), []string{variable}); unnamed == nil {
		return usageError{fmt.Errorf("%w; it is a setting, which stands before the program, as in: %s=… cubegate", err, setting[0].Env)}
	}
	if similar := similarFlag(cmd, typed); similar != "" {
		err = fmt.Errorf("%w; did you mean %s?", err, similar)
	}
	return usageError{err}
}

// wanted describes the values of flags by their types.
var wanted = map[string]string{"duration": "a duration with its unit, such as 250ms, 30s or 1m", "int": "a whole number", "bool": "true or false"}

// wrongValue reports a value that does not have the type of its flag.
func wrongValue(err *pflag.InvalidValueError) error {
	f := err.GetFlag()
	want, ok := wanted[f.Value.Type()]
	if !ok {
		return err
	}
	return fmt.Errorf("invalid argument %q for \"--%s\": want %s", err.GetValue(), f.Name, want)
}

// similarFlag returns the flag of cmd that typed resembles most, or else a command that has
// such a flag or name, or "".
func similarFlag(cmd *cobra.Command, typed string) string {
	var flags []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, "--"+f.Name) })
	if best := mostSimilar("--"+typed, flags); best != "" {
		return best
	}
	var others []string
	for _, sub := range cmd.Root().Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		if mostSimilar(typed, []string{sub.Name()}) != "" {
			others = append(others, sub.CommandPath())
		}
		sub.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == typed {
				others = append(others, sub.CommandPath()+" --"+f.Name)
			}
		})
	}
	return strings.Join(others, " or ")
}

// maxTypos is the largest distance of a typed word to a word that it may stand for, in
// letters.
const maxTypos = 2

// mostSimilar returns the word that is nearest to typed, or "" if none is near.
func mostSimilar(typed string, words []string) string {
	best, least := "", maxTypos+1
	for _, word := range words {
		distance := levenshtein.ComputeDistance(strings.ToLower(typed), strings.ToLower(word))
		if distance < least && distance < len(strings.TrimLeft(word, "-")) {
			best, least = word, distance
		}
	}
	return best
}

// withHelp adds to the text of a usage error where to get help.
func withHelp(text string, cmd *cobra.Command) string {
	join := "; see"
	if strings.HasSuffix(text, "?") {
		join = " See"
	}
	return fmt.Sprintf("%s%s %q", text, join, cmd.CommandPath()+" --help")
}

// noArguments is the Args of a command that takes none.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

// unknownCommand is the Args of a command that has commands below it. Cobra passes
// an argument to it only if that names none of them.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if name, _, isSetting := strings.Cut(args[0], "="); isSetting && !cmd.HasParent() { // the value may be a secret
		return fmt.Errorf("unknown command %q; settings stand before the program, as in: %s=… cubegate", name+"=…", name)
	}
	similar := nearest(args[0], cmd.SuggestionsFor(args[0]))
	if len(similar) == 0 && cmd.Flags().Lookup(args[0]) != nil {
		return fmt.Errorf("unknown command %q; did you mean --%[1]s?", args[0])
	}
	if len(similar) == 0 || args[0] == "" { // every name begins with ""
		return fmt.Errorf("unknown command %q", args[0])
	}
	return fmt.Errorf("unknown command %q; did you mean %s?", args[0], alternatives(similar))
}

// alternatives returns "a", "a or b", or "a, b or c".
func alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// nearest returns the words that begin with typed, else those that differ least from it.
func nearest(typed string, words []string) []string {
	typed = strings.ToLower(typed)
	distance := func(word string) int {
		if strings.HasPrefix(word, typed) {
			return 0
		}
		return levenshtein.ComputeDistance(typed, word)
	}
	var best []string
	for _, word := range words {
		if best != nil && distance(word) < distance(best[0]) {
			best = nil
		}
		if best == nil || distance(word) == distance(best[0]) {
			best = append(best, word)
		}
	}
	return best
}

// chooseCommand is the RunE of a command that only groups others.
func chooseCommand(cmd *cobra.Command, args []string) error {
	if err := unknownCommand(cmd, args); err != nil {
		return usageError{err}
	}
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return usageError{fmt.Errorf("want one of these commands: %s", strings.Join(names, ", "))}
}
