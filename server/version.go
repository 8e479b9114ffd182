package server

import (
	"cmp"
	"runtime/debug"
	"strings"
)

// shownRevision is how much of a revision people see: as much as in a version that Go made.
const shownRevision = 12

// versionText describes a build by the module's version, the revision of the source with its
// day, and the version of Go. ok is false for a binary without build information. The
// revision is known if the build ran in a clone of the repository, which the image's build
// and "go run" do not.
func versionText(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return unknown
	}
	b := buildOf(info, ok)
	revision := b.revision[:min(len(b.revision), shownRevision)]
	text := b.version
	if text == development || strings.Contains(text, revision) { // Go makes the version of an unreleased revision from the revision
		text = "development build"
	}
	if b.revision != unknown {
		text += ", revision " + revision
	}
	if b.time != "" {
		day, _, _ := strings.Cut(b.time, "T")
		text += " of " + day
	}
	if b.modified {
		text += " with uncommitted changes"
	}
	return text + ", " + b.goVersion
}

const (
	unknown     = "unknown"
	development = "(devel)" // what Go calls the version of a module that was not released
)

// build is what the binary knows of its build.
type build struct {
	version, revision, goVersion string // unknown if the binary does not tell
	time                         string // of the revision
	modified                     bool   // the source has changes beside the revision
}

func buildOf(info *debug.BuildInfo, ok bool) build {
	if !ok {
		return build{version: unknown, revision: unknown, goVersion: unknown}
	}
	vcs := make(map[string]string)
	for _, s := range info.Settings {
		vcs[s.Key] = s.Value
	}
	return build{
		version: cmp.Or(info.Main.Version, development), revision: cmp.Or(vcs["vcs.revision"], unknown), goVersion: info.GoVersion,
		time: vcs["vcs.time"], modified: vcs["vcs.modified"] == "true",
	}
}
