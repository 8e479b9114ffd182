package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestRefusedValues(t *testing.T) {
	live := []string{"JWT_SECRET", strongSecret}
	tests := []struct {
		env  []string // each value is wrong or contradicts the others
		want []string // in the error
	}{
		// The original opened a UNIX socket named abc.
		{[]string{"PORT", "abc"}, []string{"port (PORT, set in the environment): want a whole number from 0 to 65535"}},
		{[]string{"PORT", "-1"}, []string{"port (PORT"}},
		{[]string{"PORT", "65536"}, []string{"port (PORT"}},
		{[]string{"PORT", "99999999999999999999"}, []string{"port (PORT"}},
		{[]string{"PORT", "３０００"}, []string{"port (PORT"}},
		{[]string{"PORT", "3e3"}, []string{"port (PORT"}},
		{[]string{"PORT", " "}, []string{"port (PORT"}},
		{[]string{"PORT", "tcp://10.0.0.1:3000"}, []string{"port (PORT"}},
		{[]string{"HOST", "0.0.0.0:80"}, []string{"host (HOST"}},
		{[]string{"HOST", "a\x00b"}, []string{"host (HOST", "control characters"}},
		{[]string{"DATA_DIR", "  "}, []string{"data_dir (DATA_DIR"}},
		{[]string{"DATA_DIR", "\xff"}, []string{"data_dir (DATA_DIR"}},
		{[]string{"DATA_DIR", strings.Repeat("x", maxText+1)}, []string{"data_dir (DATA_DIR"}},
		{[]string{"PUBLIC_URL", "example.org"}, []string{"public_url (PUBLIC_URL"}},
		{[]string{"PUBLIC_URL", "https://u:p@example.org"}, []string{"public_url (PUBLIC_URL"}},
		{[]string{"PUBLIC_URL", "https://example.org?"}, []string{"public_url (PUBLIC_URL"}},
		{[]string{"PUBLIC_URL", "https://example.org:0"}, []string{"public_url (PUBLIC_URL"}},
		{[]string{"MONGO_TIMEOUT", "5"}, []string{"mongo.timeout (MONGO_TIMEOUT", "with its unit"}},
		{[]string{"MONGO_TIMEOUT", "0s"}, []string{"mongo.timeout (MONGO_TIMEOUT", "from 1ms to 10m"}},
		{[]string{"MONGO_EMBEDDED_LISTEN", "0.0.0.0:27018"}, []string{"mongo.embedded_listen (MONGO_EMBEDDED_LISTEN"}},
		{[]string{"MONGO_EMBEDDED_LISTEN", "127.0.0.1"}, []string{"mongo.embedded_listen (MONGO_EMBEDDED_LISTEN"}},
		{append(live, "MONGO_URI", "postgres://h"), []string{"mongo.uri (MONGO_URI"}},
		{append(live, "MONGO_URI", "mongodb://u:p@/x"), []string{"mongo.uri (MONGO_URI"}},
		{append(live, "MONGO_URI", "mongodb://h/a%zz"), []string{"mongo.uri (MONGO_URI"}},
		{append(live, "MONGO_URI", "mongodb://h/a$b"), []string{"mongo.uri (MONGO_URI"}},
		{append(live, "MONGO_URI", "mongodb://h", "MONGODB_URL", "mongodb://i"), []string{"mongo.uri (MONGO_URI", "MONGO_URI and MONGODB_URL are both set and differ"}},
		{append(live, "MONGODB_URL", "mongodb://h", "MONGO_URI_FILE", "x"), []string{"MONGODB_URL and MONGO_URI_FILE are both set"}},
		{append(live, "MONGO_URI", "mongodb://h", "MONGO_EMBEDDED_LISTEN", "127.0.0.1:0"), []string{"mongo.embedded_listen (", "contradicts mongo.uri (MONGO_URI)"}},
		{append(live, "APP_ID", "7"), []string{"auth_key (AUTH_KEY): is missing: app_id (APP_ID) is set"}},
		{[]string{"AUTH_KEY", "key"}, []string{"app_id (APP_ID): is missing: auth_key (AUTH_KEY) is set"}},
		{append(live, "APP_ID", "-7", "AUTH_KEY", "key"), []string{"app_id (APP_ID"}},
		{append(live, "APP_ID", "7", "AUTH_KEY", "a b"), []string{"auth_key (AUTH_KEY"}},
		{[]string{"CONNECTYCUBE_API_URL", "https://api.example.org"}, []string{"connectycube.api_url (", "contradicts app_id (APP_ID)"}},
		{[]string{"CONNECTYCUBE_CIDP_SECRET", "short"}, []string{"connectycube.cidp_secret (CONNECTYCUBE_CIDP_SECRET", "openssl rand"}},
		{[]string{"CONNECTYCUBE_CIDP_SECRET", "changeme-callback-secret-of-connectycube"}, []string{"connectycube.cidp_secret (", "placeholder"}},
		{[]string{"CONNECTYCUBE_CIDP_SECRET", ownCallbackSecret + " x"}, []string{"connectycube.cidp_secret (", "visible ASCII"}},
		{[]string{"CONNECTYCUBE_CIDP_SECRET", ownCallbackSecret + "é"}, []string{"connectycube.cidp_secret (", "visible ASCII"}},
		{[]string{"CONNECTYCUBE_CIDP_SECRET", ownCallbackSecret + "#{login}"}, []string{"connectycube.cidp_secret (", "visible ASCII"}},
		{append(live, "CONNECTYCUBE_CIDP_SECRET", strongSecret), []string{"connectycube.cidp_secret (", "contradicts jwt.secret (JWT_SECRET)"}},
		{append(live, "JWT_PREVIOUS_SECRETS", ownCallbackSecret, "CONNECTYCUBE_CIDP_SECRET", ownCallbackSecret), []string{"connectycube.cidp_secret (", "contradicts jwt.secret"}},
		{[]string{"CONNECTYCUBE_CHAT_DOMAIN", "wss://chat"}, []string{"connectycube.chat_domain ("}},
		{[]string{"CONNECTYCUBE_CHAT_URL", "https://chat"}, []string{"connectycube.chat_url ("}},
		{[]string{"SANDBOX_PORT", "3000"}, []string{"sandbox.port (SANDBOX_PORT", "contradicts port (PORT)"}},
		{[]string{"PORT", "4000", "SANDBOX_PORT", "4000", "HOST", "127.0.0.1", "SANDBOX_HOST", "LocalHost"}, []string{"sandbox.port ("}},
		{[]string{"MONGO_EMBEDDED_LISTEN", "127.0.0.1:3001"}, []string{"mongo.embedded_listen (", "contradicts sandbox.port (SANDBOX_PORT)"}},
		{[]string{"OPS_ADDR", "9090"}, []string{"ops.addr (OPS_ADDR", "with a port", "127.0.0.1:9090"}},
		{[]string{"OPS_ADDR", ":9090"}, []string{"ops.addr (OPS_ADDR", "0.0.0.0:9090 for all interfaces"}},
		{[]string{"OPS_ADDR", "127.0.0.1"}, []string{"ops.addr (OPS_ADDR", "with a port"}},
		{[]string{"OPS_ADDR", "127.0.0.1:"}, []string{"ops.addr (OPS_ADDR"}},
		{[]string{"OPS_ADDR", "127.0.0.1:http"}, []string{"ops.addr (OPS_ADDR"}},
		{[]string{"OPS_ADDR", "127.0.0.1:65536"}, []string{"ops.addr (OPS_ADDR"}},
		{[]string{"OPS_ADDR", "127.0.0.1:+3000"}, []string{"ops.addr (OPS_ADDR", "with a port"}},
		{[]string{"OPS_ADDR", "127.0.0.1:03000"}, []string{"ops.addr (OPS_ADDR", "with a port"}},
		{[]string{"OPS_ADDR", "::1:9090:1"}, []string{"ops.addr (OPS_ADDR"}},
		{[]string{"OPS_ADDR", "http://127.0.0.1:9090"}, []string{"ops.addr (OPS_ADDR"}},
		{[]string{"OPS_ADDR", "127.0.0.1:90 90"}, []string{"ops.addr (OPS_ADDR"}},
		{[]string{"OPS_ADDR", "0.0.0.0:3000"}, []string{"ops.addr (OPS_ADDR", "contradicts port (PORT)"}},
		{[]string{"OPS_ADDR", "localhost:3001"}, []string{"ops.addr (OPS_ADDR", "contradicts sandbox.port (SANDBOX_PORT)"}},
		{[]string{"OPS_ADDR", "127.0.0.1:9090", "MONGO_EMBEDDED_LISTEN", "127.0.0.1:9090"}, []string{"ops.addr (OPS_ADDR", "contradicts mongo.embedded_listen"}},
		{[]string{"SANDBOX_PUBLIC_URL", "box.example"}, []string{"sandbox.public_url (SANDBOX_PUBLIC_URL"}},
		{[]string{"SANDBOX_PUBLIC_URL", "https://ada:secret@box.example"}, []string{"sandbox.public_url (SANDBOX_PUBLIC_URL"}},
		{[]string{"SANDBOX_PUBLIC_URL", "https://box..example"}, []string{"sandbox.public_url (SANDBOX_PUBLIC_URL"}}, // --tls could not certify it
		{[]string{"SANDBOX_PUBLIC_URL", "https://box.-a.example"}, []string{"sandbox.public_url (SANDBOX_PUBLIC_URL"}},
		{[]string{"SANDBOX_PUBLIC_URL", "https://" + strings.Repeat("a", 64) + ".example"}, []string{"sandbox.public_url (SANDBOX_PUBLIC_URL"}},
		{[]string{"SANDBOX_PUBLIC_URL", "https://" + strings.Repeat("a.", 127) + "a"}, []string{"sandbox.public_url (SANDBOX_PUBLIC_URL"}},
		{[]string{"SANDBOX_NAMES", "https://sandbox.example"}, []string{"sandbox.names (SANDBOX_NAMES"}},
		{[]string{"SANDBOX_NAMES", "a.example,b.example:3001"}, []string{"sandbox.names (SANDBOX_NAMES"}},
		{[]string{"PASSWORD_MEMORY", "15", "PASSWORD_PARALLELISM", "2"}, []string{"password.memory (", "contradicts password.parallelism"}},
		{[]string{"CORS_ORIGINS", "*,https://a.example"}, []string{"cors.origins (", "* already means any origin"}},
		{[]string{"CORS_ORIGINS", "https://a.example/"}, []string{"cors.origins (CORS_ORIGINS"}},
		{[]string{"CORS_ORIGINS", "https://*.example"}, []string{"cors.origins (CORS_ORIGINS"}},
		{[]string{"CORS_ORIGINS", "null"}, []string{"cors.origins (CORS_ORIGINS"}},
		{[]string{"CORS_ORIGINS", ","}, []string{"cors.origins (CORS_ORIGINS"}},
		{[]string{"CORS_ORIGINS", strings.Repeat("https://a.example,", maxList) + "https://b.example"}, []string{"cors.origins (CORS_ORIGINS"}},
		{[]string{"TRUSTED_PROXIES", "10.0.0.0/33"}, []string{"trusted_proxies (TRUSTED_PROXIES"}},
		{[]string{"TRUSTED_PROXIES", "0.0.0.0/0"}, []string{"trusted_proxies (TRUSTED_PROXIES"}},
		{[]string{"TRUSTED_PROXIES", "::ffff:0.0.0.0/96"}, []string{"trusted_proxies (TRUSTED_PROXIES"}},
		{[]string{"FORWARDED_HEADER", "x-real-ip"}, []string{"forwarded_header (FORWARDED_HEADER", "one of x-forwarded-for, forwarded"}},
		{[]string{"PLAYGROUND", "maybe"}, []string{"playground (PLAYGROUND", "want true or false"}},
		{[]string{"LOG_LEVEL", "loud"}, []string{"log.level (LOG_LEVEL", "one of debug, info, warn, error"}},
		{[]string{"CONFIG_FILE", "/no/such/file"}, []string{"CONFIG_FILE cannot be read"}},
		{[]string{"CONFIG_FILE", "/dev/zero"}, []string{"CONFIG_FILE cannot be read: not a regular file"}},
		{[]string{"JWT_SECRET_FILE", "/no/such/file"}, []string{"jwt.secret (", "JWT_SECRET_FILE cannot be read"}},
		{[]string{"JWT_SECRET", strongSecret, "JWT_SECRET_FILE", "x"}, []string{"JWT_SECRET and JWT_SECRET_FILE are both set"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.80q", tt.env), func(t *testing.T) {
			_, err := Load(configYAML, from(tt.env...), t.TempDir())
			wantInError(t, err, tt.want...)
			if got := err.Error(); !strings.HasPrefix(got, "1 problem with") {
				t.Errorf("one mistake gives more than one problem:\n%s", got)
			}
		})
	}
}

