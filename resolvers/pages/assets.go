package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// contentTypes replaces the table of package mime, which reads that of the system and
// so differs between machines.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

// An asset is one file that the page loads. Its URL contains the checksum of its
// content, so browsers may cache it forever.
type asset struct {
	url         string // last element of its URL: name-sum.ext
	contentType string
	tag         string // checksum of the stored content
	stored      file
	unpacked    func() ([]byte, error) // decompresses once, at the first call; nil if stored without compression
}

// file is the content of an embedded file, which is in the program and not on the heap.
type file struct {
	io.ReaderAt
	size int64
}

func (f file) reader() io.ReadSeeker { return io.NewSectionReader(f, 0, f.size) }

// open returns a file of an embed.FS. It panics if the file is missing.
func open(files fs.FS, name string) file {
	opened, err := files.Open(name)
	if err != nil {
		panic(err) // missing in the go:embed of the page
	}
	info, err := opened.Stat()
	if err != nil {
		panic(err)
	}
	return file{opened.(io.ReaderAt), info.Size()}
}

// load returns the assets by name. A path that ends in .gz is stored compressed; the page
// uses the name without that suffix. load panics if a file is missing.
func load(files fs.FS, paths []string) map[string]*asset {
	assets := make(map[string]*asset, len(paths))
	for _, at := range paths {
		name, compressed := strings.CutSuffix(path.Base(at), ".gz")
		ext := path.Ext(name)
		a := &asset{contentType: contentTypes[ext], stored: open(files, at)}
		a.tag = sum(a.stored.reader())
		a.url = strings.TrimSuffix(name, ext) + "-" + a.tag + ext
		if compressed {
			a.unpacked = sync.OnceValues(func() ([]byte, error) { return unpack(a.stored.reader()) })
		}
		assets[name] = a
	}
	return assets
}

// ServeHTTP serves the asset as it is stored, or decompressed for the rare client that
// does not accept gzip.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+a.tag+`"`)

	content := a.stored.reader()
	if a.unpacked != nil {
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			h.Set("ETag", `"`+a.tag+`-gzip"`) // other bytes, so another strong tag (RFC 9110, 8.8.3.3)
			h.Set("Content-Encoding", "gzip")
			h.Set("Content-Length", strconv.FormatInt(a.stored.size, 10)) // ServeContent omits it from encoded answers
		} else {
			plain, err := a.unpacked()
			if err != nil {
				http.Error(w, "asset is damaged", http.StatusInternalServerError)
				return
			}
			content = bytes.NewReader(plain)
		}
	}
	http.ServeContent(w, r, "", time.Time{}, content)
}

// acceptsGzip evaluates Accept-Encoding as in RFC 9110, section 12.5.3. Without the
// header it returns false, because such a client, curl for example, would show
// compressed bytes.
func acceptsGzip(headers []string) bool {
	star := false
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		accepted := true
		for param := range strings.SplitSeq(params, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
			if strings.EqualFold(key, "q") {
				weight, err := strconv.ParseFloat(value, 64)
				accepted = err == nil && weight > 0
			}
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return accepted // a named coding takes precedence over *, in any order
		case "*":
			star = accepted
		}
	}
	return star
}

func unpack(gzipped io.Reader) ([]byte, error) {
	r, err := gzip.NewReader(gzipped)
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	return content, nil
}

// sum returns SHA-256 cut to 96 bits, which is enough to distinguish builds. It panics if
// the content cannot be read; an embedded file always can.
func sum(content io.Reader) string {
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		panic(err)
	}
	return hex.EncodeToString(hash.Sum(nil)[:12])
}
