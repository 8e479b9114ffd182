package control

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"cubegate/connectycube/sandbox/core"
)

// Snippet is the JavaScript that connects an app to a sandbox, and that sends nothing to
// the real ConnectyCube with any version of the SDK: docs/phones.md has the table.
type Snippet struct {
	AppID  int64
	Key    string
	URL    string // of the sandbox, without a path
	Chat   string // URL of the chat
	Domain string // of the chat
}

func (s Snippet) String() string {
	_, host, _ := strings.Cut(s.URL, "://")
	apiURL := ""
	if strings.HasPrefix(s.URL, "http://") {
		apiURL = "\n      api_url: " + quoted(s.URL) + ","
	}
	return fmt.Sprintf(`ConnectyCube.init(
  { appId: %d, authKey: %s },
  {
    endpoints: {
      api: %s,%s
      chat: %s,
      chat_url: %s,
    },
    chatProtocol: { websocket: %s, active: 2 },
    debug: { mode: 0 }, // the default prints tokens
  },
)`, s.AppID, quoted(s.Key), quoted(host), apiURL, quoted(s.Domain), quoted(s.Chat), quoted(s.Chat))
}

// quoted returns a JavaScript string. A client chooses the host in a URL.
func quoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`).Replace(text) + "'"
}

// place is an address of the sandbox for the apps of some device.
type place struct {
	For     string `json:"for"`
	URL     string `json:"url"`
	Chat    string `json:"chat_url"`
	Snippet string `json:"snippet"`
}

func (s *Area) placeAt(use, base string) place {
	chat := strings.Replace(base, "http", "ws", 1) + s.chatPath
	snippet := Snippet{s.AppID, s.AuthKey, base, chat, s.ChatDomain}
	return place{use, base, chat, snippet.String()}
}

// places returns the address of the request, those for other machines, and that for an
// Android emulator, which forwards it to this machine's loopback.
func (s *Area) places(r *http.Request) (all []place, others int) {
	here := s.origin(r)
	all = append(all, s.placeAt("this browser", here))
	for _, url := range s.reachable() {
		if url != here {
			all = append(all, s.placeAt("phones and other machines", url))
		}
		others++
	}
	if u, err := url.Parse(here); err == nil && isLoopback(u.Host) {
		u.Host = "10.0.2.2"
		if _, port, err := net.SplitHostPort(r.Host); err == nil {
			u.Host += ":" + port
		}
		all = append(all, s.placeAt("the Android emulator", u.String()))
	}
	return all, others
}

// getOverview answers with all that an app, and a person, must know about the sandbox.
func (s *Area) getOverview(w http.ResponseWriter, r *http.Request) {
	places, others := s.places(r)
	provider := hideHeaders(s.Provider(), s.givenHeaders)
	state := s.StateUpTo(1, 1)
	certificate := ""
	if s.hasCA {
		certificate = controlPrefix + "/ca.pem"
	}
	answerJSON(w, http.StatusOK, map[string]any{
		"application_id": s.AppID,
		"auth_key":       s.AuthKey,
		"admin_key":      s.AdminKey,
		"chat_domain":    s.ChatDomain,
		"places":         places,
		"in_network":     others > 0,
		"certificate":    certificate,
		"server":         s.server,
		"provider":       map[string]any{"enabled": provider.Enabled, "method": provider.Method, "url": provider.URL, "last": s.LastCallback()},
		"settings":       s.Settings(),
		"totals":         state.Totals,
		"sessions":       state.Sessions,
		"clock":          s.Clock(),
		"max_delay_ms":   core.MaxDelay.Milliseconds(),
	})
}
