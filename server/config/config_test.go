package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/tokens"

	"github.com/google/go-cmp/cmp"
)

// strongSecret is strong enough to sign tokens.
const strongSecret = "0f8a1c5e7b92d34460fe18c7a3b5d92e"

// marker is part of a secret and must not appear in any output.
const marker = "Zebra7Quartz"

// from returns an environment for Load, given as name, value, name, value…
func from(pairs ...string) func(string) (string, bool) {
	env := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

// write writes a file of the test and returns its path.
func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantInError fails unless err's text has every part.
func wantInError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error lacks %q:\n%v", part, err)
		}
	}
}

func TestDefaultsUseBothStandIns(t *testing.T) {
	c, err := Load(configYAML, from(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if !c.HasEmbeddedDatabase() || !c.HasSandbox() {
		t.Errorf("embedded, sandboxed = %t, %t, want both", c.HasEmbeddedDatabase(), c.HasSandbox())
	}
	var want Config
	want.HTTP.Host, want.HTTP.Port, want.DataDir = "127.0.0.1", 3000, "./data" // nothing real runs, so no other machine is let in
	want.Mongo.Database, want.Mongo.Timeout = "test", 5*time.Second
	want.ConnectyCube.Timeout, want.ConnectyCube.CIDPPassword = 10*time.Second, "cidp-temporary-password"
	want.ConnectyCube.ChatDomain = "chat.connectycube.com"
	want.Sandbox.Host, want.Sandbox.Port, want.Sandbox.Names = "127.0.0.1", 3001, []string{}
	want.ConnectyCube.Password, want.ConnectyCube.RegisterWhileAway = "shared", true
	want.JWT.Issuer, want.JWT.AccessTTL = "cubegate", time.Hour
	want.Sessions.Idle, want.Sessions.Absolute, want.Sessions.PerUser = 720*time.Hour, 2160*time.Hour, 20
	want.Sessions.Reuse = 30 * time.Second
	want.Audit.Keep, want.Audit.Max, want.Audit.MaxChanges, want.Audit.MaxRefusals, want.Audit.PerUser = 2160*time.Hour, 100_000, 100_000, 100_000, 100
	want.Password.Memory, want.Password.Iterations, want.Password.Parallelism = 19456, 2, 1
	want.Password.Hash, want.Password.MaxWait = "argon2id", 5*time.Second
	want.Limits.LoginFailures, want.Limits.LoginRetryEvery, want.Limits.Mode = 10, 30*time.Second, "enforce"
	want.HTTP.TrustedProxies, want.HTTP.ForwardedHeader, want.HTTP.Playground = []string{}, "x-forwarded-for", true
	want.Log.Level, want.Log.Format = "info", "auto"
	want.ShutdownTimeout = 15 * time.Second
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("defaults differ (-want +got):\n%s", diff)
	}
}

func TestStrongestSourceWins(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "own.yaml", "port: 1001\nlog: {level: warn}\njwt:\n  issuer: file\nmongo:\nlogin:\n  failures:\n")
	write(t, dir, ".env", "PORT=1002\nJWT_ISSUER='a # b'\nCONFIG_FILE="+file+"\nLOGIN_RETRY_EVERY=\n")
	c, err := Load(configYAML, from("PORT", "1003", "JWT_ISSUER", ""), dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Port != 1003 {
		t.Errorf("port = %d, want the environment's", c.HTTP.Port)
	}
	if c.JWT.Issuer != "a # b" {
		t.Errorf("jwt.issuer = %q, want .env's: an empty variable counts as unset", c.JWT.Issuer)
	}
	if c.Log.Level != "warn" {
		t.Errorf("log.level = %q, want the file's", c.Log.Level)
	}
	if c.Limits.LoginFailures != 10 || c.Mongo.Timeout != 5*time.Second || c.Limits.LoginRetryEvery != 30*time.Second {
		t.Errorf("a key, section or variable without a value changed a default: %+v", c)
	}
	if _, ok := os.LookupEnv("LOGIN_RETRY_EVERY"); ok {
		t.Error(".env leaked into the process's environment")
	}
}

// An invalid value in a weaker source does not matter if a stronger source overrides
// it.
func TestOverriddenValueIsIgnored(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ".env", "JWT_SECRET_FILE=/no/such/file\nPORT=abc\nCONFIG_FILE=/no/such/file\n")
	own := write(t, dir, "own.yaml", "port: abc\n")
	if _, err := Load(configYAML, from("JWT_SECRET", strongSecret, "PORT", "0", "CONFIG_FILE", own), dir); err != nil {
		t.Error(err)
	}
}

