package shape

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cubegate/server"
	"cubegate/server/config"
	"cubegate/server/servertest"

	"github.com/go-chi/chi/v5"
)

func readme(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// settingsTable is the README's table of all settings, made from config.yaml.
func settingsTable() string {
	var b strings.Builder
	b.WriteString("| Key | Environment | Default | Meaning |\n| --- | --- | --- | --- |\n")
	for _, s := range config.Settings(servertest.ConfigYAML) {
		env, value := "`"+s.Env+"`", ""
		if s.Secret {
			env += " or `" + s.Env + "_FILE`"
		}
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		comment := strings.NewReplacer("|", `\|`, "*", `\*`).Replace(s.Comment)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Key, env, value, comment)
	}
	return b.String()
}

// The README's table of settings is made from config.yaml; this prints the
// right one when it is not.
func TestREADMEHasEverySetting(t *testing.T) {
	if table := settingsTable(); !strings.Contains(readme(t), table) {
		t.Errorf("the README's table of settings is not this:\n%s", table)
	}
}

func TestREADMEHasEveryRoute(t *testing.T) {
	r := servertest.Start(t, nil)
	text := readme(t)
	routes := 0
	err := chi.Walk(r.Handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes++
		if route = strings.TrimSuffix(route, "/playground/*"); !strings.Contains(text, "`"+method+" "+route) && route != server.APIPath {
			t.Errorf("the README does not have `%s %s`", method, route)
		}
		return nil
	})
	if err != nil || routes < 7 {
		t.Errorf("%d routes, %v", routes, err)
	}
}

// The recipe that the README gives is the one that a test runs.
func TestREADMEHasTheRecipe(t *testing.T) {
	recipe, err := os.ReadFile(filepath.Join(root, "e2e/recipe.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(readme(t), "```js\n"+string(recipe)+"```") {
		t.Error("the README does not show e2e/recipe.mjs as it is")
	}
}

func TestREADMEHasEveryCommand(t *testing.T) {
	var help strings.Builder
	if code := server.Main(t.Context(), servertest.ConfigYAML, []string{"help"}, func(string) (string, bool) { return "", false }, &help, io.Discard); code != 0 {
		t.Fatalf("help: exit status %d", code)
	}
	_, list, _ := strings.Cut(help.String(), "Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	if strings.Count(list, "\n") < 5 {
		t.Fatalf("help lists %q", list)
	}
	for line := range strings.Lines(list) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.Contains(readme(t), "cubegate "+name) && name != "serve" {
			t.Errorf("the README does not have `cubegate %s`", name)
		}
	}
}

func TestSettingsTableHasALineForEverySetting(t *testing.T) {
	table := settingsTable()
	for _, row := range []string{
		"| `port` | `PORT` | `3000` | TCP port of the API",
		"| `jwt.secret` | `JWT_SECRET` or `JWT_SECRET_FILE` |  | Key that signs",
		"| `log.level` | `LOG_LEVEL` | `info` |",
	} {
		if !strings.Contains(table, row) {
			t.Errorf("the table lacks %q:\n%s", row, table)
		}
	}
	if got, want := strings.Count(table, "\n"), len(config.Settings(servertest.ConfigYAML))+2; got != want {
		t.Errorf("the table has %d lines, want %d", got, want)
	}
}
