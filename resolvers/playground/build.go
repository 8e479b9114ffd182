//go:build ignore

// Build creates assets/*.gz from three npm packages, so that anyone can check the
// origin of the committed files.
//
//	go run build.go           write assets/ and its SHA256SUMS
//	go run build.go -check    create them in a temporary folder and compare
//
// It runs in this folder and needs npm to download the packages; it executes nothing
// from them. packages.sha256 has the checksums of the packages.
//
// The output depends on Go's compressor only; zlib, and so Node's, compresses
// differently on different processors. The committed files are from Go 1.26. If a later
// Go compresses differently, -check reports that the content is the same.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	packageSums = "packages.sha256"
	assetsDir   = "assets"
	sumsName    = "SHA256SUMS" // in assetsDir; in the format of sha256sum
)

// A source is one file of an npm package that becomes an asset.
type source struct {
	pkg, version string
	file         string // inside the package
	asset        string // in assetsDir, without .gz
	edits        []edit
}

var sources = []source{
	{"graphiql", "4.1.2", "graphiql.min.css", "graphiql.css", []edit{withoutFonts}},
	{"graphiql", "4.1.2", "graphiql.min.js", "graphiql.js", []edit{withoutSourceMap, withoutStyleElement}},
	{"react", "18.3.1", "umd/react.production.min.js", "react.js", nil},
	{"react-dom", "18.3.1", "umd/react-dom.production.min.js", "react-dom.js", nil},
}

// An edit replaces the matches of a pattern. Their number must be exact, so that a
// change in a new release fails the build.
type edit struct {
	pattern *regexp.Regexp
	with    string
	times   int
}

var (
	// The source map is not served, and a browser with open developer tools requests
	// it.
	withoutSourceMap = edit{regexp.MustCompile(`(?m)^//# sourceMappingURL=.*\n?`), "", 1}

	// Roboto and Fira Code, inlined for all scripts, are more than half of the
	// playground. Without them the policy needs no font-src data:, and playground.css
	// selects the system's fonts.
	withoutFonts = edit{regexp.MustCompile(`@font-face \{[^}]*\}\n`), "", 34}

	// While a dialog is open, react-remove-scroll inserts a style element, which a
	// policy without 'unsafe-inline' blocks and reports. The function that creates it
	// returns null without a document; with this edit it always does. playground.css
	// keeps the page behind a dialog from scrolling.
	withoutStyleElement = edit{
		regexp.MustCompile(`if\(!document\)return null;(var \w+=document\.createElement\("style"\))`),
		"return null;$1", 1,
	}
)

func main() {
	log.SetFlags(0)
	check := flag.Bool("check", false, "compare with the committed files instead of writing them")
	flag.Parse()
	if err := run(*check); err != nil {
		log.Fatal(err)
	}
}

func run(check bool) error {
	temp, err := os.MkdirTemp("", "playground")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)

	out := assetsDir
	if check {
		out = filepath.Join(temp, assetsDir)
		if err := os.Mkdir(out, 0o755); err != nil {
			return err
		}
	}
	if err := build(temp, out); err != nil {
		return err
	}
	if !check {
		return nil
	}
	var errs []error
	for _, s := range sources {
		errs = append(errs, compare(filepath.Join(assetsDir, s.asset+".gz"), filepath.Join(out, s.asset+".gz")))
	}
	errs = append(errs, compare(filepath.Join(assetsDir, sumsName), filepath.Join(out, sumsName)))
	return errors.Join(errs...)
}

// build downloads the packages into temp and writes the assets and their checksums into
// out.
func build(temp, out string) error {
	trusted, err := os.ReadFile(packageSums)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, s := range sources {
		tgz, err := s.tarball(temp, string(trusted))
		if err != nil {
			return err
		}
		content, err := extract(tgz, "package/"+s.file)
		if err != nil {
			return fmt.Errorf("%s %s: %w", s.pkg, s.version, err)
		}
		for _, e := range s.edits {
			if n := len(e.pattern.FindAllIndex(content, -1)); n != e.times {
				return fmt.Errorf("%s: %d matches of %s, want %d", s.file, n, e.pattern, e.times)
			}
			content = e.pattern.ReplaceAll(content, []byte(e.with))
		}
		packed, err := compress(content)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, s.asset+".gz"), packed, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s.gz\n", sha256.Sum256(packed), s.asset)
		fmt.Printf("%s.gz: %d bytes, %d decompressed\n", s.asset, len(packed), len(content))
	}
	return os.WriteFile(filepath.Join(out, sumsName), []byte(sums.String()), 0o644)
}

// tarball returns the tarball of the package, which npm puts into the folder temp, if
// its checksum is among the trusted ones.
func (s source) tarball(temp, trusted string) ([]byte, error) {
	name := fmt.Sprintf("%s-%s.tgz", s.pkg, s.version)
	path := filepath.Join(temp, name)
	if _, err := os.Stat(path); err != nil {
		npm := exec.Command("npm", "pack", "--silent", "--pack-destination", temp, s.pkg+"@"+s.version)
		npm.Stderr = os.Stderr
		if err := npm.Run(); err != nil {
			return nil, fmt.Errorf("npm pack %s@%s: %w", s.pkg, s.version, err)
		}
	}
	tgz, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	line := fmt.Sprintf("%x  %s\n", sha256.Sum256(tgz), name)
	if !strings.Contains(trusted, line) {
		return nil, fmt.Errorf("%s has a checksum that is not in %s", name, packageSums)
	}
	return tgz, nil
}

func extract(tgz []byte, name string) ([]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(tgz))
	if err != nil {
		return nil, err
	}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if err != nil {
			return nil, fmt.Errorf("looking for %s: %w", name, err)
		}
		if header.Name == name {
			return io.ReadAll(archive)
		}
	}
}

// compress leaves the time, name and system of the gzip header empty.
func compress(content []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(content)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func compare(committed, made string) error {
	a, errA := os.ReadFile(committed)
	b, errB := os.ReadFile(made)
	if err := errors.Join(errA, errB); err != nil {
		return err
	}
	switch {
	case bytes.Equal(a, b):
		return nil
	case bytes.Equal(decompressed(a), decompressed(b)) && decompressed(a) != nil:
		return fmt.Errorf("%s: same content, different compression: another version of Go?", committed)
	}
	return fmt.Errorf("%s differs from the content of the packages", committed)
}

// decompressed returns the content of gzip data, or nil for other data.
func decompressed(packed []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	return content
}
