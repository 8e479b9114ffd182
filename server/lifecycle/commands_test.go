package lifecycle

import (
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cubegate/server/config"
	"cubegate/server/servertest"
)

// wrongSettings make each command fail that loads the settings.
var wrongSettings = map[string]string{"PORT": "nonsense"}

// listedCommands returns the names of the commands in a help text.
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

// "--help" and "help" print the same text for each command, and need no settings.
// The table contains each command that the program lists.
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
		"doctor":                {"cubegate doctor [--json] [--hash-time 250ms] [--tls]\n", "--json ", "--hash-time "},
		"grant":                 {"cubegate grant EMAIL ROLE [--new]\n", "cubegate grant jo@example.org admin\n", "--new "},
		"health":                {"cubegate health [--tls]\n", "--tls "},
		"help":                  {"cubegate help [command or SETTING]\n"},
		"keys":                  {"cubegate keys new|list|retire\n"},
		"keys list":             {"cubegate keys list\n"},
		"keys new":              {"cubegate keys new [--alg EdDSA|ES256] [--in 1m]\n", `(default "EdDSA")`, "(default 1m0s)"},
		"keys retire":           {"cubegate keys retire KID\n"},
		"licenses":              {"cubegate licenses\n"},
		"passwords":             {"cubegate passwords\n"},
		"revoke":                {"cubegate revoke EMAIL ROLE\n", "cubegate revoke jo@example.org admin\n"},
		"sandbox":               {"cubegate sandbox [--lan] [--tls] [--data FILE]\n", "--data file ", "--tls "},
		"serve":                 {"cubegate serve\n"},
		"users":                 {"cubegate users [TEXT] [--limit 100] [--json]\n", "--json ", "--limit "},
	}
	for _, group := range []string{"", "completion", "keys"} {
		for _, name := range listedCommands(t, servertest.Run(t.Context(), nil, append(strings.Fields(group), "--help")...).Stdout) {
			if path := strings.TrimSpace(group + " " + name); tests[path] == nil {
				t.Errorf("the table lacks %q", path)
			}
		}
	}
	for path, want := range tests {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			got := servertest.Run(t.Context(), wrongSettings, append(strings.Fields(path), "--help")...)
			if got.Code != 0 || got.Stderr != "" {
				t.Fatalf("--help: %+v", got)
			}
			for _, text := range want {
				if !strings.Contains(got.Stdout, text) {
					t.Errorf("the help lacks %q:\n%s", text, got.Stdout)
				}
			}
			if path != "" && strings.Contains(got.Stdout, "Settings come from") {
				t.Error("the help of one command lists all settings")
			}
			if other := servertest.Run(t.Context(), wrongSettings, append([]string{"help"}, strings.Fields(path)...)...); other != got {
				t.Errorf("help %s differs from --help: %+v", path, other)
			}
		})
	}
}

