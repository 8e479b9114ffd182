// Package certs is a certificate authority for one machine, so that phones,
// emulators and browsers can reach the sandbox with https and wss: they allow
// little else, and the JS SDK sends no password over plain ws to another host.
//
// The authority is created once and kept in a folder. Its certificate limits it to
// this machine, private networks and the hosts that Open is given (RFC 5280, name
// constraints), even if its key leaks. The server's certificate stays in memory, for a month at most.
//
// The package knows nothing of the sandbox. Start reading at Open.
package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	keyFile = "ca-key.pem" // key and certificate, readable for the owner only

	authorityLife = 5 * 365 * 24 * time.Hour
	leafLife      = 30 * 24 * time.Hour
	renewBefore   = 10 * 24 * time.Hour // before the end of a leaf certificate
)

// File is the name of the file with the certificate, for the clients that must trust it.
const File = "ca.pem"

// Authority issues certificates for this machine. It is safe for concurrent use.
type Authority struct {
	folder string
	hosts  []string // beside this machine's
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	made   bool

	mu   sync.Mutex
	leaf *tls.Certificate
}

// Open reads the authority in the folder. If there is none, or it expires soon, Open
// creates one, and the folder; clients must then trust the new certificate. If the
// authority is unreadable, or readable for other users, Open returns an error and
// leaves it unchanged.
//
// The hosts are names and IP addresses, beside those of this machine, for the server's
// certificate. The authority is limited to them, too, so that Open creates another one if
// the one in the folder may not certify a host.
func Open(folder string, hosts ...string) (*Authority, error) {
	path := filepath.Join(folder, keyFile)
	raw, err := os.ReadFile(path)
	if err == nil {
		a, err := read(path, raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		a.folder, a.hosts = folder, hosts
		if time.Until(a.cert.NotAfter) > leafLife && !slices.ContainsFunc(hosts, func(host string) bool { return !a.permits(host) }) {
			return a, a.show()
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	a, err := create(hosts)
	if err != nil {
		return nil, err
	}
	a.folder, a.hosts = folder, hosts
	return a, errors.Join(a.keep(path), a.show())
}

func read(path string, raw []byte) (*Authority, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, errors.New("other users can read the key of the certificate authority; remove the file, and let clients trust the new authority")
	}
	pair, err := tls.X509KeyPair(raw, raw)
	if err != nil {
		return nil, fmt.Errorf("the certificate authority is damaged; remove the file to create another: %w", err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("the file has no certificate authority of this program")
	}
	return &Authority{cert: pair.Leaf, key: key}, nil
}

func create(hosts []string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		// The date distinguishes several authorities in a phone's list.
		Subject:               pkix.Name{CommonName: "cubegate sandbox, " + hostName() + ", " + time.Now().Format(time.DateOnly)},
		NotBefore:             time.Now().Add(-time.Hour), // a phone's clock may be slow
		NotAfter:              time.Now().Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,

		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         names(),
		PermittedIPRanges:           private(),
	}
	for _, host := range hosts {
		if at, err := netip.ParseAddr(host); err == nil {
			at = at.Unmap().WithZone("")
			template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: at.AsSlice(), Mask: net.CIDRMask(at.BitLen(), at.BitLen())})
		} else {
			template.PermittedDNSDomains = append(template.PermittedDNSDomains, strings.ToLower(host))
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(raw)
	return &Authority{cert: cert, key: key, made: true}, err
}

// private returns the networks whose addresses are not routed on the internet.
func private() (networks []*net.IPNet) {
	for _, s := range []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10"} {
		_, network, err := net.ParseCIDR(s)
		if err != nil {
			panic(err)
		}
		networks = append(networks, network)
	}
	return networks
}

// names returns the domains that every authority may certify: localhost, local, and the
// machine's own name.
func names() []string {
	all := []string{"localhost", "local"}
	if host := hostName(); host != "localhost" && !strings.HasSuffix(host, ".local") {
		all = append(all, host)
	}
	return all
}

// hostName returns this machine's name, or localhost if a certificate cannot contain it.
func hostName() string {
	host, err := os.Hostname()
	host = strings.ToLower(host)
	if err != nil || host == "" || strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	}) || strings.Trim(host, ".-") != host || strings.Contains(host, "..") {
		return "localhost"
	}
	return host
}

func serial() *big.Int {
	raw := make([]byte, 16)
	rand.Read(raw) // never fails, by its documentation
	return new(big.Int).SetBytes(raw)
}

// keep writes key and certificate to one file, so that they always match.
func (a *Authority) keep(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return err
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), a.PEM()...)
	return replace(path, both, 0o600)
}

