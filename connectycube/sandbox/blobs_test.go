package sandbox_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"
)

// file is the result of the JS SDK's createAndUpload.
type file struct{ id, uid, params string }

func (p person) newFile(name, contentType string, public bool) file {
	p.t.Helper()
	g := p.call(201, "POST /blobs.json", fmt.Sprintf(`{"blob":{"name":%q,"content_type":%q,"public":%t}}`, name, contentType, public))
	return file{g.str("blob.id"), g.str("blob.uid"), g.str("blob.blob_object_access.params")}
}

// form reads an upload link as the SDK does: every field of its query goes into the form,
// followed by the file.
func (f file) form(t *testing.T, content string) (address, body, contentType string) {
	t.Helper()
	address, query, _ := strings.Cut(f.params, "?")
	var raw bytes.Buffer
	w := multipart.NewWriter(&raw)
	for field := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(field, "=")
		value, err := url.PathUnescape(value) // as decodeURIComponent does, which does not decode a plus
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteField(key, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "whatever")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(part, content)
	w.Close()
	return strings.TrimPrefix(address, "http://sandbox.invalid"), raw.String(), w.FormDataContentType()
}

func (p person) upload(f file, content string) got {
	p.t.Helper()
	address, body, contentType := f.form(p.t, content)
	return p.send("POST", address, body, "Content-Type", contentType, "CB-Token", p.token)
}

// fetch follows redirects, as browsers do.
func (c caller) fetch(path string, header ...string) got {
	c.t.Helper()
	return c.send("GET", strings.TrimPrefix(path, "http://sandbox.invalid"), "", header...)
}

func TestAFileGoesUpAndDown(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := people(t, s, "ann", "bob")
	ann, bob := all[0], all[1]
	f := ann.newFile("ünïcode \"cat\".jpeg", "image/jpeg", false)
	up := ann.upload(f, "the cat")
	if up.status != 201 || up.header.Get("Content-Type") != "application/xml" {
		t.Fatalf("upload: %d %s %s", up.status, up.header, up.text)
	}
	var post struct {
		XMLName                     xml.Name `xml:"PostResponse"`
		Location, Bucket, Key, ETag string
	}
	if err := xml.Unmarshal([]byte(up.text), &post); err != nil || post.Key != f.uid || post.Bucket == "" || post.ETag != `"a13a532d58a47df764f5d8e3172269bf"` || !strings.HasSuffix(post.Location, "/"+f.uid) {
		t.Errorf("answer to the upload = %s (%v)", up.text, err)
	}
	ann.call(404, "GET /blobs/"+f.uid+"/download", "") // it was not declared complete
	if g := ann.call(200, "PUT /blobs/"+f.id+"/complete.json", `{"size":7}`); g.text != "" {
		t.Errorf("complete: %q", g.text)
	}
	info := ann.call(200, "GET /blobs/"+f.id+".json", "")
	if info.str("blob.uid") != f.uid || info.str("blob.size") != "7" || info.str("blob.blob_status") != "complete" || info.str("blob.set_completed_at") == "" || info.str("blob.name") != "ünïcode \"cat\".jpeg" {
		t.Errorf("info = %s", info.text)
	}
	for who, g := range map[string]got{
		"the owner":                 ann.fetch("/blobs/"+f.uid+"/download.json", "CB-Token", ann.token),
		"another user":              bob.fetch("/blobs/"+f.uid+"/download", "CB-Token", bob.token),
		"the SDK's private link":    bob.fetch("/blobs/" + f.uid + "?token=" + bob.token),
		"the SDK's public link":     ann.fetch("/blobs/"+f.uid, "CB-Token", ann.token),
		"the link of the file":      bob.fetch(bob.call(200, "GET /blobs/"+f.uid+"/object.json?download_url=1", "").str("blob.blob_object_access.download_url")),
		"an application's session":  ann.fetch("/blobs/"+f.uid+"/download", "CB-Token", ann.open("")),
		"the private link, dressed": bob.fetch("/blobs/"+f.uid+"/?token="+bob.token, "CB-Token", ""),
	} {
		if g.status != 200 || g.text != "the cat" || g.header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("%s: %d %s %q", who, g.status, g.header.Get("Content-Type"), g.text)
		}
	}
	if g := ann.call(200, "GET /blobs/"+f.uid+".json", ""); g.str("blob.id") != f.id {
		t.Errorf("the SDK's getFile: %s", g.text)
	}
}