// An empty email or role, as an unset variable of a shell makes it, is none.
func TestGrantRefusesBlanks(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"grant", "", "admin"}, {"grant", "ada@example.org", " "}, {"revoke", "\t", "admin"}} {
		got := servertest.Run(t.Context(), nil, args...)
		if got.Code != 2 || !strings.HasPrefix(got.Stderr, "cubegate: want an email and a role, as in: cubegate "+args[0]+" jo@example.org admin; ") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// An error in the command line ends with status 2 and one line: what is wrong, the likely
// word, and where to get help. The program does not load the settings, and no command starts.
func TestUsageErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line, failure, help string
	}{
		{"serv", `unknown command "serv"; did you mean serve?`, "cubegate"},
		{"start", `unknown command "start"; did you mean serve?`, "cubegate"},
		{"sandbx --tls", `unknown command "sandbx"; did you mean sandbox?`, "cubegate"},
		{"he", `unknown command "he"; did you mean health?`, "cubegate"},
		{"ehck", `unknown command "ehck"; did you mean check?`, "cubegate"},
		{"doktor", `unknown command "doktor"; did you mean doctor?`, "cubegate"},
		{"user", `unknown command "user"; did you mean users?`, "cubegate"},
		{"GRNAT a@b.org admin", `unknown command "GRNAT"; did you mean grant?`, "cubegate"},
		{"nonsense", `unknown command "nonsense"`, "cubegate"},
		{"JWT_SECRET=hidden", `unknown command "JWT_SECRET=…"; settings stand before the program, as in: JWT_SECRET=… cubegate`, "cubegate"},
		{"--tsl", "unknown flag --tsl; did you mean --tls?", "cubegate"},
		{"--laan", "unknown flag --laan; did you mean --lan?", "cubegate"},
		{"-lan", "unknown flag -lan; did you mean --lan?", "cubegate"},
		{"-x", "unknown flag -x", "cubegate"},
		{"--hepl", "unknown flag --hepl; did you mean --help?", "cubegate"},
		{"--versoin", "unknown flag --versoin; did you mean --version?", "cubegate"},
		{"--tsl sandbox", "unknown flag --tsl; did you mean --tls?", "cubegate"},
		{"--data x", "unknown flag --data; did you mean cubegate sandbox --data?", "cubegate"},
		{"--doctor", "unknown flag --doctor; did you mean cubegate doctor?", "cubegate"},
		{"--nonsense", "unknown flag --nonsense", "cubegate"},
		{"version", `unknown command "version"; did you mean --version?`, "cubegate"},
		{"--port 3010", "unknown flag --port; it is a setting, which stands before the program, as in: PORT=… cubegate", "cubegate"},
		{"serve --data-dir=x", "unknown flag --data-dir; it is a setting, which stands before the program, as in: DATA_DIR=… cubegate", "cubegate serve"},
		{"serve x", `unexpected argument "x"`, "cubegate serve"},
		{"health --tsl", "unknown flag --tsl; did you mean --tls?", "cubegate health"},
		{"sandbox now", `unexpected argument "now"`, "cubegate sandbox"},
		{"sandbox --dtaa x", "unknown flag --dtaa; did you mean --data?", "cubegate sandbox"},
		{"sandbox --data", "flag needs an argument: --data", "cubegate sandbox"},
		{"grant ada@example.org", "want an email and a role", "cubegate grant"},
		{"grant ada@example.org admin now", "want an email and a role", "cubegate grant"},
		{"grant ada@example.org admin --nwe", "unknown flag --nwe; did you mean --new?", "cubegate grant"},
		{"revoke ada@example.org", "want an email and a role", "cubegate revoke"},
		{"users ada lovelace", `unexpected argument "lovelace"`, "cubegate users"},
		{"users --limit many", `invalid argument "many" for "--limit": want a whole number`, "cubegate users"},
		{"users --limit 0", "--limit is 0, want 1 or more", "cubegate users"},
		{"doctor --jsn", "unknown flag --jsn; did you mean --json?", "cubegate doctor"},
		{"doctor --hash-time soon", `invalid argument "soon" for "--hash-time": want a duration with its unit, such as 250ms, 30s or 1m`, "cubegate doctor"},
		{"doctor --hash-time 0s", "--hash-time is 0s, want 1ms to 10s", "cubegate doctor"},
		{"keys", "want one of these commands: list, new, retire", "cubegate keys"},
		{"keys lst", `unknown command "lst"; did you mean list?`, "cubegate keys"},
		{"keys lst --alg", `unknown command "lst"; did you mean list?`, "cubegate keys"},
		{"keys list x", `unexpected argument "x"`, "cubegate keys list"},
		{"keys retire", "want the ID of one key", "cubegate keys retire"},
		{"keys new --in soon", `invalid argument "soon" for "--in": want a duration with its unit, such as 250ms, 30s or 1m`, "cubegate keys new"},
		{"keys new --in -1s", "--in is -1s, want 0s or more", "cubegate keys new"},
		{"completion", "want one of these commands: bash, fish, powershell, zsh", "cubegate completion"},
		{"completion tcsh", `unknown command "tcsh"; did you mean bash, fish or zsh?`, "cubegate completion"},
		{"completion zhs", `unknown command "zhs"; did you mean`, "cubegate completion"},
		{"completion bash x", "unknown command", "cubegate completion bash"},
		{"help kyes", `unknown command "kyes"; did you mean keys?`, "cubegate help"},
		{"help keys lst", `unknown command "lst"; did you mean list?`, "cubegate help"},
		{"help JWT_SECRT", `unknown setting "JWT_SECRT"; did you mean JWT_SECRET?`, "cubegate help"},
		{"help nonsense", `unknown command or setting "nonsense"`, "cubegate help"},
		{"licenses x", `unexpected argument "x"`, "cubegate licenses"},
		{"hash-passwords", "the server itself starts this command", "cubegate hash-passwords"},
		{"hash-password", `unknown command "hash-password"`, "cubegate"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			got := servertest.Run(t.Context(), wrongSettings, strings.Fields(tt.line)...)
			if got.Code != 2 || got.Stdout != "" || strings.Count(got.Stderr, "\n") != 1 {
				t.Fatalf("want status 2 and one line: %+v", got)
			}
			if !strings.HasPrefix(got.Stderr, "cubegate: "+tt.failure) || !strings.HasSuffix(got.Stderr, "ee \""+tt.help+" --help\"\n") {
				t.Errorf("stderr: %s", got.Stderr)
			}
		})
	}
	if got := servertest.Run(t.Context(), nil, ""); got.Code != 2 || strings.Contains(got.Stderr, "did you mean") {
		t.Errorf("an empty command: %+v", got)
	}
}

