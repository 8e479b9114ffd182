package config

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// placeholders are values that templates, tutorials and dashboards have in place of a
// real one.
var placeholders = []string{
	"<connectycube_auth_key>", "<your-value>", " <YOUR KEY> ", "your_auth_key", "YOUR-SERVER", "YOUR_AUTH_KEY_HERE", "your.domain.com", "yourdomain.com",
	"changeme", "CHANGE_ME", "change-me", "ChangeMe123", "change_this", "changeit", "replace_me", "replace-this", "replace_with_your_key",
	"insert_key_here", "enter your key here", "paste-it-here", "put-your-key-here", "fixme", "placeholder", "${AUTH_KEY}", "$AUTH_KEY", "{{ .Values.key }}",
	"${{ secrets.KEY }}", "#{key}", "%AUTH_KEY%", "[your key]", "xxx", "XXXXXXXX", "***", "...", "…",
}

func TestPlaceholdersAreRefusedInEverySetting(t *testing.T) {
	for i, s := range Settings(configYAML) {
		value := placeholders[i%len(placeholders)]
		own := write(t, t.TempDir(), "own.yaml", inYAML(s.Key, jsonText(value)))
		for source, env := range map[string][]string{"the environment": {s.Env, value}, "CONFIG_FILE": {"CONFIG_FILE", own}} {
			_, err := Load(configYAML, from(env...), t.TempDir())
			wantInError(t, err, s.Key+" ("+s.Env+", set in "+source+"): has a placeholder in place of its value")
		}
	}
	for _, lf := range fields(new(Config)) {
		for _, value := range placeholders {
			if !lf.isPlaceholder(value) {
				t.Errorf("%s: %q is no placeholder", lf.key, value)
			}
		}
	}
}

func TestPlaceholderInPartOfAValue(t *testing.T) {
	for _, env := range [][]string{
		{"MONGO_URI", "mongodb+srv://ada:<db_password>@cluster0.abcde.mongodb.net/app"},
		{"MONGO_URI", "mongodb+srv://<username>:s3cr3t@cluster0.abcde.mongodb.net/app"},
		{"MONGO_URI", "mongodb://ada:s3cr3t@cluster0.<id>.mongodb.net/app"},
		{"MONGO_URI", "mongodb://ada:%3Cpassword%3E@h/app"},
		{"MONGO_URI", "mongodb://ada:your_password@h/app"},
		{"MONGO_URI", "mongodb://ada:s3cr3t@your-host:27017/app"},
		{"PUBLIC_URL", "https://YOUR-SERVER"},
		{"PUBLIC_URL", "https://your-domain.com/chat"},
		{"CONNECTYCUBE_API_URL", "https://api<your-company>.connectycube.com"},
		{"CORS_ORIGINS", "https://app.example.org,https://<your-app>"},
		{"TRUSTED_PROXIES", "10.0.0.0/8,<proxy_ip>"},
		{"SANDBOX_NAMES", "box,changeme"},
		{"AUTH_KEY", "todo"}, {"AUTH_KEY", "undefined"}, {"AUTH_KEY", "null"}, {"AUTH_KEY", "auth_key"}, {"AUTH_KEY", "connectycube-auth-key"},
		{"CONNECTYCUBE_ADMIN_KEY", "admin_key"}, {"APP_ID", "<app_id>"},
	} {
		_, err := Load(configYAML, from(env...), t.TempDir())
		wantInError(t, err, env[0]+", set in the environment): has a placeholder")
		if strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("the error shows the value: %v", err)
		}
	}
}

// Values that look like placeholders and are none: a false alarm stops a service.
func TestRealValuesAreNoPlaceholders(t *testing.T) {
	for key, values := range map[string][]string{
		"auth_key":                   {"key", "sandbox-auth-key", "Own-Auth-Key-81723", "B8-FF<a>x", "UvDHxfMPtsJqfZh", "aXXXb", "e2b1a7"},
		"jwt.secret":                 {"xK9<vR2>mQ${w}7p", "yourkQ8wz2mVn4xR7tB1cL5hJ9dF3gS6aP0e"},
		"data_dir":                   {"./data", "/srv/data", "/data", "..", "/var/lib/app/data", "~/put/files", "C:\\data"},
		"mongo.database":             {"test", "app", "data", "chat", "todo", "example", "admin", "users"},
		"mongo.uri":                  {"mongodb://user:pass@host/db", "mongodb://admin:admin@localhost/test", "mongodb://u:p@a:1,b:2/app?authSource=admin", "mongodb://mongo/data"},
		"jwt.issuer":                 {"cubegate", "todo", "https://id.example.org", "my-app", "chat.example.com"},
		"public_url":                 {"https://chat.example.org", "https://example.com", "https://api.my-app.io", "https://your-plants.com", "http://localhost:3000"},
		"host":                       {"0.0.0.0", "::", "localhost", "host", "server"},
		"cors.origins":               {"*", "none", "https://app.example.org"},
		"sandbox.names":              {"box", "sandbox.example.org", "web"},
		"sandbox.control_token":      {"token", "control-token"},
		"connectycube.cidp_password": {"cidp-temporary-password", "anything", "password"},
	} {
		for _, lf := range fields(new(Config)) {
			if lf.key != key {
				continue
			}
			for _, value := range values {
				if lf.isPlaceholder(value) {
					t.Errorf("%s: %q counts as a placeholder", key, value)
				}
			}
		}
	}
}

// The quick check before the pattern misses no phrase.
func TestEveryPhraseMayBeOne(t *testing.T) {
	t.Parallel()
	words := append(strings.Split(placeholderWords, "|"), "x", "ada", "7", "")
	random := rand.New(rand.NewPCG(1, 2))
	phrases := 0
	for range 5000 {
		var part string
		for range 1 + random.IntN(4) {
			part += words[random.IntN(len(words))] + []string{"", "-", "_", " ", "."}[random.IntN(5)]
		}
		for _, issued := range []bool{false, true} {
			if isPhrase(part, issued) {
				phrases++
				if !mayBePhrase(part, issued) {
					t.Errorf("%q (issued: %t) is a phrase that the quick check misses", part, issued)
				}
			}
		}
	}
	if phrases < 100 {
		t.Errorf("%d phrases, want at least 100", phrases)
	}
}