func TestDownloadLeadsToTheBucket(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	f := ann.newFile("cat.jpeg", "image/jpeg", false)
	ann.upload(f, "the cat")
	ann.call(200, "POST /blobs/"+f.id+"/complete", `{"blob":{"size":"7"}}`) // Dart's form
	ann.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	g := ann.fetch("/blobs/"+f.uid+"/download", "CB-Token", ann.token)
	if g.status != 301 || !strings.HasPrefix(g.header.Get("Location"), "http://sandbox.invalid/sandbox-s3/"+f.uid+"?") || g.header.Get("Cache-Control") != "no-store" || g.header.Get("CB-Token-ExpirationDate") == "" {
		t.Errorf("%d %v", g.status, g.header)
	}
}

func TestWhoMayDoWhatWithAFile(t *testing.T) {
	for _, public := range []bool{false, true} {
		t.Run(fmt.Sprint("public ", public), func(t *testing.T) {
			s := sandbox.New(sandbox.Options{})
			all := people(t, s, "ann", "bob")
			ann, bob := all[0], all[1]
			f := ann.newFile("a.txt", "text/plain", public)
			ann.upload(f, "text")
			ann.call(200, "PUT /blobs/"+f.id+"/complete", `{"size":4}`)
			of := func(private, shared int) int {
				if public {
					return shared
				}
				return private
			}
			bob.call(of(403, 200), "GET /blobs/"+f.id+".json", "")
			bob.call(403, "PUT /blobs/"+f.id+"/complete.json", `{"size":5}`)
			bob.call(403, "PUT /blobs/"+f.id, `{"blob":{"name":"b.txt"}}`)
			bob.call(403, "DELETE /blobs/"+f.id+".json", "")
			for _, path := range []string{"/blobs/" + f.uid, "/blobs/" + f.uid + "/download", "/sandbox-s3/" + f.uid} {
				want := of(401, 200)
				if strings.HasPrefix(path, "/sandbox-s3") {
					want = of(403, 200)
				}
				if g := bob.fetch(path); g.status != want {
					t.Errorf("%s without a session: %d, want %d: %s", path, g.status, want, g.text)
				}
			}
			if g := bob.fetch("/blobs/" + f.id + ".json"); g.status != 401 {
				t.Errorf("information without a session: %d", g.status)
			}
			if g := bob.fetch("/blobs/"+f.uid, "CB-Token", strings.Repeat("A1", 18)); g.status != of(401, 200) {
				t.Errorf("with an expired session: %d", g.status)
			}
			ann.call(200, "DELETE /blobs/"+f.id+".json", "")
			ann.call(404, "GET /blobs/"+f.id+".json", "")
			ann.call(404, "DELETE /blobs/"+f.id, "")
			if g := ann.fetch("/sandbox-s3/" + f.uid); g.status != 404 || !strings.Contains(g.text, "NoSuchKey") {
				t.Errorf("content after the file was deleted: %d %s", g.status, g.text)
			}
		})
	}
}

// An uploaded file must not run in the origin of the sandbox, which its control area
// trusts.
func TestStoredPagesDoNotRun(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	for contentType, want := range map[string]string{
		"text/html":                         "application/octet-stream",
		"TEXT/HTML; charset=utf-8":          "application/octet-stream",
		"application/xhtml+xml":             "application/octet-stream",
		"application/javascript":            "application/octet-stream",
		"text/xml":                          "application/octet-stream",
		"image/png; x=\"text/html\"":        "image/png",
		"image/svg+xml":                     "image/svg+xml",
		"audio/mp4":                         "audio/mp4",
		"text/plain":                        "text/plain",
		"multipart/x-mixed-replace; b=\"\"": "application/octet-stream",
	} {
		t.Run(contentType, func(t *testing.T) {
			f := ann.newFile("page.html", contentType, true)
			if g := ann.upload(f, "<script>alert(1)</script>"); g.status != 201 {
				t.Fatalf("upload: %d %s", g.status, g.text)
			}
			g := ann.fetch("/sandbox-s3/" + f.uid)
			for name, value := range map[string]string{
				"Content-Type":            want,
				"Content-Disposition":     "attachment; filename=page.html",
				"Content-Security-Policy": "sandbox; default-src 'none'",
				"X-Content-Type-Options":  "nosniff",
			} {
				if got := g.header.Get(name); got != value {
					t.Errorf("%s = %q, want %q", name, got, value)
				}
			}
		})
	}
}

