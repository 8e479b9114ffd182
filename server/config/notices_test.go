package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMisspelledVariables(t *testing.T) {
	for name, meant := range map[string]string{
		"APPID": "APP_ID", "APP_IDS": "APP_ID", "AP_ID": "APP_ID", "APP_DI": "APP_ID", "AUTHKEY": "AUTH_KEY", "AUTH_KEYS": "AUTH_KEY", "AUHT_KEY": "AUTH_KEY",
		"JWT_SECRT": "JWT_SECRET", "JWT_SECRETS": "JWT_SECRET", "JWT_KEY": "JWT_KEYS", "MONGO_URIS": "MONGO_URI", "MONGOURI": "MONGO_URI", "MONGO_UIR": "MONGO_URI",
		"MONGO_DB_URL": "MONGODB_URL", "CONNECTYCUBE_API_ULR": "CONNECTYCUBE_API_URL", "CONECTYCUBE_API_URL": "CONNECTYCUBE_API_URL", "CORS_ORIGIN": "CORS_ORIGINS",
		"TRUSTED_PROXY": "", "TRUSTED_PROXIE": "TRUSTED_PROXIES", "PROT": "PORT", "PORTT": "PORT", "HOSTS": "HOST", "LIMIT": "LIMITS", "PLAYGROUNDS": "PLAYGROUND",
		"AUTH_KEY_FIEL": "AUTH_KEY_FILE", "CONFIG_FIL": "CONFIG_FILE", "auth_key": "AUTH_KEY", "AUTH-KEY": "AUTH_KEY", "LOGLEVEL": "LOG_LEVEL", "DATADIR": "DATA_DIR",
		// Variables of ours, and of other programs.
		"APP_ID": "", "MONGODB_URL": "", "MONGODB_URI": "", "MONGO_URL": "", "AUTH_KEY_FILE": "", "CONFIG_FILE": "", "PORT": "",
		"PATH": "", "HOME": "", "USER": "", "HOSTNAME": "", "HOSTTYPE": "", "LOGNAME": "", "SHLVL": "", "PWD": "", "TERM": "", "POST": "", "SORT": "", "port": "", "host": "",
		"LANG": "", "TZ": "", "APP_ENV": "", "APP_KEY": "", "APP_NAME": "", "LOG_FILE": "", "DATABASE_URL": "", "MONGO_PORT": "", "SSH_AUTH_SOCK": "", "_": "", "": "",
		"KUBERNETES_SERVICE_HOST": "", "SANDBOX_SERVICE_HOST": "", "GOFLAGS": "", "HTTP_PROXY": "", "PS1": "",
	} {
		var want []Notice
		if meant != "" {
			want = []Notice{{Misspelled, name, meant}}
		}
		if diff := cmp.Diff(want, MisspelledIn([]string{name + "=" + marker})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNamesOfOtherPrograms(t *testing.T) {
	const ours, other = "mongodb://ours/app", "mongodb://other/app"
	tests := []struct {
		env, dotenv []string
		file        string
		want        string
		notices     []Notice
	}{
		{env: []string{"MONGODB_URI", ours}, want: ours, notices: []Notice{{TakenAs, "MONGODB_URI", "MONGO_URI"}}},
		{env: []string{"MONGO_URL", ours}, want: ours, notices: []Notice{{TakenAs, "MONGO_URL", "MONGO_URI"}}},
		{dotenv: []string{"MONGO_URL", ours}, want: ours, notices: []Notice{{TakenAs, "MONGO_URL", "MONGO_URI"}}},
		{env: []string{"MONGODB_URL", ours}, want: ours},
		{env: []string{"MONGO_URL", other, "MONGO_URI", ours}, want: ours, notices: []Notice{{Overridden, "MONGO_URL", "MONGO_URI"}}},
		{env: []string{"MONGO_URL", ours, "MONGO_URI", ours}, want: ours},
		{env: []string{"MONGO_URL", other}, dotenv: []string{"MONGO_URI", ours}, want: ours, notices: []Notice{{Overridden, "MONGO_URL", "MONGO_URI"}}},
		{env: []string{"MONGO_URL", other}, file: "mongo: {uri: '" + ours + "'}", want: ours, notices: []Notice{{Overridden, "MONGO_URL", "MONGO_URI"}}},
		{env: []string{"MONGO_URL", ""}, want: ""},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		for i := 0; i < len(tt.dotenv); i += 2 {
			write(t, dir, ".env", tt.dotenv[i]+"='"+tt.dotenv[i+1]+"'\n")
		}
		env := append([]string{"JWT_SECRET", strongSecret}, tt.env...)
		if tt.file != "" {
			env = append(env, "CONFIG_FILE", write(t, dir, "own.yaml", tt.file))
		}
		c, err := Load(configYAML, from(env...), dir)
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		if got := c.Mongo.URI.Reveal(); got != tt.want {
			t.Errorf("%+v: uri = %q", tt, got)
		}
		if diff := cmp.Diff(tt.notices, c.Notices); diff != "" {
			t.Errorf("%+v: notices (-want +got):\n%s", tt, diff)
		}
	}
}

func TestConnectionStringWithoutDatabase(t *testing.T) {
	for uri, want := range map[string][]Notice{
		"mongodb://h": {{NoDatabase, "MONGO_URI", "MONGO_DATABASE"}}, "mongodb://u:p@h/?w=1": {{NoDatabase, "MONGO_URI", "MONGO_DATABASE"}}, "mongodb://h/app": nil,
	} {
		c, err := Load(configYAML, from("JWT_SECRET", strongSecret, "MONGO_URI", uri), t.TempDir())
		if diff := cmp.Diff(want, c.Notices); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", uri, err, diff)
		}
	}
	c, err := Load(configYAML, from("JWT_SECRET", strongSecret, "MONGO_URI", "mongodb://h", "MONGO_DATABASE", "app"), t.TempDir())
	if err != nil || c.Notices != nil {
		t.Errorf("with MONGO_DATABASE: %v, notices %v", err, c.Notices)
	}
}

// Two foreign names with different values decide nothing.
func TestForeignNamesThatDiffer(t *testing.T) {
	_, err := Load(configYAML, from("JWT_SECRET", strongSecret, "MONGO_URL", "mongodb://a", "MONGODB_URI", "mongodb://b"), t.TempDir())
	wantInError(t, err, "1 problem with", "mongo.uri (MONGO_URI", "MONGODB_URI and MONGO_URL are both set and differ")
}

// The default host depends on what is real.
func TestDefaultHost(t *testing.T) {
	for want, envs := range map[string][][]string{
		"127.0.0.1": {nil, {"SANDBOX_HOST", "0.0.0.0"}},
		"0.0.0.0":   {{"HOST", "0.0.0.0"}},
		"": {
			{"JWT_SECRET", strongSecret, "MONGO_URI", "mongodb://h"},
			{"JWT_SECRET", strongSecret, "APP_ID", "7", "AUTH_KEY", "key"},
		},
	} {
		for _, env := range envs {
			c, err := Load(configYAML, from(env...), t.TempDir())
			if err != nil || c.HTTP.Host != want {
				t.Errorf("%v: host = %q, want %q; error %v", env, c.HTTP.Host, want, err)
			}
		}
	}
}
