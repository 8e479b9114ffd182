package tokens

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

const (
	maxKeyFile = 256 << 10 // bytes
	maxKeys    = 100
)

// KeyInfo describes a signing key for the command line.
type KeyInfo struct {
	ID      string
	Alg     string
	From    time.Time // it signs from then on
	Retired time.Time // its tokens are refused from then on; zero = never
	Signs   bool      // new tokens, now
}

// ListKeys describes the keys of a folder, in the order in which they start to sign.
func ListKeys(folder string) ([]KeyInfo, error) {
	all, err := readKeys(folder)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	signer, _ := newestUsable(all, now)
	list := make([]KeyInfo, len(all))
	for i, k := range all {
		list[i] = KeyInfo{ID: k.id, Alg: k.alg.String(), From: k.from, Retired: k.retired, Signs: k.id == signer.id && k.usable(now)}
	}
	return list, nil
}

// NewKey creates a key for EdDSA or ES256 that signs from the given time on, and
// returns its ID. The file of the key has the ID as its name. NewKey creates a missing
// folder.
func NewKey(folder, alg string, from time.Time) (string, error) {
	private, err := generate(alg)
	if err != nil {
		return "", err
	}
	id := strings.ToLower(rand.Text()[:16])
	for name, value := range map[string]any{jwk.KeyIDKey: id, jwk.AlgorithmKey: alg, jwk.KeyUsageKey: jwk.ForSignature, memberFrom: from.Unix()} {
		if err := private.Set(name, value); err != nil {
			return "", fmt.Errorf("creating key: setting %s failed", name)
		}
	}
	raw, err := json.Marshal(private)
	if err != nil {
		return "", errors.New("creating key: encoding failed")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	return id, writeFile(filepath.Join(folder, id+".json"), raw)
}

func generate(alg string) (jwk.Key, error) {
	var raw any
	var err error
	switch alg {
	case jwa.EdDSA.String():
		_, raw, err = ed25519.GenerateKey(rand.Reader)
	case jwa.ES256.String():
		raw, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		return nil, fmt.Errorf("algorithm is %q, want EdDSA or ES256", alg)
	}
	if err != nil {
		return nil, err
	}
	return jwk.FromRaw(raw)
}

// RetireKey ends the tokens of a key at the given time. It refuses to retire the last
// key that signs.
func RetireKey(folder, id string, at time.Time) error {
	all, err := readKeys(folder)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(k signingKey) bool { return k.id == id }) {
		return fmt.Errorf("key %q does not exist", id)
	}
	now := time.Now()
	if !slices.ContainsFunc(all, func(k signingKey) bool { return k.id != id && k.usable(at) && k.usable(now) && !k.from.After(at) }) {
		return fmt.Errorf("key %s is the last one that signs: create another one first", id)
	}
	files, err := keyFiles(folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		raw, err := readFile(file)
		if err != nil {
			return err
		}
		if key, err := readKey(raw); err != nil || key.id != id {
			continue
		}
		members := map[string]json.RawMessage{}
		if err := json.Unmarshal(raw, &members); err != nil {
			return errors.New("decoding key failed")
		}
		members[memberRetired] = json.RawMessage(fmt.Sprint(at.Unix()))
		if raw, err = json.Marshal(members); err != nil {
			return errors.New("encoding key failed")
		}
		return writeFile(file, raw)
	}
	return fmt.Errorf("key %q does not exist", id)
}

// keyFiles returns the *.json files of a folder.
func keyFiles(folder string) ([]string, error) {
	info, err := os.Stat(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, noKeys(folder, "does not exist")
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file, want a folder with one JWK in each *.json file", folder)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".json") {
			files = append(files, filepath.Join(folder, entry.Name()))
		}
	}
	switch {
	case len(files) == 0:
		return nil, noKeys(folder, "has no key files (*.json)")
	case len(files) > maxKeys:
		return nil, fmt.Errorf("%s has %d key files, want at most %d", folder, len(files), maxKeys)
	}
	return files, nil
}

// noKeys returns the error of a folder without keys. It names the command that creates
// the first one.
func noKeys(folder, reason string) error {
	return fmt.Errorf("%s %s: create the first key with \"cubegate keys new --in 0s\" and the same JWT_KEYS", folder, reason)
}

// folderVersion returns a text that changes whenever the files of a folder change.
func folderVersion(folder string) (string, error) {
	files, err := keyFiles(folder)
	if err != nil {
		return "", err
	}
	var version strings.Builder
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&version, file, info.Size(), info.ModTime().UnixNano())
	}
	return version.String(), nil
}

// readKeys reads all keys of a folder, in the order in which they start to sign.
func readKeys(folder string) ([]signingKey, error) {
	files, err := keyFiles(folder)
	if err != nil {
		return nil, err
	}
	var all []signingKey
	for _, file := range files {
		raw, err := readFile(file)
		if err != nil {
			return nil, err
		}
		key, err := readKey(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if slices.ContainsFunc(all, func(k signingKey) bool { return k.id == key.id }) {
			return nil, fmt.Errorf("%s: key ID %s occurs twice", file, key.id)
		}
		all = append(all, key)
	}
	slices.SortStableFunc(all, func(a, b signingKey) int { return a.from.Compare(b.from) })
	return all, nil
}

// readFile reads a key file. It refuses one that other users may read.
func readFile(file string) (json.RawMessage, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 { // Windows has no such bits
		return nil, fmt.Errorf("%s is readable by other users: run chmod 600 on it, and retire its keys if another user may have read it", file)
	}
	return io.ReadAll(io.LimitReader(f, maxKeyFile))
}

// writeFile replaces a file atomically, with mode 0600.
func writeFile(file string, raw []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".key-*") // has mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(raw, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
