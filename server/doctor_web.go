package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"cubegate/connectycube/sandbox/certs"
	"cubegate/resolvers/identity"
)

// localServer returns the URL at which this machine reaches the server.
func (d *doctor) localServer() string {
	if d.running != nil && d.running.API != "" {
		return d.running.API
	}
	return healthURL(d.cfg)
}

// checkServer checks that the server runs.
func (d webChecks) checkServer(ctx context.Context) finding {
	at := d.localServer()
	err := d.askAlive(ctx, at)
	if err != nil {
		return warningOf("no server answers at "+at, "start it with the same settings, and run the doctor again")
	}
	d.serverRuns = true
	return found("runs at %s", at)
}

func (d webChecks) askAlive(ctx context.Context, at string) error {
	r, err := http.NewRequest(http.MethodGet, at+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := d.send(ctx, r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", at, answer.Status)
	}
	return nil
}

// publicURL is where ConnectyCube reaches the server. While everything runs on this machine,
// that is the server's own.
func (d *doctor) publicURL() string {
	if d.cfg.HTTP.PublicURL == "" && d.cfg.HasSandbox() {
		return d.localServer()
	}
	return d.cfg.HTTP.PublicURL
}

// forged is a client IP that the doctor sends in the header of proxies. No machine has it
// (RFC 5737).
const forged = "192.0.2.77"

// checkPublicURL asks the verify route at PUBLIC_URL as ConnectyCube does.
func (d webChecks) checkPublicURL(ctx context.Context) finding {
	f := d.askPublicURL(ctx)
	d.publicFault = f.Cause
	return f
}

// askPublicURL sends what ConnectyCube sends to the verify route, about a ticket of the
// user of the check.
func (d webChecks) askPublicURL(ctx context.Context) finding {
	at := d.publicURL()
	switch {
	case at == "":
		return warningOf("PUBLIC_URL is not set", "set it to the https:// URL at which ConnectyCube reaches this server, and enter the same in its dashboard")
	case !d.serverRuns && d.cfg.HTTP.PublicURL == "":
		return skipped(noServer)
	case d.probe == "":
		return skipped("no ticket without a secret")
	}
	answer, body, err := d.verify(ctx, at)
	if f := d.diagnoseURL(at, answer, err); f.State != "" {
		return f
	}
	var said struct {
		User   struct{ ID string }
		Code   string
		Client string
	}
	isJSON := json.Unmarshal(body, &said) == nil
	switch {
	case answer.StatusCode == http.StatusOK && said.User.ID == identity.ProbeID:
		d.seen = said.Client
		if isInside(ctx, at) && !d.cfg.HasSandbox() {
			return failedBy("PUBLIC_URL names this machine or a private network, which ConnectyCube cannot reach", "set it to a URL that is public, such as that of a proxy or tunnel, here and in the dashboard")
		}
		return found("%s answers about tickets", at)
	case isJSON && said.Code == "UNAUTHENTICATED":
		return failedBy("the server at "+at+" does not accept a ticket made with these settings", "give this command and that server the same JWT_SECRET, JWT_KEYS and JWT_ISSUER, and let both clocks agree")
	case isJSON && said.Code != "":
		return failedBy(fmt.Sprintf("the server at %s answers %s to a ticket", at, printable(said.Code, 30)), "look at the log of that server")
	}
	return failedBy(fmt.Sprintf("no cubegate answers at %s%s (status %d)", at, VerifyPath, answer.StatusCode), "let the proxy forward every path to this server, unchanged")
}

// verify asks the verify route at a URL as ConnectyCube does, with a forged client IP.
func (d webChecks) verify(ctx context.Context, at string) (*http.Response, []byte, error) {
	form := url.Values{"token": {d.probe}}
	r, err := http.NewRequest(http.MethodPost, at+VerifyPath, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if d.cfg.HTTP.ForwardedHeader == "forwarded" {
		r.Header.Set("Forwarded", "for="+forged)
	} else {
		r.Header.Set("X-Forwarded-For", forged)
	}
	answer, err := d.send(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	return answer, body, err
}

// diagnoseURL explains why a URL leads to no answer, or to another one.
func (d webChecks) diagnoseURL(at string, answer *http.Response, err error) finding {
	name, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS:
		return failedBy("the name "+printable(name.Name, 80)+" in PUBLIC_URL does not resolve", "make a DNS record for it, or correct PUBLIC_URL")
	case err != nil && strings.Contains(err.Error(), "certificate"):
		return failedBy("the TLS certificate at "+at+" is not valid for it", "renew it, with a name that matches, from an authority that all clients trust")
	case err != nil:
		return failedBy("nothing answers at "+at, "start the server and the proxy in front of it, and open the firewall")
	case answer.StatusCode/100 == 3:
		return failedBy(fmt.Sprintf("%s redirects (status %d), and ConnectyCube does not follow", at, answer.StatusCode), "set PUBLIC_URL, and the URL in the dashboard, to where it leads")
	case answer.StatusCode >= 502:
		return failedBy(fmt.Sprintf("the proxy at %s reaches no server (status %d)", at, answer.StatusCode), "start the server, and let the proxy forward to HOST and PORT")
	}
	return finding{}
}

// isInside reports whether a service in the Internet cannot reach the host of a URL.
func isInside(ctx context.Context, at string) bool {
	u, err := url.Parse(at)
	if err != nil {
		return false
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	return err == nil && !slices.ContainsFunc(ips, func(ip netip.Addr) bool { return isPublicIP(ip) })
}

func isPublicIP(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate()
}

// isOwnIP reports whether an IP address is of this machine.
func isOwnIP(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || slices.ContainsFunc(certs.Addresses(), func(own netip.Addr) bool { return own.Unmap() == ip })
}

// checkProxy compares the client IP that the server saw with what it should see.
func (d webChecks) checkProxy(context.Context) finding {
	trusted := trustedProxies(d.cfg)
	isTrusted := func(ip netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
	}
	ip, err := netip.ParseAddr(d.seen)
	const name = "TRUSTED_PROXIES"
	switch {
	case d.cfg.HTTP.PublicURL == "":
		return skipped("PUBLIC_URL is not set")
	case err != nil:
		return skipped("the server at PUBLIC_URL told no client address")
	case d.seen == forged && slices.ContainsFunc(append(certs.Addresses(), netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()), isTrusted):
		return skipped("this machine is itself among " + name + "; run the doctor elsewhere to check the proxy")
	case d.seen == forged:
		return failedBy("clients can choose their address: the proxy passes "+d.cfg.HTTP.ForwardedHeader+" on as clients send it", "let the proxy replace the header, or append to it the address that it sees")
	case strings.HasPrefix(d.cfg.HTTP.PublicURL, "https:") && !d.cfg.TLS && len(trusted) == 0:
		return failedBy("a proxy is in front of the server, and "+name+" is empty: all users share one limit for wrong passwords", "set "+name+"="+d.seen+", the address of the proxy that the server sees")
	case len(trusted) > 0 && !isPublicIP(ip) && !isOwnIP(ip) && !isTrusted(ip):
		return failedBy("the server takes the proxy "+d.seen+" for a client", "add "+d.seen+" to "+name)
	}
	return found("the server sees this machine as %s", d.seen)
}

// checkCORS checks which pages may call the API, and that a proxy leaves that alone.
func (d webChecks) checkCORS(ctx context.Context) finding {
	origins := d.cfg.HTTP.CORSOrigins
	switch {
	case origins == nil && d.cfg.HasStandIns():
		return found("pages of this machine may call the API; set CORS_ORIGINS before going live")
	case len(origins) == 0:
		return found("pages of other origins may not call the API; CORS_ORIGINS lists those that may")
	case !d.serverRuns:
		return skipped(noServer)
	}
	at, origin := d.publicURL(), origins[0]
	if d.seen == "" {
		at = d.localServer()
	}
	if origin == "*" {
		origin = "https://any.example"
	}
	r, err := http.NewRequest(http.MethodOptions, at+APIPath, http.NoBody)
	if err != nil {
		return failedBy("no request can be made to "+at, "correct PUBLIC_URL")
	}
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", http.MethodPost)
	r.Header.Set("Access-Control-Request-Headers", "content-type")
	answer, err := d.send(ctx, r)
	if err != nil {
		return skipped("nothing answers at " + at)
	}
	defer answer.Body.Close()
	allowed := answer.Header.Values("Access-Control-Allow-Origin")
	switch {
	case len(allowed) > 1:
		return failedBy("the answer to a browser permits origins twice: the proxy adds its own header Access-Control-Allow-Origin", "remove CORS from the proxy; CORS_ORIGINS is enough")
	case len(allowed) == 0 || allowed[0] != origin && allowed[0] != "*":
		return failedBy("the server does not permit "+printable(origin, 80)+", which CORS_ORIGINS has", "restart the server with these settings, and let the proxy pass requests with the method OPTIONS on")
	}
	return found("%s may call the API", printable(strings.Join(origins, ", "), 100))
}