// The help explains each setting with the words of config.yaml.
func TestHelpExplainsEachSetting(t *testing.T) {
	t.Parallel()
	settings := config.Settings(servertest.ConfigYAML)
	flat := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	all := servertest.Run(t.Context(), wrongSettings, "--help").Stdout
	for _, s := range settings {
		want := strings.TrimSpace(s.Env+" "+s.Default) + " " + flat(s.Comment)
		if s.Secret {
			want = s.Env + " (secret; also as " + s.Env + "_FILE) " + flat(s.Comment)
		}
		if s.Comment == "" || !strings.Contains(flat(all), want) {
			t.Errorf("the help lacks: %s", want)
		}
		for _, name := range []string{s.Env, s.Key} {
			if got := servertest.Run(t.Context(), wrongSettings, "help", name); got.Code != 0 || flat(got.Stdout) != want {
				t.Errorf("help %s: %+v", name, got)
			}
		}
	}
	for line := range strings.Lines(all) {
		if len([]rune(line)) > 101 {
			t.Errorf("wider than 100 columns: %s", line)
		}
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
		if got := servertest.Run(t.Context(), wrongSettings, strings.Fields(line)...); got.Code != 1 || got.Stdout != "" || !strings.HasPrefix(got.Stderr, "cubegate: "+problem) || strings.Contains(got.Stderr, "--help") {
			t.Errorf("%q: %+v", line, got)
		}
	}
	if got := servertest.Run(t.Context(), wrongSettings); got.Code != 1 { // cobra does not read the arguments of the test binary
		t.Errorf("no arguments: %+v", got)
	}
	if got := servertest.Run(t.Context(), nil, "keys", "list"); got.Code != 1 || got.Stderr != "cubegate: JWT_KEYS is not set: set it to a folder for the keys, here and for the server\n" {
		t.Errorf("keys list without keys: %+v", got)
	}
}

// The completion scripts, and the words that they request from the program, need no
// settings.
func TestCompletionCommand(t *testing.T) {
	t.Parallel()
	for shell, text := range map[string]string{
		"bash": "complete -o default -F __start_cubegate cubegate", "zsh": "#compdef cubegate",
		"fish": "complete -c cubegate ", "powershell": "Register-ArgumentCompleter -CommandName 'cubegate'",
	} {
		if got := servertest.Run(t.Context(), wrongSettings, "completion", shell); got.Code != 0 || got.Stderr != "" || !strings.Contains(got.Stdout, text) {
			t.Errorf("completion %s: status %d, %d bytes without %q; %s", shell, got.Code, len(got.Stdout), text, got.Stderr)
		}
	}
	const files, noFiles = ":0", ":4" // cobra's directives to the shell, after the words
	for _, tt := range []struct {
		typed []string
		want  []string
	}{
		{[]string{"s"}, []string{"sandbox", "serve", noFiles}},
		{[]string{"keys", ""}, []string{"list", "new", "retire", noFiles}},
		{[]string{"help", "l"}, []string{"licenses", noFiles}},
		{[]string{"sandbox", "--"}, []string{"--data", "--help", "--lan", "--tls", noFiles}},
		{[]string{"sandbox", "--data", ""}, []string{files}},
		{[]string{"sandbox", ""}, []string{noFiles}},
		{[]string{"grant", ""}, []string{noFiles}},
	} {
		got := servertest.Run(t.Context(), wrongSettings, append([]string{"__complete"}, tt.typed...)...)
		var words []string
		for line := range strings.Lines(got.Stdout) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			words = append(words, word)
		}
		if got.Code != 0 || !slices.Equal(words, tt.want) {
			t.Errorf("%q completes to %q, want %q", tt.typed, words, tt.want)
		}
	}
}

// Bash accepts the completion script.
func TestCompletionCommandWritesBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	cmd := exec.CommandContext(t.Context(), bash, "-c", `eval "$(cat)" && complete -p cubegate`)
	cmd.Stdin = strings.NewReader(servertest.Run(t.Context(), nil, "completion", "bash").Stdout)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "__start_cubegate") {
		t.Errorf("%v: %s", err, out)
	}
}

// The version needs no settings, and names the version of Go.
func TestVersionFlag(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--version", "-v"} {
		got := servertest.Run(t.Context(), wrongSettings, flag)
		if got.Code != 0 || got.Stderr != "" || strings.Count(got.Stdout, "\n") != 1 ||
			!strings.HasPrefix(got.Stdout, "cubegate version ") || !strings.HasSuffix(got.Stdout, ", "+runtime.Version()+"\n") {
			t.Errorf("%s: %+v", flag, got)
		}
	}
}