// Equal ports that do not conflict.
func TestListenersWithoutConflict(t *testing.T) {
	for _, env := range [][]string{
		{"PORT", "0", "SANDBOX_PORT", "0"},
		{"HOST", "192.0.2.1", "SANDBOX_PORT", "3000"},
		{"SANDBOX_PORT", "3000", "APP_ID", "7", "AUTH_KEY", "key", "JWT_SECRET", strongSecret},
		{"MONGO_EMBEDDED_LISTEN", "[::1]:3001"},
		{"OPS_ADDR", "127.0.0.1:0", "PORT", "0"},
		{"OPS_ADDR", "10.0.0.7:3000"},
		{"OPS_ADDR", "[::1]:9090"},
		{"OPS_ADDR", "metrics.internal:9090"},
	} {
		if _, err := Load(configYAML, from(env...), t.TempDir()); err != nil {
			t.Errorf("%v: %v", env, err)
		}
	}
}

func TestRefusedFiles(t *testing.T) {
	tests := []struct {
		yaml string
		want []string
	}{
		{"prot: 4000", []string{`"prot" (in CONFIG_FILE): there is no such key; did you mean port?`}},
		{"Port: 4000", []string{"did you mean port?"}},
		{"MONGO_URI: x", []string{"did you mean mongo.uri?"}},
		{"mongo: {url: x}", []string{`"mongo.url"`, "did you mean mongo.uri?"}},
		{"something_else: 1", []string{`"something_else" (in CONFIG_FILE): there is no such key`}},
		{"mongo.uri: x", []string{"mongo.uri (in CONFIG_FILE): want uri indented below mongo:"}},
		{"mongo: x", []string{"mongo (in CONFIG_FILE): want a section"}},
		{"mongo: [x]", []string{"mongo (in CONFIG_FILE): want a section"}},
		{"mongo: {1: x}", []string{"mongo (in CONFIG_FILE): want a section"}},
		{"port: {a: 1}", []string{"port (PORT, set in CONFIG_FILE): want a whole number from 0 to 65535, not a section"}},
		{"port: [1]", []string{"port (PORT, set in CONFIG_FILE)"}},
		{"port: 3000.5", []string{"port (PORT"}},
		{"port: 1e30", []string{"port (PORT"}},
		{"port: .inf", []string{"port (PORT"}},
		{"port: 0xffffffffffffffff", []string{"port (PORT"}},
		{"port: 2026-01-01", []string{"port (PORT"}},
		{"port: true", []string{"port (PORT"}},
		{"auth_key: 123456", []string{"auth_key (AUTH_KEY", "need quotes"}},
		{"auth_key: {" + marker + ": {" + marker + ": 1}}", []string{"auth_key (AUTH_KEY", "not a section"}},
		{"shutdown_timeout: 15", []string{"shutdown_timeout (SHUTDOWN_TIMEOUT", "with its unit"}},
		{"playground: off", []string{"playground (PLAYGROUND"}},
		{"cors: {origins: [https://a.example, 1]}", []string{"cors.origins (CORS_ORIGINS"}},
		{marker, []string{"not YAML of the form key: value"}},
		{"- " + marker, []string{"not YAML of the form key: value"}},
		{"port: 1\n  " + marker + "\n\tx: *" + marker, []string{"not YAML of the form key: value (line "}},
		{"auth_key: *" + marker, []string{"not YAML"}},
		{"port: 1\nport: 2", []string{"not YAML of the form key: value (line 2)"}},
		{"port: 1\n---\nprot: 2", []string{"want one YAML document"}},
		{"\xff\xfe\x00", []string{"not YAML"}},
		{"host: \"" + strings.Repeat("x", maxConfigFile) + "\"", []string{"larger than 64 KiB"}},
		{"cors: {origins: " + strings.Repeat("[", 20000), []string{"not YAML"}},
		{bomb("port"), []string{"CONFIG_FILE"}},
		{bomb("cors:\n  origins"), []string{"CONFIG_FILE"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.40q", tt.yaml), func(t *testing.T) {
			own := write(t, t.TempDir(), "own.yaml", tt.yaml)
			_, err := Load(configYAML, from("CONFIG_FILE", own), t.TempDir())
			wantInError(t, err, tt.want...)
			if strings.Contains(err.Error(), marker) {
				t.Errorf("the error shows the content: %v", err)
			}
		})
	}
}

