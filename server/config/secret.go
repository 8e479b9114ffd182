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
	"strings"

	"cubegate/tokens"
)

// EnsureSecret gives c a JWT secret when none is set: the one kept in data_dir, made at
// the first start. Only while nothing is real may there be none set; Load sees to
// that, and EnsureSecret refuses otherwise. Of several processes that start at once, all
// get the same secret.
//
// With a database that has users, or may have any, isNew is false: their sessions and
// passwords hang on a secret that was there, and a new one would end them without a word.
func (c *Config) EnsureSecret(isNew bool) error {
	if c.JWT.Secret != "" {
		return nil
	}
	if !c.HasEmbeddedDatabase() || !c.HasSandbox() {
		return errors.New("jwt.secret (JWT_SECRET) must be set; " + newSecretHint)
	}
	path := c.SecretFile()
	secret, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !isNew {
			return fmt.Errorf("%s is missing, and the database in data_dir is in use: restore it, or %s, which ends every session", path, newSecretAdvice)
		}
		if err = createSecret(path); err == nil {
			secret, err = readSecret(path) // what is on the disk counts: another process may have been first
		}
	}
	if err != nil && strings.Contains(err.Error(), newSecretAdvice) {
		return fmt.Errorf("jwt secret kept in data_dir: %w", err)
	}
	if err != nil {
		return fmt.Errorf("jwt secret kept in data_dir: %w (or set JWT_SECRET)", err)
	}
	c.JWT.Secret = secret
	return nil
}

// newSecretAdvice says how to go on without the secret that was kept.
const newSecretAdvice = "set JWT_SECRET to a new one (openssl rand -base64 48)"

// createSecret writes a new secret to path unless there is a file already, which is no
// error. The file appears whole or not at all: it is written under another name, and a
// hard link, unlike a rename, never replaces what is there.
func createSecret(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".jwt_secret-*") // with mode 0600
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

// readSecret reads a file that createSecret made. The error wraps fs.ErrNotExist when
// there is none. Nothing is repaired: a new secret would end every session, and which of
// the reasons it was is for a person to find out.
func readSecret(path string) (tokens.Secret, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	switch {
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0: // Windows has no such bits
		return "", fmt.Errorf("%s can be read by others; run chmod 600 on it. If another user may have read it, %s, which ends every session", path, newSecretAdvice)
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
		return "", fmt.Errorf("%s is damaged; restore it, or %s, which ends every session", path, newSecretAdvice)
	}
	return tokens.Secret(data[:len(data)-1]), nil
}

// SecretFile is where the secret is kept that the server made.
func (c *Config) SecretFile() string { return filepath.Join(c.DataDir, "jwt_secret") }
