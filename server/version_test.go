package server

import (
	"runtime/debug"
	"testing"
)

func TestVersionText(t *testing.T) {
	t.Parallel()
	build := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Path: "cubegate", Version: version}, Settings: settings}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "3f2a56acae5881cac65bf6495de98b89c53e626d"}
	at := debug.BuildSetting{Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}
	for _, tt := range []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"no build information", nil, "unknown"},
		{"a build without a clone", build("(devel)", debug.BuildSetting{Key: "CGO_ENABLED", Value: "0"}), "development build, go1.26.0"},
		{"a test binary", build(""), "development build, go1.26.0"},
		{"a clone without a release", build("(devel)", revision, at), "development build, revision 3f2a56acae58 of 2026-01-02, go1.26.0"},
		{"a release", build("v1.2.3", revision, at, debug.BuildSetting{Key: "vcs.modified", Value: "false"}),
			"v1.2.3, revision 3f2a56acae58 of 2026-01-02, go1.26.0"},
		{"a version that Go made", build("v0.0.0-20260102030405-3f2a56acae58+dirty", revision, at, debug.BuildSetting{Key: "vcs.modified", Value: "true"}),
			"development build, revision 3f2a56acae58 of 2026-01-02 with uncommitted changes, go1.26.0"},
		{"a release without a clone", build("v1.2.3"), "v1.2.3, go1.26.0"},
		{"local changes", build("v1.2.3+dirty", revision, at, debug.BuildSetting{Key: "vcs.modified", Value: "true"}),
			"v1.2.3+dirty, revision 3f2a56acae58 of 2026-01-02 with uncommitted changes, go1.26.0"},
	} {
		if got := versionText(tt.info, tt.info != nil); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
