package config

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"

	"cubegate/tokens"
)

// EnsureSecret sets the JWT secret of c if it is empty: to the one stored in data_dir,
// which it creates at the first start. It refuses if the database or ConnectyCube is
// real. Several processes that start at once all get the same secret.
//
// isNew must be false if the database may have users: their sessions and passwords
// depend on the stored secret, so EnsureSecret does not replace a missing one.
func (c *Config) EnsureSecret(isNew bool) error {
	if c.JWT.Secret != "" {
		return nil
	}
	if !c.HasEmbeddedDatabase() || !c.HasSandbox() {
		return errors.New("jwt.secret (JWT_SECRET) must be set; " + newSecretHint)
	}
	secret, err := storedSecret(c.SecretFile(), isNew)
	if err != nil {
		return fmt.Errorf("JWT secret in data_dir: %w; or set JWT_SECRET to a new secret (openssl rand -base64 48), which ends every session", err)
	}
	c.JWT.Secret = secret
	return nil
}

// storedSecret returns the secret in the file at path. It creates a missing one if
// mayCreate is set.
func storedSecret(path string, mayCreate bool) (tokens.Secret, error) {
	secret, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if !mayCreate {
		return "", fmt.Errorf("%s is missing, and the database in data_dir is in use: restore it", path)
	}
	if err := createSecret(path); err != nil {
		return "", err
	}
	return readSecret(path) // another process may have created the file first
}

// createSecret writes a new secret to path, unless a file exists already, which is no
// error. The file appears atomically: it is written under another name, and a hard
// link, unlike a rename, never replaces a file.
func createSecret(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".jwt_secret-*") // has mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	key := make([]byte, 32)
	rand.Read(key) // never fails
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

var keptSecret = regexp.MustCompile(`^[0-9a-f]{64}\n$`)

// readSecret reads a file of createSecret. The error wraps fs.ErrNotExist if there is
// none. It repairs nothing: a new secret would end every session, and only the operator
// can find the cause.
func readSecret(path string) (tokens.Secret, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	switch {
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0: // Windows has no such bits
		return "", fmt.Errorf("%s is readable by other users: run chmod 600 on it if no other user has read it", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return "", err
	}
	if !keptSecret.Match(data) {
		return "", fmt.Errorf("%s is damaged: restore it", path)
	}
	return tokens.Secret(data[:len(data)-1]), nil
}

// SecretFile returns the path of the secret that EnsureSecret creates.
func (c *Config) SecretFile() string { return filepath.Join(c.DataDir, "jwt_secret") }
