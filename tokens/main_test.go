package tokens

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain runs the tests, or acts as a hash process. The first argument names its
// behavior; the flags of a test run begin with a dash. The second one is a file: the
// process behaves well if the file exists, and creates it.
func TestMain(m *testing.M) {
	if len(os.Args) == 1 || strings.HasPrefix(os.Args[1], "-") {
		os.Exit(m.Run())
	}
	behave := badProcesses[os.Args[1]]
	if len(os.Args) == 3 {
		if _, err := os.OpenFile(os.Args[2], os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			behave = nil
		}
	}
	if behave != nil {
		behave()
		os.Exit(3)
	}
	if err := ServeHashes(os.Stdin, os.Stdout); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// badProcesses lists the ways in which a hash process may fail.
var badProcesses = map[string]func(){
	"ends at once":      func() {},
	"is never ready":    func() { time.Sleep(time.Hour) },
	"says other things": func() { fmt.Println("usage: cubegate [command]") },
	"ends":              func() { reply(0, nil); request() },
	"hangs":             func() { reply(0, nil); request(); touch("asked"); time.Sleep(time.Hour) },
	"does not read":     func() { reply(0, nil); time.Sleep(time.Hour) },
	"writes nonsense":   func() { reply(0, nil); request(); fmt.Println("nonsense"); time.Sleep(time.Hour) },
	"writes no end":     func() { reply(0, nil); request(); fmt.Print(strings.Repeat("A", 1<<20)); time.Sleep(time.Hour) },
	"answers another": func() {
		reply(0, nil)
		reply(request()-1, func(r *hashReply) { r.Match = true })
		time.Sleep(time.Hour)
	},
	"makes another hash": func() {
		reply(0, nil)
		reply(request(), func(r *hashReply) { r.Made = cheapHash })
		time.Sleep(time.Hour)
	},
	"makes no hash": func() { reply(0, nil); reply(request(), nil); time.Sleep(time.Hour) },
}

// touch creates a file beside that of the second argument.
func touch(suffix string) {
	if len(os.Args) == 3 {
		if err := os.WriteFile(os.Args[2]+suffix, nil, 0o600); err != nil {
			os.Exit(4)
		}
	}
}

// cheapHash has other parameters than those of the tests.
const cheapHash = "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func reply(number int, edit func(*hashReply)) {
	r := hashReply{Number: number}
	if edit != nil {
		edit(&r)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(4)
	}
}

// request reads a request and returns its number.
func request() int {
	var q hashRequest
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		os.Exit(4)
	}
	return q.Number
}

// Published lets the tests of CheckSecret try each published key.
var Published = published
