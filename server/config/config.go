// Package config owns the settings: it loads, decodes and checks them, and reports all
// errors at once, without values. It opens neither the database nor a listener. Start
// reading at Load.
package config

import (
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"cubegate/tokens"
)

// Config holds every setting of the process. Load returns it checked and with derived
// defaults filled in; config.yaml explains each key. It may be logged: secrets hide
// themselves.
//
// The tags of a field: key is the key in config.yaml, range bounds a number or a duration,
// oneof lists the words allowed, alias names a second environment variable, and guess lists
// variables that other programs have for the same value: one counts if no source has the
// setting. A field without a key is no setting.
type Config struct {
	DataDir         string        `key:"data_dir"`
	ShutdownTimeout time.Duration `key:"shutdown_timeout" range:"1ms..10m"`

	LAN     bool     // --lan: other machines use both listeners
	TLS     bool     // --tls: both listeners serve TLS, with certificates of our own authority
	Notices []Notice // for the log of a start

	HTTP struct {
		Host      string `key:"host"` // empty: all interfaces
		Port      int    `key:"port" range:"0..65535"`
		PublicURL string `key:"public_url"` // without a slash at its end

		CORSOrigins     []string `key:"cors.origins"`    // lower case; nil = not set, empty = no origin
		TrustedProxies  []string `key:"trusted_proxies"` // each in CIDR form, host bits cleared
		ForwardedHeader string   `key:"forwarded_header" oneof:"x-forwarded-for forwarded"`
		Playground      bool     `key:"playground"`

		MaxConnections           int `key:"max.connections" range:"0..1000000"` // of each listener; 0: from the memory limit
		MaxConnectionsPerAddress int `key:"max.connections_per_address" range:"0..1000000"`

		OpsAddr string `key:"ops.addr"` // host and port; empty: no such listener
	}

	Mongo struct {
		URI            tokens.Secret `key:"mongo.uri" alias:"MONGODB_URL" guess:"MONGODB_URI MONGO_URL"`
		Database       string        `key:"mongo.database"` // never empty once loaded
		Timeout        time.Duration `key:"mongo.timeout" range:"1ms..10m"`
		EmbeddedListen string        `key:"mongo.embedded_listen"`
	}

	ConnectyCube struct {
		AppID        int           `key:"app_id" range:"0..2147483647"` // 0: the sandbox
		AuthKey      tokens.Secret `key:"auth_key"`
		APIURL       string        `key:"connectycube.api_url"` // without a slash at its end; empty only with the sandbox
		Timeout      time.Duration `key:"connectycube.timeout" range:"1ms..5m"`
		CIDPPassword string        `key:"connectycube.cidp_password"`
		CIDPSecret   tokens.Secret `key:"connectycube.cidp_secret"`
		Password     string        `key:"connectycube.password" oneof:"shared derived"`
		AdminKey     tokens.Secret `key:"connectycube.admin_key"`

		RegisterWhileAway bool `key:"connectycube.register_while_away"`
		SignUpsPerMinute  int  `key:"connectycube.sign_ups_per_minute" range:"0..60000"` // 0: no limit

		ChatDomain string `key:"connectycube.chat_domain"`
		ChatURL    string `key:"connectycube.chat_url"` // empty only with the sandbox
	}

	Sandbox struct {
		Host         string        `key:"sandbox.host"`
		Port         int           `key:"sandbox.port" range:"0..65535"`
		Names        []string      `key:"sandbox.names"`
		PublicURL    string        `key:"sandbox.public_url"` // without a slash at its end; empty: the host that an app used
		ControlToken tokens.Secret `key:"sandbox.control_token"`
		CIDPURL      string        `key:"sandbox.cidp_url"`
	}

	JWT struct {
		Secret    tokens.Secret `key:"jwt.secret"`           // may be empty before EnsureSecret
		Previous  tokens.Secret `key:"jwt.previous_secrets"` // separated by blanks; see PreviousSecrets
		Keys      string        `key:"jwt.keys"`
		Issuer    string        `key:"jwt.issuer"`
		AccessTTL time.Duration `key:"jwt.access_ttl" range:"1s..24h"`
	}

	Sessions struct {
		Idle     time.Duration `key:"sessions.idle" range:"1m..8784h"`
		Absolute time.Duration `key:"sessions.absolute" range:"1m..8784h"`
		Reuse    time.Duration `key:"sessions.reuse" range:"1s..5m"`
		PerUser  int           `key:"sessions.per_user" range:"1..100"`
	}

	Audit struct {
		Keep        time.Duration `key:"audit.keep" range:"1h..87840h"`
		Max         int           `key:"audit.max" range:"100..100000000"`
		MaxChanges  int           `key:"audit.max_changes" range:"100..100000000"`
		MaxRefusals int           `key:"audit.max_refusals" range:"100..100000000"`
		PerUser     int           `key:"audit.per_user" range:"10..10000"`
	}

	Password struct {
		Hash        string        `key:"password.hash" oneof:"argon2id bcrypt"`
		Memory      int           `key:"password.memory" range:"8..262144"` // KiB
		Iterations  int           `key:"password.iterations" range:"1..16"`
		Parallelism int           `key:"password.parallelism" range:"1..16"`
		Concurrent  int           `key:"password.concurrent" range:"0..1024"`
		MaxWait     time.Duration `key:"password.max_wait" range:"1ms..1m"`
	}

	Limits struct {
		Mode                    string        `key:"limits" oneof:"enforce observe"`
		LoginFailures           int           `key:"login.failures" range:"0..1000000"`
		LoginRetryEvery         time.Duration `key:"login.retry_every" range:"1ms..24h"`
		RegistrationsPerNetwork int           `key:"register.per_network" range:"0..1000000"` // an hour; 0: no limit
	}

	Log struct {
		Level  string `key:"log.level" oneof:"debug info warn error"`
		Format string `key:"log.format" oneof:"auto text json"`

		NoColor bool // the environment asks for text without colors
	}
}

