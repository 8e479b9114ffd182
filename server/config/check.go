package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"cubegate/middleware"
	"cubegate/tokens"
)

// check adds errors for settings that have the right type and a wrong value.
func (c *Config) check(p *settingErrors) {
	c.checkForms(p)
	c.checkTogether(p)
	c.checkListeners(p)
	c.checkJWTSecret(p)
	c.checkCIDPSecret(p)
}

// checkForms checks each setting alone.
func (c *Config) checkForms(p *settingErrors) {
	const (
		wantHost = "want an IP address or a host name, without a port"
		wantURL  = "want an absolute http:// or https:// URL without user, query or fragment"
		wantWord = "want text without blanks"
	)
	optional := func(s string, ok func(string) bool) bool { return s == "" || ok(s) }
	httpURL := func(s string) bool { return bareURL(s, "http", "https") }

	p.require(optional(c.HTTP.Host, isHost), "host", wantHost)
	p.require(c.DataDir != "", "data_dir", "want the path of a folder")
	p.require(optional(c.HTTP.PublicURL, httpURL), "public_url", wantURL)
	p.require(!hasSpace(c.ConnectyCube.AuthKey.Reveal()), "auth_key", wantWord)

	if !c.HasEmbeddedDatabase() {
		problem := checkMongoURI(c.Mongo.URI.Reveal())
		p.require(problem == "", "mongo.uri", problem)
	}
	p.require(optional(c.Mongo.Database, isDatabase), "mongo.database",
		"want at most 63 bytes without any of /\\. \"$*<>:|?")
	p.require(optional(c.Mongo.EmbeddedListen, isLoopback), "mongo.embedded_listen",
		"want a loopback address with a port, such as 127.0.0.1:27018: the embedded database has no passwords")

	p.require(optional(c.HTTP.OpsAddr, isHostPort), "ops.addr",
		"want an IP address or a host name with a port, such as 127.0.0.1:9090, or 0.0.0.0:9090 for all interfaces")

	p.require(optional(c.ConnectyCube.APIURL, httpURL), "connectycube.api_url", wantURL)
	p.require(c.ConnectyCube.CIDPPassword != "", "connectycube.cidp_password", "want text")
	p.require(!hasSpace(c.ConnectyCube.AdminKey.Reveal()), "connectycube.admin_key", wantWord)
	p.require(isHost(c.ConnectyCube.ChatDomain), "connectycube.chat_domain", wantHost)
	p.require(optional(c.ConnectyCube.ChatURL, func(s string) bool { return bareURL(s, "ws", "wss") }),
		"connectycube.chat_url", "want an absolute ws:// or wss:// URL without user, query or fragment")

	p.require(isHost(c.Sandbox.Host), "sandbox.host", wantHost)
	p.require(!slices.ContainsFunc(c.Sandbox.Names, func(s string) bool { return !isHost(s) }), "sandbox.names",
		"want host names such as sandbox.example.org, without scheme and port")
	p.require(optional(c.Sandbox.PublicURL, httpURL), "sandbox.public_url", wantURL)
	p.require(!hasSpace(c.Sandbox.ControlToken.Reveal()), "sandbox.control_token", wantWord)
	p.require(optional(c.Sandbox.CIDPURL, httpURL), "sandbox.cidp_url", wantURL)
	p.require(c.JWT.Issuer != "", "jwt.issuer", "want text")

	if err := middleware.CheckOrigins(c.HTTP.CORSOrigins); err != nil {
		p.require(false, "cors.origins", "want origins as browsers send them, such as https://app.example.org, without default port and final slash, or * alone; "+
			strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	p.require(!slices.ContainsFunc(c.HTTP.TrustedProxies, func(s string) bool { _, ok := network(s); return !ok }), "trusted_proxies",
		"want IP addresses or networks such as 10.0.0.0/8; not /0, which would let every client choose its address")
}

// checkTogether checks settings that depend on each other.
func (c *Config) checkTogether(p *settingErrors) {
	hasKey := c.ConnectyCube.AuthKey != ""
	p.require(hasKey || c.HasSandbox(), "auth_key",
		"is missing: app_id (APP_ID) is set, and an application of ConnectyCube has both; without both, the sandbox runs", "app_id")
	p.require(!hasKey || !c.HasSandbox(), "app_id",
		"is missing: auth_key (AUTH_KEY) is set, and an application of ConnectyCube has both; without both, the sandbox runs", "auth_key")
	p.require(c.ConnectyCube.APIURL == "" || !c.HasSandbox(), "connectycube.api_url",
		"contradicts app_id (APP_ID), which is 0 and selects the sandbox", "app_id")
	p.require(c.Mongo.EmbeddedListen == "" || c.HasEmbeddedDatabase(), "mongo.embedded_listen",
		"contradicts mongo.uri (MONGO_URI), which replaces the embedded database", "mongo.uri")
	p.require(c.Sessions.Idle <= c.Sessions.Absolute, "sessions.idle",
		"contradicts sessions.absolute (SESSIONS_ABSOLUTE), which is shorter", "sessions.absolute")
	p.require(c.Password.Memory >= 8*c.Password.Parallelism, "password.memory",
		"contradicts password.parallelism (PASSWORD_PARALLELISM): argon2 needs 8 KiB for each lane", "password.parallelism")
}

// checkListeners finds listeners of this process that share a port.
func (c *Config) checkListeners(p *settingErrors) {
	type listener struct{ hostKey, portKey, host, port string }
	used := []listener{{"host", "port", c.host(), strconv.Itoa(c.HTTP.Port)}}
	if c.HasSandbox() {
		used = append(used, listener{"sandbox.host", "sandbox.port", c.Sandbox.Host, strconv.Itoa(c.Sandbox.Port)})
	}
	if host, port, err := net.SplitHostPort(c.Mongo.EmbeddedListen); err == nil {
		used = append(used, listener{"mongo.embedded_listen", "mongo.embedded_listen", host, port})
	}
	if host, port, err := net.SplitHostPort(c.HTTP.OpsAddr); err == nil {
		used = append(used, listener{"ops.addr", "ops.addr", host, port})
	}
	for i, b := range used {
		for _, a := range used[:i] {
			p.require(a.port != b.port || a.port == "0" || !overlap(a.host, b.host), b.portKey,
				"contradicts "+a.portKey+" ("+envName(a.portKey)+"): both listen on the same port",
				a.portKey, a.hostKey, b.hostKey, "app_id", "mongo.uri")
		}
	}
}

// checkJWTSecret refuses a signing key that is easy to guess, and a missing one as soon
// as the database or ConnectyCube is real. The original fell back to a key in its
// public source, so anyone could sign tokens.
func (c *Config) checkJWTSecret(p *settingErrors) {
	for _, s := range c.PreviousSecrets() {
		if err := tokens.CheckSecret(s); err != nil {
			p.require(false, "jwt.previous_secrets", err.Error())
			break
		}
	}
	if c.JWT.Secret != "" {
		if err := tokens.CheckSecret(c.JWT.Secret); err != nil {
			p.require(false, "jwt.secret", err.Error())
		}
		return
	}
	p.require(c.HasEmbeddedDatabase(), "jwt.secret", "must be set because mongo.uri (MONGO_URI) is set; "+newSecretHint, "mongo.uri")
	p.require(c.HasSandbox(), "jwt.secret", "must be set because app_id (APP_ID) is set; "+newSecretHint, "app_id")
}

// checkCIDPSecret refuses a callback secret that is easy to guess, that no header can
// carry, or that also signs tokens: ConnectyCube's dashboard shows it to all managers
// of the application.
func (c *Config) checkCIDPSecret(p *settingErrors) {
	const key = "connectycube.cidp_secret"
	secret := c.ConnectyCube.CIDPSecret
	if secret.IsZero() {
		return
	}
	if err := tokens.CheckSecret(secret); err != nil {
		p.add(key, err.Error())
		return
	}
	p.require(!strings.ContainsFunc(secret.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) && !strings.Contains(secret.Reveal(), "#{"),
		key, "want visible ASCII without blanks and without #{, which ConnectyCube reads as a placeholder")
	p.require(secret != c.JWT.Secret && !slices.Contains(c.PreviousSecrets(), secret), key,
		"contradicts jwt.secret (JWT_SECRET): a key that signs tokens must not be known to ConnectyCube", "jwt.secret", "jwt.previous_secrets")
}

const newSecretHint = "create one with: openssl rand -base64 48"

// defaultSignUps is the default of sign_ups_per_minute at the real ConnectyCube.
const defaultSignUps = 60

// defaultRegistrations is the default of register.per_network, per hour.
const defaultRegistrations = 10

// derive sets the defaults that depend on other settings, and normalizes lists and
// URLs.
func (c *Config) derive() {
	c.HTTP.Host = c.host()
	c.HTTP.PublicURL = strings.TrimRight(c.HTTP.PublicURL, "/")
	c.Sandbox.PublicURL = strings.TrimRight(c.Sandbox.PublicURL, "/")
	c.ConnectyCube.APIURL = strings.TrimRight(c.ConnectyCube.APIURL, "/")
	if c.ConnectyCube.APIURL == "" && !c.HasSandbox() {
		c.ConnectyCube.APIURL = "https://api.connectycube.com"
	}
	if c.ConnectyCube.ChatURL == "" && !c.HasSandbox() {
		c.ConnectyCube.ChatURL = "wss://" + net.JoinHostPort(c.ConnectyCube.ChatDomain, "5291")
	}
	if c.ConnectyCube.SignUpsPerMinute == unset {
		c.ConnectyCube.SignUpsPerMinute = defaultSignUps
		if c.HasSandbox() {
			c.ConnectyCube.SignUpsPerMinute = 0
		}
	}
	if c.Limits.RegistrationsPerNetwork == unset {
		c.Limits.RegistrationsPerNetwork = defaultRegistrations
		if c.HasStandIns() { // the tests of an app register many users
			c.Limits.RegistrationsPerNetwork = 0
		}
	}
	if c.Mongo.Database == "" {
		c.Mongo.Database = "test"
		if name := mongoDatabase(c.Mongo.URI.Reveal()); name != "" {
			c.Mongo.Database = name
		} else if !c.HasEmbeddedDatabase() {
			c.Notices = append(c.Notices, Notice{NoDatabase, "MONGO_URI", "MONGO_DATABASE"})
		}
	}
	for i, proxy := range c.HTTP.TrustedProxies {
		prefix, _ := network(proxy)
		c.HTTP.TrustedProxies[i] = prefix.String()
	}
}

// host returns the address of the API's listener. While both stand-ins run, nothing needs
// another machine, and their data has no protection against one.
func (c *Config) host() string {
	if c.HTTP.Host == "" && c.HasStandIns() {
		return "127.0.0.1"
	}
	return c.HTTP.Host
}

func hasSpace(s string) bool { return strings.ContainsFunc(s, unicode.IsSpace) }

var hostName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$`)
})

func isHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || len(s) <= 253 && hostName().MatchString(s)
}

// isPort reports whether s is empty or a port number above 0.
func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return s == "" || err == nil && n >= 1 && n <= 65535 && s == strconv.Itoa(n) // "+3000" would hide a contradiction
}

// bareURL reports whether s is an absolute URL of one of the schemes, with at most a
// path: no other part could hide a secret.
func bareURL(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	return err == nil && slices.Contains(schemes, u.Scheme) && isHost(u.Hostname()) && isPort(u.Port()) &&
		u.User == nil && !strings.ContainsAny(s, "?#") && !hasSpace(s)
}

// network parses an IP address or a network in CIDR form. It refuses the network of all
// addresses, or of all IPv4 addresses. It unmaps IPv4 in IPv6, as for the addresses of
// clients.
func network(s string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		addr = addr.WithZone("").Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	const mapped = 96 // bits of ::ffff:0:0/96
	if prefix.Addr().Is4In6() && prefix.Bits() >= mapped {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mapped)
	}
	return prefix.Masked(), prefix.Bits() > 0
}

// isHostPort reports whether s is a host, which is not empty, with a port.
func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && isHost(host) && (port == "0" || port != "" && isPort(port))
}

// isLoopback reports whether s is a loopback address with a port.
func isLoopback(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || port == "" || port != "0" && !isPort(port) {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// overlap reports whether listeners on the two hosts conflict if their ports are equal.
func overlap(a, b string) bool {
	plain := func(host string) string {
		addr, err := netip.ParseAddr(host)
		switch {
		case host == "" || err == nil && addr.IsUnspecified():
			return ""
		case strings.EqualFold(host, "localhost"):
			return "127.0.0.1"
		case err == nil:
			return addr.Unmap().String()
		}
		return strings.ToLower(host)
	}
	a, b = plain(a), plain(b)
	return a == "" || b == "" || a == b
}

// isDatabase reports whether MongoDB allows the name on every platform
// (https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions).
func isDatabase(name string) bool {
	return len(name) < 64 && !strings.ContainsAny(name, "/\\. \"$*<>:|?")
}
