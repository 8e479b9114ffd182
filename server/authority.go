package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"

	"cubegate/connectycube/sandbox/certs"
	"cubegate/server/config"
)

// openAuthority opens the authority in DATA_DIR if --tls is given, and else returns nil. Its
// path is absolute, so that a user can paste the printed path in any folder.
func openAuthority(cfg config.Config) (*certs.Authority, error) {
	if !cfg.TLS {
		return nil, nil
	}
	folder, err := authorityFolder(cfg)
	if err != nil {
		return nil, err
	}
	authority, err := certs.Open(folder, certifiedHosts(cfg)...)
	if err != nil {
		return nil, fmt.Errorf("--tls: %w", err)
	}
	return authority, nil
}

func authorityFolder(cfg config.Config) (string, error) {
	return filepath.Abs(filepath.Join(cfg.DataDir, "sandbox-ca"))
}

// certifiedHosts lists the hosts of the settings at which clients reach the listeners.
func certifiedHosts(cfg config.Config) []string {
	var list []string
	if u, err := url.Parse(cfg.Sandbox.PublicURL); err == nil && u.Host != "" {
		list = append(list, u.Hostname())
	}
	for _, host := range []string{cfg.HTTP.Host, cfg.Sandbox.Host} {
		if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
			list = append(list, host)
		}
	}
	return list
}

// tlsOf returns the settings of a listener, nil without an authority.
func tlsOf(authority *certs.Authority) *tls.Config {
	if authority == nil {
		return nil
	}
	return authority.TLS()
}

// rootsWith returns the certificates that this machine trusts, and one more in PEM.
func rootsWith(certificate []byte) *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // an image from scratch has none
	}
	roots.AppendCertsFromPEM(certificate)
	return roots
}

// clientTrusting returns a client that also trusts a certificate. It uses no proxy: the
// sandbox calls a server on this machine.
func clientTrusting(certificate []byte) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: rootsWith(certificate)}
	return &http.Client{Transport: transport}
}
