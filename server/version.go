package server

import (
	"cmp"
	"runtime/debug"
)

// versionText describes a build by the module's version, the revision of the
// source, and the version of Go. ok is false for a binary without build
// information. The revision is known if the build ran in a clone of the repository,
// which the image's build does not.
func versionText(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return unknown
	}
	b := buildOf(info, ok)
	if b.version == development && b.revision == unknown { // go run does not tell the revision
		return "development build, " + b.goVersion
	}
	text := b.version + ", revision " + b.revision
	if b.time != "" {
		text += " of " + b.time
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