// samples has a value for each setting that differs from its default.
var samples = map[string]string{
	"host": "::1", "port": "8080", "data_dir": "/srv/cubegate", "public_url": "https://api.example.org/x",
	"app_id": "7", "auth_key": "key", "mongo.uri": "mongodb://u:p@a:1,b:2/app", "mongo.database": "other",
	"mongo.timeout": "3s", "mongo.embedded_listen": "[::1]:27018", "ops.addr": "10.0.0.7:9090", "connectycube.api_url": "http://127.0.0.1:3001",
	"connectycube.timeout": "20s", "connectycube.cidp_password": "another", "connectycube.cidp_secret": ownCallbackSecret, "connectycube.chat_domain": "chat.example.org",
	"connectycube.chat_url": "ws://127.0.0.1:5291/xmpp", "sandbox.host": "localhost", "sandbox.port": "0", "sandbox.names": "sandbox.example.org,box",
	"sandbox.public_url":    "https://box.example.org",
	"sandbox.control_token": "token", "sandbox.cidp_url": "https://backend.example.org/verify", "jwt.secret": strongSecret, "jwt.issuer": "gate", "jwt.access_ttl": "15m",
	"jwt.previous_secrets": strongSecret, "jwt.keys": "/etc/cubegate/keys",
	"sessions.idle": "1h", "sessions.absolute": "2000h", "sessions.reuse": "1m", "sessions.per_user": "5", "audit.keep": "24h", "audit.max": "1000", "audit.max_changes": "600", "audit.max_refusals": "500", "audit.per_user": "50",
	"connectycube.password": "derived", "connectycube.admin_key": "admin", "connectycube.register_while_away": "false", "connectycube.sign_ups_per_minute": "600",
	"password.hash": "bcrypt", "password.memory": "65536", "password.iterations": "3", "password.parallelism": "2",
	"password.concurrent": "4", "password.max_wait": "1s", "login.failures": "0", "login.retry_every": "1m", "register.per_network": "7", "limits": "observe",
	"cors.origins": "https://app.example.org,capacitor://localhost", "trusted_proxies": "10.0.0.0/8,::1/128",
	"max.connections": "500", "max.connections_per_address": "20",
	"forwarded_header": "forwarded", "playground": "false", "log.level": "debug", "log.format": "json", "shutdown_timeout": "1s",
}

// need lists the variables that a setting requires.
var need = map[string][]string{
	"app_id":               {"AUTH_KEY", "key", "JWT_SECRET", strongSecret},
	"auth_key":             {"APP_ID", "7", "JWT_SECRET", strongSecret},
	"connectycube.api_url": {"APP_ID", "7", "AUTH_KEY", "key", "JWT_SECRET", strongSecret},
	"mongo.uri":            {"JWT_SECRET", strongSecret},
}

func TestEverySettingReachableFromEverySource(t *testing.T) {
	if len(Settings(configYAML)) != len(samples) {
		t.Errorf("%d settings, %d samples", len(Settings(configYAML)), len(samples))
	}
	for _, s := range Settings(configYAML) {
		t.Run(s.Key, func(t *testing.T) {
			sample, ok := samples[s.Key]
			if !ok {
				t.Fatal("no sample")
			}
			dir := t.TempDir()
			write(t, dir, ".env", s.Env+"='"+sample+"'\n")
			yaml := write(t, dir, "own.yaml", inYAML(s.Key, jsonText(sample)))
			ways := map[string]func() (Config, error){
				"environment": func() (Config, error) {
					return Load(configYAML, from(append(need[s.Key], s.Env, sample)...), t.TempDir())
				},
				".env": func() (Config, error) { return Load(configYAML, from(need[s.Key]...), dir) },
				"file": func() (Config, error) {
					return Load(configYAML, from(append(need[s.Key], "CONFIG_FILE", yaml)...), t.TempDir())
				},
			}
			if s.Secret {
				ways["NAME_FILE"] = func() (Config, error) {
					path := write(t, t.TempDir(), "secret", sample+"\r\n")
					return Load(configYAML, from(append(need[s.Key], s.Env+"_FILE", path)...), t.TempDir())
				}
			}
			for way, load := range ways {
				c, err := load()
				if err != nil {
					t.Errorf("%s: %v", way, err)
					continue
				}
				if got := shown(c, s.Key); got != sample {
					t.Errorf("%s: got %q, want %q", way, got, sample)
				}
			}
		})
	}
}

