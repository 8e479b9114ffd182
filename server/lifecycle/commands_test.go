package lifecycle

import (
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cubegate/server"
	"cubegate/server/servertest"
)

// outcome is the result of one command line.
type outcome struct {
	code           int
	stdout, stderr string
}

// typed runs a command line with env as the whole environment.
func typed(t *testing.T, env map[string]string, args ...string) outcome {
	t.Helper()
	var stdout, stderr servertest.LogBuffer
	getenv := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	code := server.Main(t.Context(), servertest.ConfigYAML, args, getenv, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// wrongSettings stop each command that loads the settings.
var wrongSettings = map[string]string{"PORT": "nonsense"}

// listedCommands returns the names in the list of commands that a help text has.
func listedCommands(t *testing.T, help string) []string {
	t.Helper()
	_, list, _ := strings.Cut(help, "Commands:\n")
	list, _, found := strings.Cut(list, "\n\n")
	if !found {
		t.Fatalf("the help lists no commands:\n%s", help)
	}
	var names []string
	for line := range strings.Lines(list) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		names = append(names, name)
	}
	return names
}

// Each command explains itself in two ways that print the same, and needs no
// settings for that. The table has each command that the program lists.
func TestHelpOfEachCommand(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"":                      {"cubegate [command]\n", "--version", "\nSettings come from ", "  PORT  ", "(secret; also as JWT_SECRET_FILE)"},
		"check":                 {"cubegate check\n"},
		"completion":            {"cubegate completion bash|zsh|fish|powershell\n"},
		"completion bash":       {"cubegate completion bash\n", "--no-descriptions"},
		"completion fish":       {"cubegate completion fish\n"},
		"completion powershell": {"cubegate completion powershell\n"},
		"completion zsh":        {"cubegate completion zsh\n"},
		"export":                {"cubegate export\n"},
		"grant":                 {"cubegate grant EMAIL ROLE\n", "cubegate grant jo@example.org admin\n"},
		"health":                {"cubegate health\n"},
		"help":                  {"cubegate help [command]\n"},
		"keys":                  {"cubegate keys new|list|retire\n"},
		"keys list":             {"cubegate keys list\n"},
		"keys new":              {"cubegate keys new [--alg EdDSA|ES256] [--in 1m]\n", `(default "EdDSA")`, "(default 1m0s)"},
		"keys retire":           {"cubegate keys retire KID\n"},
		"licenses":              {"cubegate licenses\n"},
		"passwords":             {"cubegate passwords\n"},
		"sandbox":               {"cubegate sandbox [--tls] [--data FILE]\n", "--data file ", "--tls "},
		"serve":                 {"cubegate serve\n"},
	}
	for _, group := range []string{"", "completion", "keys"} {
		for _, name := range listedCommands(t, typed(t, nil, append(strings.Fields(group), "--help")...).stdout) {
			if path := strings.TrimSpace(group + " " + name); tests[path] == nil {
				t.Errorf("the table lacks %q", path)
			}
		}
	}
	for path, want := range tests {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			got := typed(t, wrongSettings, append(strings.Fields(path), "--help")...)
			if got.code != 0 || got.stderr != "" {
				t.Fatalf("--help: %+v", got)
			}
			for _, text := range want {
				if !strings.Contains(got.stdout, text) {
					t.Errorf("the help lacks %q:\n%s", text, got.stdout)
				}
			}
			if path != "" && strings.Contains(got.stdout, "Settings come from") {
				t.Error("the help of one command lists all settings")
			}
			if other := typed(t, wrongSettings, append([]string{"help"}, strings.Fields(path)...)...); other != got {
				t.Errorf("help %s does not print the same as --help: %+v", path, other)
			}
		})
	}
}

