package config

import (
	"strings"
	"testing"
)

func TestMongoURIErrors(t *testing.T) {
	for want, uris := range map[string][]string{
		mongoWantScheme: {"postgres://h/app", "mongo://h/app", "MONGODB://h", "http://h:27017", "h:27017/app", "mongodb:/h", "mongodb+ssl://h", "://h", "localhost"},
		mongoWantEscapes: {
			"mongodb://u:" + marker + "@x@h/app", "mongodb://u:" + marker + ":x@h/app", "mongodb://u:" + marker + "/x@h/app", "mongodb://u:" + marker + "?x@h/app",
			"mongodb://u@" + marker + ":p@h", "mongodb://u:p@" + marker + "/x@h", "mongodb://u:" + marker + "@x@a:1,b:2/app", "mongodb+srv://u:" + marker + "@x@h.example.org/app",
			"mongodb://u:" + marker + "/?x@h/app", "mongodb://u:" + marker + "@?x@h/app", "mongodb://u:1234/" + marker + "@h/app",
		},
		mongoWantPercent: {"mongodb://u:" + marker + "%@h/app", "mongodb://u:" + marker + "%zz@h", "mongodb://u:1%2" + "@h", "mongodb://h/a%zz"},
		mongoWantNoSpace: {"mongodb://u:" + marker + " x@h/app", "mongodb://a, b/app"},
		mongoWantBare:    {`"mongodb://h/app"`, "'mongodb://h/app'", " mongodb://h/app", "mongodb://h/app "},
		mongoWantUser:    {"mongodb://:" + marker + "@h/app", "mongodb://@h/app"},
		mongoWantHost: {
			"mongodb://", "mongodb:///app", "mongodb://u:p@/app", "mongodb://h:/app", "mongodb://h:0/app", "mongodb://h:65536/app", "mongodb://h:x/app", "mongodb://a,,b/app",
			"mongodb://a,/app", "mongodb://[::1/app", "mongodb://[h]/app", "mongodb://[::1]x/app", "mongodb://ä/app",
		},
		mongoWantSRVHost: {"mongodb+srv://h.example.org:27017/app", "mongodb+srv://a.example.org,b.example.org/app"},
		mongoWantName:    {"mongodb://h/a$b", "mongodb://h/a/b", "mongodb://h/a.b", "mongodb://h/" + strings.Repeat("x", 64)},
		mongoWantSlash:   {"mongodb://h?w=1", "mongodb://u:p@h:1?replicaSet=rs0"},
		"": {
			"mongodb://h", "mongodb://h/", "mongodb://h/app", "mongodb://127.0.0.1:27017/app?replicaSet=rs0", "mongodb://[::1]:27017/app", "mongodb://[::1]/app",
			"mongodb://u:p%40%3A%2F%3F%25@h/app", "mongodb://u@h", "mongodb://u:@h", "mongodb://a:1,b:2,c/app?w=1", "mongodb+srv://u:p@c.abcde.mongodb.net/?appName=x",
			"mongodb://%2Ftmp%2Fmongodb-27017.sock/app", "mongodb://h/ch%C3%A4t", "mongodb://u:p@h/app?authMechanismProperties=A:b@c", "mongodb://u:p#x!$&'()*+,;=@h/app",
		},
	} {
		for _, uri := range uris {
			if got := checkMongoURI(uri); got != want {
				t.Errorf("%s: error %q, want %q", uri, got, want)
			}
		}
	}
}

func TestMongoURIErrorHidesTheValue(t *testing.T) {
	_, err := Load(configYAML, from("JWT_SECRET", strongSecret, "MONGO_URI", "mongodb://u:"+marker+"@x@h/app"), t.TempDir())
	wantInError(t, err, "1 problem with", "mongo.uri (MONGO_URI, set in the environment): the user name or the password has an unescaped @", "write %40 for @")
	if strings.Contains(err.Error(), marker) {
		t.Errorf("the error shows the password: %v", err)
	}
	_, err = Load(configYAML, from("JWT_SECRET", strongSecret, "MONGO_URL", "mongodb://u:"+marker+"@x@h/app"), t.TempDir())
	wantInError(t, err, "mongo.uri (MONGO_URI, set in the environment as MONGO_URL): ")
}