func TestRangesOfAFile(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	f := ann.newFile("film.mp4", "video/mp4", true)
	ann.upload(f, "0123456789")
	if g := ann.fetch("/sandbox-s3/"+f.uid, "Range", "bytes=2-4"); g.status != 206 || g.text != "234" {
		t.Errorf("%d %q", g.status, g.text)
	}
}

func TestFileRefusals(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	for name, fields := range map[string]string{
		"no name":      `"content_type":"text/plain"`,
		"empty name":   `"name":"","content_type":"text/plain"`,
		"long name":    `"name":"` + strings.Repeat("n", 101) + `","content_type":"text/plain"`,
		"no type":      `"name":"a"`,
		"no MIME type": `"name":"a","content_type":"picture of a cat"`,
	} {
		t.Run(name, func(t *testing.T) { ann.call(422, "POST /blobs.json", `{"blob":{`+fields+`}}`) })
	}
	ann.call(422, "POST /blobs.json", `{"name":"a","content_type":"text/plain"}`)
	f := ann.newFile(strings.Repeat("ü", 100), "text/plain", false)
	for _, body := range []string{`{}`, `{"size":-1}`, `{"size":"big"}`, `{"blob":{}}`} {
		ann.call(422, "PUT /blobs/"+f.id+"/complete.json", body)
	}
	ann.call(422, "PUT /blobs/"+f.id, `{"blob":{"name":""}}`)
	ann.call(422, "GET /blobs.json?page=0", "")
	ann.call(404, "GET /blobs/x/object", "")
	ann.call(404, "GET /blobs/"+f.id+"/object", "") // by UID only
	ann.call(404, "GET /blobs/"+f.id+"/download", "")
}

func TestAFileIsRenamedAndReplaced(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	f := ann.newFile("a.txt", "text/plain", true)
	ann.upload(f, "old")
	ann.call(200, "PUT /blobs/"+f.id+"/complete", `{"size":3}`)
	g := ann.call(200, "PUT /blobs/"+f.id+".json", `{"blob":{"name":"b.txt"}}`)
	if g.str("blob.name") != "b.txt" || g.str("blob.content_type") != "text/plain" || g.str("blob.blob_object_access") != "" {
		t.Errorf("renamed: %s", g.text)
	}
	g = ann.call(200, "PUT /blobs/"+f.id+".json", `{"blob":{"new":"1"}}`)
	f.params = g.str("blob.blob_object_access.params")
	if up := ann.upload(f, "new content"); up.status != 201 {
		t.Fatalf("upload: %d %s", up.status, up.text)
	}
	if g := ann.fetch("/blobs/" + f.uid); g.text != "new content" {
		t.Errorf("content = %q", g.text)
	}
}

func TestOwnFilesAreListed(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "ann", "bob")
	for i := range 3 {
		all[0].newFile(fmt.Sprint(i), "text/plain", false)
	}
	all[1].newFile("bob's", "text/plain", true)
	g := all[0].call(200, "GET /blobs.json?page=2&per_page=2", "")
	if g.str("total_entries") != "3" || g.str("current_page") != "2" || g.str("items.0.blob.name") != "2" || g.str("items.1") != "" {
		t.Errorf("page = %s", g.text)
	}
}