// An error in the command line ends with status 2 and three short lines. The
// settings are not looked at, and no command starts.
func TestUsageErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line, problem, usage string
	}{
		{"serv", `unknown command "serv"; did you mean serve?`, "cubegate [command]"},
		{"start", `unknown command "start"; did you mean serve?`, "cubegate [command]"},
		{"sandbx --tls", `unknown command "sandbx"; did you mean sandbox?`, "cubegate [command]"},
		{"he", `unknown command "he"; did you mean health?`, "cubegate [command]"},
		{"ehck", `unknown command "ehck"; did you mean check?`, "cubegate [command]"},
		{"nonsense", `unknown command "nonsense"`, "cubegate [command]"},
		{"--tls", "unknown flag: --tls", "cubegate [command]"},
		{"--tls sandbox", "unknown flag: --tls", "cubegate [command]"},
		{"serve x", `unexpected argument "x"`, "cubegate serve"},
		{"health --tls", "unknown flag: --tls", "cubegate health"},
		{"sandbox now", `unexpected argument "now"`, "cubegate sandbox [--tls] [--data FILE]"},
		{"sandbox --data", "flag needs an argument: --data", "cubegate sandbox [--tls] [--data FILE]"},
		{"grant ada@example.org", "want an email and a role", "cubegate grant EMAIL ROLE"},
		{"grant ada@example.org admin now", "want an email and a role", "cubegate grant EMAIL ROLE"},
		{"keys", "want one of these commands: list, new, retire", "cubegate keys [command]"},
		{"keys lst", `unknown command "lst"; did you mean list?`, "cubegate keys [command]"},
		{"keys lst --alg", `unknown command "lst"; did you mean list?`, "cubegate keys [command]"},
		{"keys list x", `unexpected argument "x"`, "cubegate keys list"},
		{"keys retire", "want the ID of one key", "cubegate keys retire KID"},
		{"keys new --in soon", `invalid argument "soon" for "--in"`, "cubegate keys new [--alg"},
		{"keys new --in -1s", "--in is -1s, want 0s or more", "cubegate keys new [--alg"},
		{"completion", "want one of these commands: bash, fish, powershell, zsh", "cubegate completion [command]"},
		{"completion zhs", `unknown command "zhs"; did you mean`, "cubegate completion [command]"},
		{"completion bash x", "unknown command", "cubegate completion bash"},
		{"help kyes", `unknown command "kyes"; did you mean keys?`, "cubegate help [command]"},
		{"help keys lst", `unknown command "lst"; did you mean list?`, "cubegate help [command]"},
		{"licenses x", `unexpected argument "x"`, "cubegate licenses"},
		{"hash-passwords", "the server itself starts this command", "cubegate hash-passwords"},
		{"hash-password", `unknown command "hash-password"`, "cubegate [command]"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			got := typed(t, wrongSettings, strings.Fields(tt.line)...)
			lines := strings.Split(got.stderr, "\n")
			if got.code != 2 || got.stdout != "" || len(lines) != 4 {
				t.Fatalf("want status 2 and three lines: %+v", got)
			}
			if !strings.HasPrefix(lines[0], "cubegate: "+tt.problem) || !strings.HasPrefix(lines[1], "usage: "+tt.usage) || !strings.Contains(lines[2], ` --help"`) {
				t.Errorf("stderr:\n%s", got.stderr)
			}
		})
	}
	if got := typed(t, nil, ""); got.code != 2 || strings.Contains(got.stderr, "did you mean") {
		t.Errorf("an empty command: %+v", got)
	}
}

// A command that fails ends with status 1, one error and no usage.
func TestFailuresAreNoUsageErrors(t *testing.T) {
	t.Parallel()
	for line, problem := range map[string]string{
		"serve":           "1 problem with the configuration",
		"check":           "1 problem with the configuration",
		"keys list":       "1 problem with the configuration",
		"grant a@b.org x": "1 problem with the configuration",
	} {
		if got := typed(t, wrongSettings, strings.Fields(line)...); got.code != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, "cubegate: "+problem) || strings.Contains(got.stderr, "usage:") {
			t.Errorf("%q: %+v", line, got)
		}
	}
	if got := typed(t, wrongSettings); got.code != 1 { // not the arguments of the test binary
		t.Errorf("no arguments: %+v", got)
	}
	if got := typed(t, nil, "keys", "list"); got.code != 1 || got.stderr != "cubegate: JWT_KEYS is not set: set it to a folder for the keys, here and for the server\n" {
		t.Errorf("keys list without keys: %+v", got)
	}
}

// The scripts for shells and the words that they ask the program for need no settings.
func TestCompletionCommand(t *testing.T) {
	t.Parallel()
	for shell, text := range map[string]string{
		"bash": "complete -o default -F __start_cubegate cubegate", "zsh": "#compdef cubegate",
		"fish": "complete -c cubegate ", "powershell": "Register-ArgumentCompleter -CommandName 'cubegate'",
	} {
		if got := typed(t, wrongSettings, "completion", shell); got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, text) {
			t.Errorf("completion %s: status %d, %d bytes without %q; %s", shell, got.code, len(got.stdout), text, got.stderr)
		}
	}
	const files, noFiles = ":0", ":4" // how the shell goes on, after the words
	for _, tt := range []struct {
		typed []string
		want  []string
	}{
		{[]string{"s"}, []string{"sandbox", "serve", noFiles}},
		{[]string{"keys", ""}, []string{"list", "new", "retire", noFiles}},
		{[]string{"help", "l"}, []string{"licenses", noFiles}},
		{[]string{"sandbox", "--"}, []string{"--data", "--help", "--tls", noFiles}},
		{[]string{"sandbox", "--data", ""}, []string{files}},
		{[]string{"sandbox", ""}, []string{noFiles}},
		{[]string{"grant", ""}, []string{noFiles}},
	} {
		got := typed(t, wrongSettings, append([]string{"__complete"}, tt.typed...)...)
		var words []string
		for line := range strings.Lines(got.stdout) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			words = append(words, word)
		}
		if got.code != 0 || !slices.Equal(words, tt.want) {
			t.Errorf("%q completes to %q, want %q", tt.typed, words, tt.want)
		}
	}
}

// A shell accepts the script that it gets.
func TestCompletionCommandWritesBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	cmd := exec.CommandContext(t.Context(), bash, "-c", `eval "$(cat)" && complete -p cubegate`)
	cmd.Stdin = strings.NewReader(typed(t, nil, "completion", "bash").stdout)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "__start_cubegate") {
		t.Errorf("%v: %s", err, out)
	}
}

// The version needs no settings, and names the Go that built the program.
func TestVersionFlag(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--version", "-v"} {
		got := typed(t, wrongSettings, flag)
		if got.code != 0 || got.stderr != "" || strings.Count(got.stdout, "\n") != 1 ||
			!strings.HasPrefix(got.stdout, "cubegate version ") || !strings.Contains(got.stdout, ", revision ") || !strings.HasSuffix(got.stdout, ", "+runtime.Version()+"\n") {
			t.Errorf("%s: %+v", flag, got)
		}
	}
}
