package config

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
	"cubegate/tokens"
)

// publicTexts returns the texts from which people copy settings, by their paths.
func publicTexts(t *testing.T) map[string]string {
	t.Helper()
	const root = "../.."
	names := []string{".env.example", "compose.yaml", "config.yaml", "Dockerfile", "resolvers/openapi/openapi.json"}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			names = append(names, strings.TrimPrefix(filepath.ToSlash(name), root+"/"))
		}
	}
	texts := map[string]string{}
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(raw)
	}
	if len(texts) < 20 {
		t.Fatalf("%d texts found", len(texts))
	}
	return texts
}

// secretSettings are the settings whose value must be hard to guess.
var secretSettings = []string{"JWT_SECRET", "JWT_PREVIOUS_SECRETS", "CONNECTYCUBE_CIDP_SECRET"}

// No value in the repository's own pages and examples can sign tokens: a reader of the
// public source knows it, as with the default key of Kratos (CVE-2026-33503). If this
// test fails because of a new example, add the example to the list published in
// tokens/secret.go.
func TestPublishedSecretsAreRefused(t *testing.T) {
	t.Parallel()
	assigned := regexp.MustCompile(`(?:JWT_SECRET|JWT_PREVIOUS_SECRETS|CIDP_SECRET|X-CIdP-Secret|AUTH_KEY|ADMIN_KEY|cidp_secret|cidp_password)["']?\s*[=:]\s*["']?([^"'\s#$]+)`)
	looksRandom := regexp.MustCompile(`[A-Za-z0-9_.+=-]{32,}`)
	digits := regexp.MustCompile(`\d.*\d.*\d`) // names have fewer
	values := []string{sandbox.DefaultAuthKey, sandbox.DefaultAdminKey}
	for _, text := range publicTexts(t) {
		for _, m := range assigned.FindAllStringSubmatch(text, -1) {
			values = append(values, m[1])
		}
		for _, word := range looksRandom.FindAllString(text, -1) {
			if digits.FindString(word) != "" {
				values = append(values, word)
			}
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if len(values) < 6 || !slices.Contains(values, "THE-SECRET") {
		t.Fatalf("the test misses the examples: %q", values)
	}
	for _, value := range values {
		if err := tokens.CheckSecret(tokens.Secret(value)); !errors.Is(err, tokens.ErrWeakSecret) {
			t.Errorf("%q is in a public text, and CheckSecret returns %v", value, err)
		}
		for _, setting := range secretSettings {
			env := append([]string{setting, value}, map[bool][]string{true: nil, false: {"JWT_SECRET", strongSecret}}[setting == "JWT_SECRET"]...)
			if _, err := Load(configYAML, from(env...), t.TempDir()); err == nil || !strings.Contains(err.Error(), setting) {
				t.Errorf("%s=%s: %v", setting, value, err)
			}
		}
	}
}

// The values that compose.yaml and .env.example contain start no server with a real
// application or database.
func TestExamplesContainNoSecret(t *testing.T) {
	t.Parallel()
	texts := publicTexts(t)
	for _, name := range []string{".env.example", "compose.yaml", "config.yaml"} {
		for _, setting := range []string{"JWT_SECRET", "AUTH_KEY", "CIDP_SECRET", "ADMIN_KEY"} {
			value := regexp.MustCompile(`(?m)^[#\s]*[A-Z_]*` + setting + `[:=][ ]*(.*)$`)
			for _, m := range value.FindAllStringSubmatch(texts[name], -1) {
				if m[1] != "" && !strings.HasPrefix(m[1], "${"+setting+":?") && !strings.HasPrefix(m[1], "${CONNECTYCUBE_"+setting+":-}") {
					t.Errorf("%s gives %s the value %q", name, setting, m[1])
				}
			}
		}
	}
}
