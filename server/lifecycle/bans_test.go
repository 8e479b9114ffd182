package lifecycle

import (
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// ConnectyCube has no call that disables a user. If it has the users' own passwords and
// asks no identity provider, a disabled user can still log in there, and the start says
// so, in the log and in the text for the terminal. TestNoCredentialSurvives in
// server/security has such a login.
func TestStartTellsThatABanEndsHere(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		settings map[string]string
		told     bool
	}{
		"shared":                              {map[string]string{"CONNECTYCUBE_CIDP_SECRET": ""}, true},
		"shared, said explicitly":             {map[string]string{"CONNECTYCUBE_CIDP_SECRET": "", "CONNECTYCUBE_PASSWORD": "shared"}, true},
		"shared, with the identity provider":  {nil, false},
		"derived":                             {map[string]string{"CONNECTYCUBE_CIDP_SECRET": "", "CONNECTYCUBE_PASSWORD": "derived"}, false},
		"derived, with the identity provider": {map[string]string{"CONNECTYCUBE_PASSWORD": "derived"}, false},
		"the sandbox, which asks the server":  {map[string]string{"APP_ID": "", "AUTH_KEY": "", "CONNECTYCUBE_API_URL": "", "CONNECTYCUBE_CIDP_SECRET": ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := servertest.Spawn(t, servertest.Merge(servertest.NewUpstream(t).Settings(), row.settings)).WaitReady(t)
			const banner = "a disabled user can still log in at ConnectyCube itself"
			if told := strings.Contains(inOneLine(p.Stdout.String()), banner); told != row.told {
				t.Errorf("the terminal is told: %t, want %t: %s", told, row.told, p.Stdout)
			}
			p.WaitLog(t)
			if told := strings.Contains(p.Log.String(), "a disabled user can still log in at ConnectyCube itself"); told != row.told {
				t.Errorf("the log has the warning: %t, want %t: %s", told, row.told, p.Log)
			}
		})
	}
}
