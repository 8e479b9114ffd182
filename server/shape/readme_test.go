package shape

import (
	"fmt"
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

// settingsTable returns the table of all settings for the README, from config.yaml.
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

// The README contains the table of settings. A failure prints the right table.
func TestREADMEHasEverySetting(t *testing.T) {
	if table := settingsTable(); !strings.Contains(readme(t), table) {
		t.Errorf("the README lacks this table of settings:\n%s", table)
	}
}

func TestREADMEHasEveryRoute(t *testing.T) {
	r := servertest.Start(t, nil)
	text := readme(t)
	routes := 0
	err := chi.Walk(r.Handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes++
		if route = strings.TrimSuffix(route, "/playground/*"); !strings.Contains(text, "`"+method+" "+route) && route != server.APIPath {
			t.Errorf("the README lacks `%s %s`", method, route)
		}
		return nil
	})
	if err != nil || routes < 7 {
		t.Errorf("%d routes, %v", routes, err)
	}
}

// The recipe in the README is the file that an end-to-end test runs.
func TestREADMEHasTheRecipe(t *testing.T) {
	recipe, err := os.ReadFile(filepath.Join(root, "e2e/recipe.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(readme(t), "```js\n"+string(recipe)+"```") {
		t.Error("the README lacks e2e/recipe.mjs, or has another version of it")
	}
}

func TestREADMEHasEveryCommand(t *testing.T) {
	help := servertest.Run(t.Context(), nil, "help")
	if help.Code != 0 {
		t.Fatalf("help: %+v", help)
	}
	_, list, _ := strings.Cut(help.Stdout, "Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	if strings.Count(list, "\n") < 5 {
		t.Fatalf("help lists %q", list)
	}
	for line := range strings.Lines(list) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.Contains(readme(t), "cubegate "+name) && name != "serve" {
			t.Errorf("the README lacks `cubegate %s`", name)
		}
	}
}

func TestSettingsTableHasEverySetting(t *testing.T) {
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
