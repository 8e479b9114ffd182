// Package config loads, decodes and checks the settings. It reports all errors
// at once, without values, and opens neither the database nor a listener. Start
// reading at Load.
package config

import (
	"reflect"
	"regexp"
	"strings"
	"time"

	"cubegate/tokens"
)

// Config is every setting of the process, checked and with derived defaults filled in
// when it comes from Load. It mirrors config.yaml, where each key is explained. It
// may be logged: secrets hide themselves.
//
// A range tag bounds a number or a duration, a oneof tag lists the words allowed, and an
// alias tag names a second environment variable.
type Config struct {
	Host      string        `key:"host"`
	Port      int           `key:"port" range:"0..65535"`
	DataDir   string        `key:"data_dir"`
	PublicURL string        `key:"public_url"` // without a slash at its end
	AppID     int           `key:"app_id" range:"0..2147483647"`
	AuthKey   tokens.Secret `key:"auth_key"`

	Mongo struct {
		URI            tokens.Secret `key:"uri" alias:"MONGODB_URL"`
		Database       string        `key:"database"` // never empty once loaded
		Timeout        time.Duration `key:"timeout" range:"1ms..10m"`
		EmbeddedListen string        `key:"embedded_listen"`
	} `key:"mongo"`

	ConnectyCube struct {
		APIURL       string        `key:"api_url"` // without a slash at its end; empty exactly when sandboxed
		Timeout      time.Duration `key:"timeout" range:"1ms..5m"`
		CIDPPassword string        `key:"cidp_password"`
		CIDPSecret   tokens.Secret `key:"cidp_secret"`
		Password     string        `key:"password" oneof:"shared derived"`
		AdminKey     tokens.Secret `key:"admin_key"`

		RegisterWhileAway bool `key:"register_while_away"`
		SignUpsPerMinute  int  `key:"sign_ups_per_minute" range:"0..60000"` // 0: no limit

		ChatDomain string `key:"chat_domain"`
		ChatURL    string `key:"chat_url"` // empty only when sandboxed
	} `key:"connectycube"`

	Sandbox struct {
		Host         string        `key:"host"`
		Port         int           `key:"port" range:"0..65535"`
		Names        []string      `key:"names"`
		ControlToken tokens.Secret `key:"control_token"`
		CIDPURL      string        `key:"cidp_url"`
	} `key:"sandbox"`

	JWT struct {
		Secret    tokens.Secret `key:"secret"`           // empty until EnsureSecret when nothing is configured
		Previous  tokens.Secret `key:"previous_secrets"` // separated by blanks; see PreviousSecrets
		Keys      string        `key:"keys"`
		Issuer    string        `key:"issuer"`
		AccessTTL time.Duration `key:"access_ttl" range:"1s..24h"`
	} `key:"jwt"`

	Sessions struct {
		Idle     time.Duration `key:"idle" range:"1m..8784h"`
		Absolute time.Duration `key:"absolute" range:"1m..8784h"`
		PerUser  int           `key:"per_user" range:"1..100"`
	} `key:"sessions"`

	Audit struct {
		Keep time.Duration `key:"keep" range:"1h..87840h"`
		Max  int           `key:"max" range:"100..100000000"`

		MaxRefusals int `key:"max_refusals" range:"100..100000000"`
	} `key:"audit"`

	Password struct {
		Memory      int           `key:"memory" range:"8..262144"` // KiB
		Iterations  int           `key:"iterations" range:"1..16"`
		Parallelism int           `key:"parallelism" range:"1..16"`
		Concurrent  int           `key:"concurrent" range:"0..1024"`
		MaxWait     time.Duration `key:"max_wait" range:"1ms..1m"`
	} `key:"password"`

	Login struct {
		Failures   int           `key:"failures" range:"0..1000000"`
		RetryEvery time.Duration `key:"retry_every" range:"1ms..24h"`
	} `key:"login"`

	Register struct {
		PerNetwork int `key:"per_network" range:"0..1000000"` // an hour; 0: no limit
	} `key:"register"`

	Limits string `key:"limits" oneof:"enforce observe"`

	CORS struct {
		Origins []string `key:"origins"` // lower case; nil when unset, empty when none are wanted
	} `key:"cors"`

	Max struct {
		Connections           int `key:"connections" range:"0..1000000"` // of each listener; 0: see newConnections
		ConnectionsPerAddress int `key:"connections_per_address" range:"0..1000000"`
	} `key:"max"`

	TrustedProxies  []string `key:"trusted_proxies"` // each in CIDR form, host bits cleared
	ForwardedHeader string   `key:"forwarded_header" oneof:"x-forwarded-for forwarded"`
	Playground      bool     `key:"playground"`

	Log struct {
		Level  string `key:"level" oneof:"debug info warn error"`
		Format string `key:"format" oneof:"auto text json"`
	} `key:"log"`

	ShutdownTimeout time.Duration `key:"shutdown_timeout" range:"1ms..10m"`
}

// HasEmbeddedDatabase reports whether the embedded database stands in for MongoDB.
func (c *Config) HasEmbeddedDatabase() bool { return c.Mongo.URI == "" }

// PreviousSecrets are the former values of the JWT secret, the newest first.
func (c *Config) PreviousSecrets() []tokens.Secret {
	var list []tokens.Secret
	for _, s := range strings.Fields(c.JWT.Previous.Reveal()) {
		list = append(list, tokens.Secret(s))
	}
	return list
}

// HasSandbox reports whether the sandbox stands in for ConnectyCube.
func (c *Config) HasSandbox() bool { return c.AppID == 0 }

// Setting is one key of config.yaml as a reader sees it, for --help and the README.
type Setting struct {
	Key     string // in YAML, sections joined by dots
	Env     string // the one variable that sets it
	Default string // as config.yaml spells it; empty for secrets and for empty text
	Secret  bool   // also read from the file named by Env + "_FILE"
	Comment string // on one line
}

// yamlKey matches a line of config.yaml that opens a section or sets a key; the groups
// are indentation, name, value, and the comment beside it. It reads our own file only.
var yamlKey = regexp.MustCompile(`^( *)([a-z_]+):(?: +([^#]*?))?(?: *# *(.*))?$`)

// Settings lists every setting of defaults, which is config.yaml, in its order.
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
		m := yamlKey.FindStringSubmatch(line)
		switch {
		case m == nil: // a blank line parts a comment from what follows
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

// envName is the rule that names a key's environment variable.
func envName(key string) string {
	return strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// field is one setting's place in a Config.
type field struct {
	key   string
	value reflect.Value // settable
	tag   reflect.StructTag
}

// secret reports whether the setting is one, by its type.
func (lf field) secret() bool { return lf.value.Type() == reflect.TypeFor[tokens.Secret]() }

// fields lists every setting of c in the order of its fields.
func fields(c *Config) []field {
	return appendFields(nil, "", reflect.ValueOf(c).Elem())
}

func appendFields(list []field, prefix string, v reflect.Value) []field {
	for i := range v.NumField() {
		structField := v.Type().Field(i)
		key := prefix + structField.Tag.Get("key")
		if structField.Type.Kind() == reflect.Struct {
			list = appendFields(list, key+".", v.Field(i))
			continue
		}
		list = append(list, field{key, v.Field(i), structField.Tag})
	}
	return list
}
