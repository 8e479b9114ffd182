package certs_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox/certs"
)

func open(t *testing.T, folder string) *certs.Authority {
	t.Helper()
	a, err := certs.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// leaf returns the certificate that a server of the authority sends.
func leaf(t *testing.T, a *certs.Authority) *x509.Certificate {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	cert, err := a.TLS().GetCertificate(&tls.ClientHelloInfo{Conn: here})
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf
}

func pool(t *testing.T, a *certs.Authority) *x509.CertPool {
	t.Helper()
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(a.PEM()) {
		t.Fatal("the certificate is no PEM")
	}
	return trusted
}

func TestTheAuthorityIsMadeOnceAndItsKeyIsTheOwners(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "ca")
	first := open(t, folder)
	again := open(t, folder)
	if !first.Made() || again.Made() || string(first.PEM()) != string(again.PEM()) || first.Fingerprint() != again.Fingerprint() {
		t.Error("the authority was made twice")
	}
	shown, err := os.ReadFile(first.File())
	if err != nil || string(shown) != string(first.PEM()) || strings.Contains(string(shown), "PRIVATE") {
		t.Errorf("%s: %v\n%s", first.File(), err, shown)
	}
	key := filepath.Join(folder, "ca-key.pem")
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(folder); len(files) != 2 {
		t.Errorf("files: %v", files)
	}
}

func TestWhatTheAuthorityIsAndVouchesFor(t *testing.T) {
	a := open(t, t.TempDir())
	block, _ := pem.Decode(a.PEM())
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	public, ok := ca.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve.Params().BitSize != 256 || !ca.IsCA || !ca.MaxPathLenZero || !ca.PermittedDNSDomainsCritical {
		t.Errorf("authority = %+v", ca)
	}
	one := leaf(t, a)
	if life := time.Until(one.NotAfter); life > 31*24*time.Hour {
		t.Errorf("the server's certificate lives %s", life)
	}
	trusted := pool(t, a)
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "10.0.2.2"} {
		if _, err := one.Verify(x509.VerifyOptions{Roots: trusted, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, at := range certs.Addresses() {
		if !slices.ContainsFunc(one.IPAddresses, func(ip net.IP) bool { return ip.Equal(at.AsSlice()) }) {
			t.Errorf("%s is not in %v", at, one.IPAddresses)
		}
	}
	if _, err := one.Verify(x509.VerifyOptions{Roots: trusted, DNSName: "api.connectycube.com"}); err == nil {
		t.Error("it is a certificate of a public name")
	}
}

// A thief of the key must not be able to impersonate public names.
func TestTheKeyIsOfNoUseForPublicNames(t *testing.T) {
	folder := t.TempDir()
	a := open(t, folder)
	path := filepath.Join(folder, "ca-key.pem")
	stolen, err := tls.LoadX509KeyPair(path, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"api.connectycube.com", "8.8.8.8"} {
		forged := &x509.Certificate{
			SerialNumber: leaf(t, a).SerialNumber,
			NotBefore:    time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		if ip := net.ParseIP(name); ip != nil {
			forged.IPAddresses = []net.IP{ip}
		} else {
			forged.DNSNames = []string{name}
		}
		key := stolen.PrivateKey.(*ecdsa.PrivateKey)
		raw, err := x509.CreateCertificate(nil, forged, stolen.Leaf, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: pool(t, a), DNSName: name}); err == nil {
			t.Errorf("a forged certificate of %s is trusted", name)
		}
	}
}

func TestAServerOfTheAuthority(t *testing.T) {
	a := open(t, t.TempDir())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Proto)) }),
		TLSConfig: a.TLS(),
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	go func() { _ = srv.ServeTLS(ln, "", "") }()
	defer srv.Close()
	for name, roots := range map[string]*x509.CertPool{"trusted": pool(t, a), "unknown": x509.NewCertPool()} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
		resp, err := client.Get("https://" + ln.Addr().String())
		if (err == nil) != (name == "trusted") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			resp.Body.Close()
			if resp.ProtoMajor != 1 {
				t.Errorf("%s, without the WebSockets of HTTP/1.1", resp.Proto)
			}
		}
		client.CloseIdleConnections()
	}
}

func TestCertificatesAreRenewedInTime(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a := open(t, folder)
		first := leaf(t, a)
		time.Sleep(19 * 24 * time.Hour)
		if !leaf(t, a).Equal(first) {
			t.Error("renewed too early")
		}
		time.Sleep(2 * 24 * time.Hour)
		if second := leaf(t, a); second.Equal(first) || time.Until(second.NotAfter) < 29*24*time.Hour {
			t.Error("not renewed")
		}
		time.Sleep(4*365*24*time.Hour + 345*24*time.Hour)
		if late := open(t, folder); !late.Made() {
			t.Error("an authority that expires soon is still used")
		}
	})
}

func TestAnAuthorityThatIsNotRightIsRefused(t *testing.T) {
	folder := t.TempDir()
	open(t, folder)
	key := filepath.Join(folder, "ca-key.pem")
	whole, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"readable by others": func() error { return os.Chmod(key, 0o640) },
		"cut":                func() error { return os.WriteFile(key, whole[:len(whole)/2], 0o600) },
		"empty":              func() error { return os.WriteFile(key, nil, 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := certs.Open(folder); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error = %v", name, err)
		}
		if err := os.WriteFile(key, whole, 0o600); err != nil || os.Chmod(key, 0o600) != nil {
			t.Fatal(err)
		}
	}
	open(t, folder)
}

// A host of the settings is in the certificate. The authority certifies it alone, so a new
// host needs a new authority; one that the authority already permits does not.
func TestHostsOfTheSettings(t *testing.T) {
	folder := t.TempDir()
	openWith := func(hosts ...string) *certs.Authority {
		t.Helper()
		a, err := certs.Open(folder, hosts...)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	plain := openWith()
	public := openWith("Box.Example.org", "203.0.113.7")
	if !public.Made() || public.Fingerprint() == plain.Fingerprint() {
		t.Error("the authority that may not certify the host was kept")
	}
	one, trusted := leaf(t, public), pool(t, public)
	for _, host := range []string{"box.example.org", "203.0.113.7", "localhost", "10.0.2.2"} {
		if _, err := one.Verify(x509.VerifyOptions{Roots: trusted, DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"example.org", "203.0.113.8", "api.connectycube.com"} {
		if _, err := one.Verify(x509.VerifyOptions{Roots: trusted, DNSName: host}); err == nil {
			t.Errorf("%s is in the certificate", host)
		}
	}
	for _, hosts := range [][]string{{"box.example.org"}, {"203.0.113.7", "192.168.1.7", "::1"}, {}, {"mac.local"}} {
		if again := openWith(hosts...); again.Made() || again.Fingerprint() != public.Fingerprint() {
			t.Errorf("%v: another authority was made", hosts)
		}
	}
}
