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
		return "unknown"
	}
	vcs := make(map[string]string)
	for _, s := range info.Settings {
		vcs[s.Key] = s.Value
	}
	text := cmp.Or(info.Main.Version, "(devel)") + ", revision " + cmp.Or(vcs["vcs.revision"], "unknown")
	if vcs["vcs.time"] != "" {
		text += " of " + vcs["vcs.time"]
	}
	if vcs["vcs.modified"] == "true" {
		text += " with uncommitted changes"
	}
	return text + ", " + info.GoVersion
}
