package config

import (
	"cmp"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// Errors of connection strings. None quotes a part: any part may belong to the password.
const (
	mongoWantScheme  = "want a connection string that starts with mongodb:// or mongodb+srv://"
	mongoWantHost    = "want a host, or several with commas between them, after mongodb://, each with an optional port from 1 to 65535"
	mongoWantSRVHost = "want one host without a port after mongodb+srv://"
	mongoWantName    = "want the name of a database after the host's /, without any of /\\. \"$*<>:|?, or none"
	mongoWantEscapes = "the user name or the password has an unescaped @ : / ? or %; write %40 for @, %3A for :, %2F for /, %3F for ?, %25 for %"
	mongoWantPercent = "has a % without two hexadecimal digits after it; in a user name or a password write %25 for %"
	mongoWantBare    = "has quotation marks or blanks around it; docker --env-file keeps quotation marks, so remove them"
	mongoWantNoSpace = "has a blank; in a user name or a password write %20 for it"
	mongoWantSlash   = "want a / between the hosts and the ?"
	mongoWantUser    = "want a user name before the password, as in mongodb://user:password@host"
)

var badPercent = regexp.MustCompile(`%([^0-9A-Fa-f]|$|.([^0-9A-Fa-f]|$))`)

// checkMongoURI returns the error of a connection string, or "" if it is well formed. The
// driver checks the options; see store.Open. Its other errors may quote the password.
func checkMongoURI(uri string) string {
	if uri != strings.Trim(uri, " \t\r\n\"'") {
		return mongoWantBare
	}
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || scheme != "mongodb" && scheme != "mongodb+srv" {
		return mongoWantScheme
	}
	if hasSpace(uri) {
		return mongoWantNoSpace
	}
	before, options, hasOptions := strings.Cut(rest, "?")
	authority, path, hasPath := strings.Cut(before, "/")
	user, hosts, hasUser := cutLast(authority, "@")
	// The / or ? that ends the hosts may belong to a password, whose @ follows.
	if strings.Contains(path, "@") || strings.Contains(options, "@") && (!hasUser || !hasPath) {
		return mongoWantEscapes
	}
	if problem := cmp.Or(checkMongoUser(user, hasUser), checkMongoHosts(scheme, hosts)); problem != "" {
		return problem
	}
	switch name, err := url.PathUnescape(path); {
	case hasOptions && !hasPath:
		return mongoWantSlash
	case err != nil:
		return mongoWantPercent
	case !isDatabase(name):
		return mongoWantName
	}
	return ""
}

// checkMongoUser checks the user name and the password before the last @.
func checkMongoUser(user string, hasUser bool) string {
	switch name, password, _ := strings.Cut(user, ":"); {
	case !hasUser:
		return ""
	case name == "":
		return mongoWantUser
	case strings.Contains(password, ":"), strings.Contains(user, "@"):
		return mongoWantEscapes
	case badPercent.MatchString(user):
		return mongoWantPercent
	}
	return ""
}

// checkMongoHosts checks the hosts: names, IP addresses, or sockets such as
// %2Ftmp%2Fmongodb-27017.sock.
func checkMongoHosts(scheme, hosts string) string {
	list := strings.Split(hosts, ",")
	for _, host := range list {
		if strings.HasSuffix(host, ".sock") && !badPercent.MatchString(host) {
			continue
		}
		name, port, hasPort := cutLast(host, ":")
		if !hasPort || strings.HasSuffix(host, "]") {
			name, port, hasPort = host, "", false
		}
		if scheme == "mongodb+srv" && (hasPort || len(list) > 1) {
			return mongoWantSRVHost
		}
		if hasPort && (port == "" || !isPort(port)) || !isMongoHost(name) {
			return mongoWantHost
		}
	}
	return ""
}

// isMongoHost is isHost, except that an IPv6 address has brackets.
func isMongoHost(name string) bool {
	if inner, ok := strings.CutPrefix(name, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Is6() && strings.HasSuffix(inner, "]")
	}
	return isHost(name) && !strings.Contains(name, ":")
}

// cutLast cuts s around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// mongoDatabase returns the database that a connection string names, or "". net/url
// cannot parse the string: there may be several hosts.
func mongoDatabase(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	rest, _, _ = strings.Cut(rest, "?")
	_, path, _ := strings.Cut(rest, "/")
	name, err := url.PathUnescape(path)
	if err != nil {
		return ""
	}
	return name
}