// bomb returns a small file in which the value of key expands to a list of 10^9 words.
func bomb(key string) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [lol]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	return b.String() + key + ": *a9\n"
}

func TestDocumentStartIsAccepted(t *testing.T) {
	own := write(t, t.TempDir(), "own.yaml", "# mine\n---\nport: 4000\n")
	if c, err := Load(configYAML, from("CONFIG_FILE", own), t.TempDir()); err != nil || c.HTTP.Port != 4000 {
		t.Errorf("port = %d, error %v", c.HTTP.Port, err)
	}
}

func TestBadDotenv(t *testing.T) {
	tests := []struct{ content, want string }{
		{"PORT=3000\n\n" + marker + "\n", ".env: line 3 is not of the form NAME=value"},
		{"AUTH_KEY='" + marker + "\n", ".env: a line is not of the form NAME=value, or a quote is not closed"},
		{"export " + marker + "\n", ".env: line 1 "},
		{"PORT=" + marker, "port (PORT, set in .env)"},
		{"PORT=abc\x00", "port (PORT, set in .env)"},
		{"PROT=5\nJWT_SECRT=" + marker + "\n", `"PROT" (in .env): there is no such setting; did you mean PORT?`},
		{"PORT_FILE=x\n", `"PORT_FILE" (in .env): there is no such setting`},
		{"VITE_" + strings.Repeat("X", 200) + "=" + marker, `"VITE_XXX`},
		{strings.Repeat("A=b\n", maxConfigFile), ".env cannot be read: larger than 64 KiB"},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		write(t, dir, ".env", tt.content)
		_, err := Load(configYAML, from(), dir)
		wantInError(t, err, tt.want)
		if strings.Contains(err.Error(), marker) {
			t.Errorf("the error shows the content: %v", err)
		}
	}
}