// inYAML returns a YAML file that sets key to value, which is YAML itself.
func inYAML(key, value string) string {
	if section, name, ok := strings.Cut(key, "."); ok {
		return section + ":\n  " + name + ": " + value + "\n"
	}
	return key + ": " + value + "\n"
}

func jsonText(s string) string { // JSON is YAML
	text, _ := json.Marshal(s)
	return string(text)
}

// shown returns the value of key as a variable would contain it.
func shown(c Config, key string) string {
	for _, lf := range fields(&c) {
		if lf.key != key {
			continue
		}
		switch v := lf.value.Interface().(type) {
		case tokens.Secret:
			return v.Reveal()
		case []string:
			return strings.Join(v, ",")
		case time.Duration: // 15m0s is 15m
			return regexp.MustCompile(`([a-z])0s$|([a-z])0m0s$`).ReplaceAllString(v.String(), "$1$2")
		default:
			return fmt.Sprint(v)
		}
	}
	return ""
}

func TestYAMLTypes(t *testing.T) {
	own := write(t, t.TempDir(), "own.yaml", "port: 8080\nplayground: false\ntrusted_proxies: [10.1.2.3/8, '::ffff:192.0.2.1', '::ffff:172.16.1.1/108']\ncors: {origins: []}\n")
	c, err := Load(configYAML, from("CONFIG_FILE", own), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Port != 8080 || c.HTTP.Playground {
		t.Errorf("port %d, playground %t", c.HTTP.Port, c.HTTP.Playground)
	}
	if diff := cmp.Diff([]string{"10.0.0.0/8", "192.0.2.1/32", "172.16.0.0/12"}, c.HTTP.TrustedProxies); diff != "" {
		t.Errorf("trusted_proxies (-want +got):\n%s", diff)
	}
	if c.HTTP.CORSOrigins == nil {
		t.Error("an empty list of origins counts as unset")
	}
	c, err = Load(configYAML, from("CORS_ORIGINS", "none"), t.TempDir())
	if err != nil || c.HTTP.CORSOrigins == nil || len(c.HTTP.CORSOrigins) > 0 {
		t.Errorf("CORS_ORIGINS=none: origins = %#v, error %v", c.HTTP.CORSOrigins, err)
	}
}

func TestDerivedDefaults(t *testing.T) {
	real := []string{"JWT_SECRET", strongSecret, "APP_ID", "7", "AUTH_KEY", "key"}
	tests := []struct {
		key, want string
		env       []string
	}{
		{"connectycube.api_url", "https://api.connectycube.com", real},
		{"connectycube.api_url", "", nil},
		{"connectycube.api_url", "https://cube.example.org", append(real, "CONNECTYCUBE_API_URL", "https://cube.example.org/")},
		{"connectycube.chat_url", "wss://c.example.org:5291", append(slices.Clone(real), "CONNECTYCUBE_CHAT_DOMAIN", "c.example.org")},
		{"connectycube.sign_ups_per_minute", "60", real},
		{"connectycube.sign_ups_per_minute", "0", nil},
		{"connectycube.sign_ups_per_minute", "0", append(slices.Clone(real), "CONNECTYCUBE_SIGN_UPS_PER_MINUTE", "0")},
		{"connectycube.sign_ups_per_minute", "5", []string{"CONNECTYCUBE_SIGN_UPS_PER_MINUTE", "5"}},
		{"public_url", "https://example.org", []string{"PUBLIC_URL", " https://example.org/ "}},
		{"cors.origins", "https://example.org", []string{"CORS_ORIGINS", "HTTPS://Example.org"}},
		{"mongo.database", "test", []string{"JWT_SECRET", strongSecret, "MONGO_URI", "mongodb+srv://u:p@h"}},
		{"mongo.database", "test", []string{"JWT_SECRET", strongSecret, "MONGO_URI", "mongodb://h/?w=1"}},
		{"mongo.database", "chät", []string{"JWT_SECRET", strongSecret, "MONGO_URI", "mongodb://u:p@h:1,i:2/ch%C3%A4t?w=1"}},
		{"mongo.database", "app", []string{"JWT_SECRET", strongSecret, "MONGO_URI", "mongodb://%2Ftmp%2Fmongo.sock/app"}},
		{"mongo.database", "own", []string{"JWT_SECRET", strongSecret, "MONGO_URI", "mongodb://h/app", "MONGO_DATABASE", "own"}},
		{"mongo.uri", "mongodb://h/app", []string{"JWT_SECRET", strongSecret, "MONGODB_URL", "mongodb://h/app"}},
		{"mongo.uri", "mongodb://h", []string{"JWT_SECRET", strongSecret, "MONGODB_URL", "mongodb://h", "MONGO_URI", "mongodb://h"}},
	}
	for _, tt := range tests {
		c, err := Load(configYAML, from(tt.env...), t.TempDir())
		if got := shown(c, tt.key); err != nil || got != tt.want {
			t.Errorf("%v: %s = %q, want %q; error %v", tt.env, tt.key, got, tt.want, err)
		}
	}
}

// A printed Config must not leak secrets into a log.
func TestPrintedConfigHidesSecrets(t *testing.T) {
	c, err := Load(configYAML, from(
		"MONGO_URI", "mongodb://u:"+marker+"@h", "APP_ID", "7", "AUTH_KEY", marker, "SANDBOX_CONTROL_TOKEN", marker,
		"CONNECTYCUBE_CIDP_SECRET", marker+ownCallbackSecret,
		"JWT_SECRET", marker+strongSecret), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&b, verb+verb, c, &c)
	}
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "config", c, "pointer", &c)
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "config", c, "pointer", &c)
	for _, leak := range []string{marker, fmt.Sprintf("%x", marker)} {
		if strings.Contains(b.String(), leak) {
			t.Errorf("a secret shows in %s", b.String())
		}
	}
}

