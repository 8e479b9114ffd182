package rest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"cubegate/connectycube/sandbox/core"
)

// providerFailure is a callback that gave no login.
type providerFailure struct {
	status int // of the provider's answer; 0: there was none
	answer any // the decoded body; nil if it is no JSON
	body   []byte
}

func (f *providerFailure) Error() string { return "the identity provider failed" }

// problemOf describes the outcome of a callback without the provider's words, which
// may contain a secret; "" is a success.
func problemOf(err error) string {
	failure, failed := errors.AsType[*providerFailure](err)
	switch {
	case err == nil:
		return ""
	case !failed:
		return "It answered without a user ID that response_params find."
	case failure.status == 0:
		return "It did not answer: its address is wrong, or it is down or too slow."
	}
	return fmt.Sprintf("It answered with status %d.", failure.status)
}

// refusal is the answer to the login (docs/connectycube.md, Identity provider).
func (f *providerFailure) refusal() error {
	if f.status == 0 {
		return core.AsBase(500, "Custom Identity Provider did not answer")
	}
	return core.AsBase(422, fmt.Sprintf("Custom Identity Provider responded with an error = %q. Status code = %d", f.text(), f.status))
}

// refusalOf2020 is the answer that users of the service saw in 2020 and 2021. POST
// /session had status 200, which the SDK does not take for an error, and POST /login 422.
func (f *providerFailure) refusalOf2020(status int) error {
	if f.status == 0 || f.status >= 500 {
		return &core.Refusal{Status: 500, Body: map[string]string{"status": "500", "error": http.StatusText(500)}}
	}
	response := "With empty response"
	if len(f.body) > 0 {
		response = fmt.Sprintf("Response %q", f.excerpt())
	}
	return core.AsList(status, fmt.Sprintf("Bad Authentication data. Unauthorized on remote side. Status: %d.%s", f.status, response))
}

// text returns the text that the service quotes from a refusal: the error field, else the
// body. Which of the two the service takes is unknown.
func (f *providerFailure) text() string {
	if object, ok := f.answer.(map[string]any); ok {
		if text, ok := object["error"].(string); ok {
			return text
		}
	}
	return f.excerpt()
}

func (f *providerFailure) excerpt() string {
	const most = 200 // bytes
	return core.ValidText(string(f.body[:min(len(f.body), most)]))
}

// shared are the addresses behind a carrier's router, which overlay networks use, too
// (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// isPublic reports whether a service in the Internet could reach the host. A name that
// does not resolve is not public.
func isPublic(ctx context.Context, host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return false
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return false
	}
	for _, ip := range ips {
		if ip = ip.Unmap(); !ip.IsGlobalUnicast() || ip.IsPrivate() || shared.Contains(ip) {
			return false
		}
	}
	return true
}