// One attempt to start reports all errors in all sources.
func TestAllProblemsAtOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ".env", "LOG_FORMAT=xml\nnonsense\n")
	own := write(t, dir, "own.yaml", "prot: 1\nmongo: {timeout: soon}\nlog: verbose\n")
	_, err := Load(configYAML, from(
		"CONFIG_FILE", own, "PORT", "abc", "PLAYGROUND", "maybe", "AUTH_KEY", "key", "JWT_SECRET", "short",
		"TRUSTED_PROXIES", "proxy", "SANDBOX_CONTROL_TOKEN_FILE", "/no/such/file"), dir)
	wantInError(t, err, "11 problems", ".env: line 2", "sandbox.control_token (", `"prot"`, "log (in CONFIG_FILE)",
		"log.format (LOG_FORMAT, set in .env)", "port (PORT", "mongo.timeout (MONGO_TIMEOUT, set in CONFIG_FILE)", "playground (PLAYGROUND", "trusted_proxies (",
		"auth_key (AUTH_KEY", "jwt.secret (JWT_SECRET")
}

func TestProblemsAreBounded(t *testing.T) {
	var yaml strings.Builder
	for i := range 300 {
		fmt.Fprintf(&yaml, "key_of_another_program_%d: 1\n", i)
	}
	_, err := Load(configYAML, from("CONFIG_FILE", write(t, t.TempDir(), "own.yaml", yaml.String())), t.TempDir())
	wantInError(t, err, "300 problems", fmt.Sprintf("and %d more", 300-maxErrors))
	if lines := strings.Count(err.Error(), "\n"); lines > maxErrors+1 {
		t.Errorf("the error has %d lines", lines)
	}
}