// show writes the certificate to a file of its own.
func (a *Authority) show() error {
	if raw, err := os.ReadFile(a.File()); err == nil && bytes.Equal(raw, a.PEM()) {
		return nil
	}
	return replace(a.File(), a.PEM(), 0o644)
}

// replace replaces a file as a whole.
func replace(path string, content []byte, mode os.FileMode) error {
	out, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	if err := errors.Join(err, out.Chmod(mode), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// File returns the path of the certificate to trust.
func (a *Authority) File() string { return filepath.Join(a.folder, File) }

// PEM returns the certificate to trust. It is no secret.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Made reports whether Open created the authority, so that no client trusts it yet.
func (a *Authority) Made() bool { return a.made }

// Fingerprint returns the SHA-256 of the certificate in the form that phones show.
func (a *Authority) Fingerprint() string {
	sum := sha256.Sum256(a.cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// TLS returns the settings for a server of HTTP/1.1, which WebSockets need. Its
// certificate is renewed in time, and when the machine gets a new IP address.
func (a *Authority) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			var at netip.Addr
			if tcp, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok {
				at = tcp.AddrPort().Addr().Unmap().WithZone("")
			}
			return a.certificate(at)
		},
	}
}

// certificate returns the current certificate, or a new one if it expires soon or does
// not contain this IP address of the machine.
func (a *Authority) certificate(at netip.Addr) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaf != nil && time.Until(a.leaf.Leaf.NotAfter) > renewBefore && (!a.permitsIP(at) || covers(a.leaf.Leaf, at)) {
		return a.leaf, nil
	}
	leaf, err := a.issue(append(Addresses(), at))
	if err == nil {
		a.leaf = leaf
	}
	return leaf, err
}

func covers(leaf *x509.Certificate, at netip.Addr) bool {
	return slices.ContainsFunc(leaf.IPAddresses, func(ip net.IP) bool { return ip.Equal(at.AsSlice()) })
}

func isPrivate(at netip.Addr) bool {
	return slices.ContainsFunc(private(), func(n *net.IPNet) bool { return n.Contains(at.AsSlice()) })
}

// emulators are the addresses of the host machine in Android's emulator and in
// Genymotion.
var emulators = []netip.Addr{netip.MustParseAddr("10.0.2.2"), netip.MustParseAddr("10.0.3.2")}

// issue creates a certificate for this machine's names and for the private ones among
// the addresses.
func (a *Authority) issue(addresses []netip.Addr) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "cubegate sandbox"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     a.namesOf(hostName()),
	}
	for _, host := range a.hosts {
		if at, err := netip.ParseAddr(host); err == nil {
			addresses = append(addresses, at.Unmap().WithZone(""))
		} else if host = strings.ToLower(host); !slices.Contains(template.DNSNames, host) {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	for _, at := range append(addresses, emulators...) {
		if ip := net.IP(at.AsSlice()); a.permitsIP(at) && !slices.ContainsFunc(template.IPAddresses, ip.Equal) {
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(raw)
	return &tls.Certificate{Certificate: [][]byte{raw, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, err
}

// namesOf returns the names that the authority may certify: the machine may have been
// renamed since the authority was created.
func (a *Authority) namesOf(host string) []string {
	all := []string{"localhost"}
	first, _, _ := strings.Cut(host, ".")
	for _, name := range []string{host, first + ".local"} {
		if a.permits(name) && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// permits reports whether the authority may certify a name or an IP address.
func (a *Authority) permits(host string) bool {
	if at, err := netip.ParseAddr(host); err == nil {
		return a.permitsIP(at.Unmap().WithZone(""))
	}
	host = strings.ToLower(host)
	return slices.ContainsFunc(a.cert.PermittedDNSDomains, func(domain string) bool {
		return host == domain || strings.HasSuffix(host, "."+domain)
	})
}

func (a *Authority) permitsIP(at netip.Addr) bool {
	return slices.ContainsFunc(a.cert.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(at.AsSlice()) })
}

// Addresses returns this machine's private IP addresses, loopback first.
func Addresses() []netip.Addr {
	found := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return found // localhost works anyway
	}
	for _, one := range interfaces {
		prefix, err := netip.ParsePrefix(one.String())
		if at := prefix.Addr().Unmap().WithZone(""); err == nil && isPrivate(at) && !slices.Contains(found, at) {
			found = append(found, at)
		}
	}
	slices.SortFunc(found, netip.Addr.Compare) // IPv4 first: people type these
	return found
}