func TestUploadRefusals(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	good := ann.newFile("a.txt", "text/plain", true)
	other := ann.newFile("b.txt", "text/plain", true)
	gone := ann.newFile("c.txt", "text/plain", true)
	ann.call(200, "DELETE /blobs/"+gone.id, "")
	address, body, contentType := good.form(t, "content")
	goneAddress, goneBody, goneType := gone.form(t, "content")
	boundary := contentType[strings.Index(contentType, "boundary=")+len("boundary="):]
	for _, tt := range []struct {
		name, method, address, body, contentType string
		status                                   int
		code                                     string
	}{
		{"another file's key", "POST", address, strings.ReplaceAll(body, good.uid, other.uid), contentType, 403, "AccessDenied"},
		{"a forged signature", "POST", address, strings.ReplaceAll(body, signatureOf(good), strings.Repeat("0", 64)), contentType, 403, "AccessDenied"},
		{"another end", "POST", address, strings.ReplaceAll(body, " GMT", "  GMT"), contentType, 403, "AccessDenied"},
		{"a file that is gone", "POST", goneAddress, goneBody, goneType, 404, "NoSuchKey"},
		{"no form", "POST", address, "content", "text/plain", 400, "MalformedPOSTRequest"},
		{"a form that breaks off", "POST", address, body[:len(body)-20], contentType, 400, "MalformedPOSTRequest"},
		{"no file", "POST", address, "--" + boundary + "--\r\n", contentType, 400, "MalformedPOSTRequest"},
		{"too many fields", "POST", address, strings.Repeat("--"+boundary+"\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n", 60), contentType, 400, "MalformedPOSTRequest"},
		{"another method", "PUT", address, body, contentType, 405, "MethodNotAllowed"},
		{"to a key", "POST", address + "/" + good.uid, body, contentType, 405, "MethodNotAllowed"},
		{"no key", "GET", address, "", "", 404, "NoSuchKey"},
		{"an id for a key", "GET", address + "/" + good.id, "", "", 404, "NoSuchKey"},
		{"nothing uploaded", "GET", address + "/" + other.uid, "", "", 404, "NoSuchKey"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := ann.send(tt.method, tt.address, tt.body, "Content-Type", tt.contentType)
			if g.status != tt.status || !strings.Contains(g.text, "<Error><Code>"+tt.code+"</Code>") {
				t.Errorf("%d %s, want %d %s", g.status, g.text, tt.status, tt.code)
			}
		})
	}
}

func signatureOf(f file) string { return f.params[strings.LastIndex(f.params, "=")+1:] }

func TestLinksEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
		f := ann.newFile("a.txt", "text/plain", false)
		time.Sleep(time.Hour - 2*time.Second)
		if g := ann.upload(f, "content"); g.status != 201 {
			t.Fatalf("in time: %d %s", g.status, g.text)
		}
		time.Sleep(2 * time.Second)
		if g := ann.upload(f, "too late"); g.status != 403 {
			t.Errorf("too late: %d %s", g.status, g.text)
		}
		link := ann.call(200, "GET /blobs/"+f.uid+"/object?download_url=1", "").str("blob.blob_object_access.download_url")
		time.Sleep(7*24*time.Hour - time.Second)
		if g := ann.fetch(link); g.status != 200 || g.text != "content" {
			t.Errorf("a week later: %d %s", g.status, g.text)
		}
		if g := ann.fetch(strings.Replace(link, "Expires=", "Expires=9", 1)); g.status != 403 {
			t.Errorf("with another end: %d", g.status)
		}
		time.Sleep(2 * time.Second)
		if g := ann.fetch(link); g.status != 403 || !strings.Contains(g.text, "AccessDenied") {
			t.Errorf("after that: %d %s", g.status, g.text)
		}
	})
}

// The link of an upload has the host and scheme of the client's request.
func TestUploadLinksFollowTheCaller(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	body := `{"blob":{"name":"a","content_type":"text/plain"}}`
	g := ann.send("POST", "/blobs", body, "CB-Token", ann.token, "X-Forwarded-Proto", "https")
	if link := g.str("blob.blob_object_access.params"); !strings.HasPrefix(link, "https://sandbox.invalid/sandbox-s3?") {
		t.Errorf("link = %s", link)
	}
}
