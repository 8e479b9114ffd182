package apicontract

import (
	"path/filepath"
	"strings"
	"testing"

	"cubegate/server/servertest"

	"golang.org/x/tools/txtar"
)

// TestConversations replays testdata/*.txtar against the whole program, each
// file against one of its own. A file is a conversation: a section named by
// method, path and headers is what a client sends, the section after it, named
// by a status, what it must get.
//
//	-- POST /api --
//	{"query": "{hello}"}
//	-- 200 --
//	{"data": {"hello": "Hello from API!"}}
//
// In an answer {{name}} stands for anything but null; from there on it stands
// for that very value, in requests too. {{_}} is anything each time, and
// {{sandbox}} is the sandbox's address, {{secret}} the callback secret.
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
				c.Turn(t, archive.Files[i], archive.Files[i+1])
			}
			if len(archive.Files)%2 != 0 {
				t.Error("the last request has no answer")
			}
		})
	}
}