// HasEmbeddedDatabase reports whether the embedded database replaces MongoDB.
func (c *Config) HasEmbeddedDatabase() bool { return c.Mongo.URI == "" }

// PreviousSecrets returns the previous values of the JWT secret, the newest first.
func (c *Config) PreviousSecrets() []tokens.Secret {
	var list []tokens.Secret
	for _, s := range strings.Fields(c.JWT.Previous.Reveal()) {
		list = append(list, tokens.Secret(s))
	}
	return list
}

// HasSandbox reports whether the sandbox replaces ConnectyCube.
func (c *Config) HasSandbox() bool { return c.ConnectyCube.AppID == 0 }

// HasStandIns reports whether both stand-ins run, so that nothing is real.
func (c *Config) HasStandIns() bool { return c.HasSandbox() && c.HasEmbeddedDatabase() }

// Setting describes one key of config.yaml, for --help and docs/settings.md.
type Setting struct {
	Key     string // in YAML; a dot follows the section
	Env     string // its environment variable
	Default string // as in config.yaml; empty for secrets and empty text
	Secret  bool   // may come from the file named by Env + "_FILE"
	Comment string // on one line
}

// yamlKey matches a line of config.yaml that starts a section or sets a key. Its groups
// are the indentation, the name, the value and the comment beside it.
var yamlKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^( *)([a-z_]+):(?: +([^#]*?))?(?: *# *(.*))?$`) })

// Settings lists all settings of defaults, which is config.yaml, in its order.
func Settings(defaults []byte) []Setting {
	secret := make(map[string]bool)
	for _, lf := range fields(new(Config)) {
		secret[lf.key] = lf.secret()
	}
	var list []Setting
	var section string
	var comment []string
	for line := range strings.Lines(string(defaults)) {
		line = strings.TrimRight(line, "\n")
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "#"); ok {
			comment = append(comment, strings.TrimSpace(text))
			continue
		}
		m := yamlKey().FindStringSubmatch(line)
		switch {
		case m == nil: // a blank line ends a comment
		case m[1] == "" && m[3] == "" && m[4] == "":
			section = m[2] + "."
		default:
			if m[1] == "" {
				section = ""
			}
			key := section + m[2]
			list = append(list, Setting{
				Key:     key,
				Env:     envName(key),
				Default: strings.Trim(m[3], `"`),
				Secret:  secret[key],
				Comment: strings.Join(comment, " "),
			})
		}
		comment = nil
	}
	return list
}

// envName returns the environment variable of a key.
func envName(key string) string {
	return strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// field is the place of one setting in a Config.
type field struct {
	key   string
	value reflect.Value // settable
	tag   reflect.StructTag
}

// secret reports whether the setting is a secret, by its type.
func (lf field) secret() bool { return lf.value.Type() == reflect.TypeFor[tokens.Secret]() }

// names lists the variables of the setting, the first of them its own.
func (lf field) names() []string {
	list := []string{envName(lf.key)}
	if lf.secret() {
		list = append(list, list[0]+"_FILE")
	}
	list = append(list, strings.Fields(lf.tag.Get("alias"))...)
	return append(list, strings.Fields(lf.tag.Get("guess"))...)
}

// fields lists all settings of c.
func fields(c *Config) []field { return appendFields(nil, reflect.ValueOf(c).Elem()) }

func appendFields(list []field, v reflect.Value) []field {
	for i := range v.NumField() {
		structField := v.Type().Field(i)
		if structField.Type.Kind() == reflect.Struct {
			list = appendFields(list, v.Field(i))
			continue
		}
		if key := structField.Tag.Get("key"); key != "" {
			list = append(list, field{key, v.Field(i), structField.Tag})
		}
	}
	return list
}