func TestConfigYAMLDocumentsEverySetting(t *testing.T) {
	var keys []string
	inCode := map[string]field{}
	for _, lf := range fields(new(Config)) {
		inCode[lf.key] = lf
	}
	for _, s := range Settings(configYAML) {
		keys = append(keys, s.Key)
		lf := inCode[s.Key]
		if len(s.Comment) < 20 || !strings.HasSuffix(s.Comment, ".") {
			t.Errorf("%s: comment %q explains nothing", s.Key, s.Comment)
		}
		low, high, ranged := strings.Cut(lf.tag.Get("range"), "..")
		if ranged && s.Key != "app_id" && !strings.Contains(s.Comment, low+" to "+high) {
			t.Errorf("%s: comment %q does not name the range %s to %s", s.Key, s.Comment, low, high)
		}
		for word := range strings.FieldsSeq(lf.tag.Get("oneof")) {
			if !strings.Contains(s.Comment, word) {
				t.Errorf("%s: comment %q does not name %s", s.Key, s.Comment, word)
			}
		}
		beside := s.Env
		if s.Secret {
			beside += ", " + s.Env + "_FILE"
		}
		if alias := lf.tag.Get("alias"); alias != "" {
			beside += ", " + alias
		}
		name := s.Key[strings.LastIndexByte(s.Key, '.')+1:]
		if !regexp.MustCompile(`(?m)^ *` + name + `:.* # ` + beside + `$`).Match(configYAML) {
			t.Errorf("%s: config.yaml does not have %q beside it", s.Key, beside)
		}
		if s.Secret && s.Default != "" {
			t.Errorf("%s: a secret has a default", s.Key)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(inCode)), slices.Sorted(slices.Values(keys))); diff != "" {
		t.Errorf("Config and config.yaml differ (-Config +config.yaml):\n%s", diff)
	}
	defaults, err := parseYAML(configYAML)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if !strings.Contains("\n"+string(configYAML), "\n"+name+":") || !slices.ContainsFunc(keys, func(k string) bool { return k == name || strings.HasPrefix(k, name+".") }) {
			t.Errorf("config.yaml has %s, which settings does not list", name)
		}
	}
}

// ownCallbackSecret is strong enough to be a callback secret.
const ownCallbackSecret = "Vw3nQ8zT-callback-rL5kYc2mHx9BtG7d"

// configYAML is the file that the program embeds.
var configYAML = readConfigYAML()

func readConfigYAML() []byte {
	raw, err := os.ReadFile("../../config.yaml")
	if err != nil {
		panic(err)
	}
	return raw
}
