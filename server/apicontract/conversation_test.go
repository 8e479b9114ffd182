package apicontract

import (
	"path/filepath"
	"strings"
	"testing"

	"cubegate/server/servertest"

	"golang.org/x/tools/txtar"
)

// TestConversations replays testdata/*.txtar, each file against a server of its own. A
// file consists of pairs of sections: the first is named by method, path and headers and
// contains a request, the second is named by a status and contains the wanted response.
//
//	-- POST /api --
//	{"query": "{hello}"}
//	-- 200 --
//	{"data": {"hello": "Hello from API!"}}
//
// In a response, the first {{name}} matches each value except null. Later {{name}}s, also
// in requests, are that value. {{_}} matches a new value each time, {{sandbox}} is the
// URL of the sandbox, and {{secret}} is the callback secret.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := servertest.Start(t, servertest.CallbackSettings)
			c := servertest.Conversation{Server: r, Known: map[string]string{"sandbox": r.SandboxURL, "secret": servertest.OwnCallbackSecret}}
			for i := 0; i+1 < len(archive.Files); i += 2 {
				c.Replay(t, archive.Files[i], archive.Files[i+1])
			}
			if len(archive.Files)%2 != 0 {
				t.Error("the last request has no response")
			}
		})
	}
}