// No error quotes a value: users paste the value of one variable into another, and
// start-up messages are stored for years.
func TestNoValueInAnyError(t *testing.T) {
	list := Settings(configYAML)
	wantHidden := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: accepted", what)
		} else if strings.Contains(err.Error(), marker) {
			t.Errorf("%s: the error shows the value: %v", what, err)
		}
	}
	values := []string{jsonText(marker + "\x01"), marker + " \u00ff/?#*:", "{" + marker + ": {" + marker + ": 1}}",
		"[[" + marker + "]]", "!!int " + marker, "!" + marker + " [x]", "&" + marker + " [*" + marker + "]", "\"" + marker}
	for _, value := range values { // every setting in one file, then each alone
		var all strings.Builder
		var last string
		for _, s := range list {
			section, _, _ := strings.Cut(s.Key, ".")
			text := inYAML(s.Key, value)
			if section == last {
				text = strings.TrimPrefix(text, section+":\n")
			}
			all.WriteString(text)
			last = section
		}
		own := write(t, t.TempDir(), "own.yaml", all.String())
		_, err := Load(configYAML, from("CONFIG_FILE", own), t.TempDir())
		wantHidden(fmt.Sprintf("every key %q", value), err)
	}
	for i, s := range list {
		dir := t.TempDir()
		_, err := Load(configYAML, from(s.Env, marker+"\x01"), dir)
		wantHidden(s.Env, err)

		own := write(t, dir, "own.yaml", inYAML(s.Key, values[i%len(values)]))
		_, err = Load(configYAML, from("CONFIG_FILE", own, "PORT", "abc"), dir)
		wantHidden(s.Key+" in a file", err)

		write(t, dir, ".env", s.Env+"='"+marker+"\x01'\n")
		_, err = Load(configYAML, from(), dir)
		wantHidden(s.Env+" in .env", err)
		if !s.Secret {
			continue
		}
		_, err = Load(configYAML, from(s.Env+"_FILE", marker), t.TempDir())
		wantHidden(s.Env+"_FILE as a path", err)
		_, err = Load(configYAML, from(s.Env+"_FILE", write(t, dir, "secret", marker+"\n"+marker)), t.TempDir())
		wantHidden(s.Env+"_FILE", err)
	}
	for _, s := range list { // valid text with invalid content; the port ensures an error
		_, err := Load(configYAML, from(s.Env, marker+" /?", "PORT", "abc"), t.TempDir())
		wantHidden(s.Env, err)
	}
}

// FuzzFiles checks that no file causes a panic or appears in an error.
func FuzzFiles(f *testing.F) {
	f.Add("port: 1\n", "PORT=1\n")
	f.Add("mongo: {uri: &a [*a]}\n", "A='x\nB=\"$A\n")
	f.Add(bomb("port"), "export A\n")
	f.Add("? {a: b}\n: 1\n---\n...\n", "A: 'b\\'' # c\r\n$=\n")
	f.Fuzz(func(t *testing.T, yaml, dotenv string) {
		dir := t.TempDir()
		write(t, dir, ".env", dotenv+"\nCONFIG_FILE=\n")
		own := write(t, dir, "own.yaml", yaml)
		c, err := Load(configYAML, from("CONFIG_FILE", own), dir)
		if err == nil && (c.HTTP.Port < 0 || c.HTTP.Port > 65535 || c.Mongo.Database == "") {
			t.Errorf("accepted without its checks: %+v", c)
		}
	})
}
