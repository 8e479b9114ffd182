//go:build ignore

// Vendored creates the files of other people's npm packages that the pages embed, so that
// anyone can check the origin of the committed files.
//
//	go run .ci/vendored.go           write the files and a SHA256SUMS beside them
//	go run .ci/vendored.go -check    create them in a temporary folder and compare
//
// It runs at the root of the module and needs npm to download the packages; it executes
// nothing from them. vendored.sha256 has the checksums of the packages.
//
// The compressed files depend on Go's compressor only; zlib, and so Node's, compresses
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
	packageSums = ".ci/vendored.sha256"
	sumsName    = "SHA256SUMS" // in each folder; in the format of sha256sum
)

// The folders of the files.
const (
	playground = "resolvers/playground/assets"
	reference  = "resolvers/openapi/assets"
	dashboard  = "connectycube/sandbox/control/page/vendor"
)

// A source is one file of an npm package that a page embeds.
type source struct {
	pkg, version string
	file         string // inside the package
	folder       string
	asset        string // in folder; compressed if it ends in .gz
	edits        []edit
}

var sources = []source{
	{"graphiql", "4.1.2", "graphiql.min.css", playground, "graphiql.css.gz", []edit{withoutFonts}},
	{"graphiql", "4.1.2", "graphiql.min.js", playground, "graphiql.js.gz", []edit{withoutSourceMap, withoutStyleElement}},
	{"react", "18.3.1", "umd/react.production.min.js", playground, "react.js.gz", nil},
	{"react-dom", "18.3.1", "umd/react-dom.production.min.js", playground, "react-dom.js.gz", nil},

	{"swagger-ui-dist", "5.35.0", "swagger-ui.css", reference, "swagger-ui.css.gz", []edit{withoutStyleMap}},
	{"swagger-ui-dist", "5.35.0", "swagger-ui-bundle.js", reference, "swagger-ui.js.gz", []edit{withoutFunction, withoutNewFunction}},

	{"preact", "11.2.0", "dist/preact.mjs", dashboard, "preact.js", []edit{withoutSourceMap}},
	{"preact", "11.2.0", "hooks/dist/hooks.mjs", dashboard, "hooks.js", []edit{withoutSourceMap, besidePreact}},
	{"htm", "3.1.1", "dist/htm.module.js", dashboard, "htm.js", nil},
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

	// A page without a build step resolves only paths, unless it has an inline import map,
	// which its policy blocks.
	besidePreact = edit{regexp.MustCompile(`from"preact"`), `from"./preact.js"`, 1}

	withoutStyleMap = edit{regexp.MustCompile(`/\*# sourceMappingURL=[^*]*\*/\n?`), "", 1}

	// The policy blocks code from text. These places are for runtimes without globalThis
	// and never run in a browser; without them a reader need not check that.
	withoutFunction    = edit{regexp.MustCompile(`\|\|Function\("return this"\)\(\)`), "", 3}
	withoutNewFunction = edit{regexp.MustCompile(`return this\|\|new Function\("return this"\)\(\)`), "return this", 1}

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
	temp, err := os.MkdirTemp("", "vendored")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)

	out := "."
	if check {
		out = filepath.Join(temp, "out")
	}
	sums, err := build(temp, out)
	if err != nil || !check {
		return err
	}
	var errs []error
	for _, s := range sources {
		file := filepath.Join(s.folder, s.asset)
		errs = append(errs, compare(file, filepath.Join(out, file)))
	}
	for folder := range sums {
		file := filepath.Join(folder, sumsName)
		errs = append(errs, compare(file, filepath.Join(out, file)))
	}
	return errors.Join(errs...)
}

// build downloads the packages into temp and writes the files below out. It returns their
// checksums by folder.
func build(temp, out string) (sums map[string]string, err error) {
	trusted, err := os.ReadFile(packageSums)
	if err != nil {
		return nil, err
	}
	sums = map[string]string{}
	for _, s := range sources {
		content, err := s.content(temp, string(trusted))
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Join(out, s.folder), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(out, s.folder, s.asset), content, 0o644); err != nil {
			return nil, err
		}
		sums[s.folder] += fmt.Sprintf("%x  %s\n", sha256.Sum256(content), s.asset)
		fmt.Printf("%s: %d bytes\n", s.asset, len(content))
	}
	for folder, text := range sums {
		if err := os.WriteFile(filepath.Join(out, folder, sumsName), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// content returns what the file will contain.
func (s source) content(temp, trusted string) ([]byte, error) {
	tgz, err := s.tarball(temp, trusted)
	if err != nil {
		return nil, err
	}
	content, err := extract(tgz, "package/"+s.file)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", s.pkg, s.version, err)
	}
	for _, e := range s.edits {
		if n := len(e.pattern.FindAllIndex(content, -1)); n != e.times {
			return nil, fmt.Errorf("%s: %d matches of %s, want %d", s.file, n, e.pattern, e.times)
		}
		content = e.pattern.ReplaceAll(content, []byte(e.with))
	}
	if strings.HasSuffix(s.asset, ".gz") {
		return compress(content)
	}
	return content, nil
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
