package rest

import (
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// Concurrent uploads are bounded together. Beyond the bound an upload gets the storage
// service's word for "try later", and its reservation ends.
func TestArrivingUploadsAreBoundedTogether(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	s := newTestAPI(core.Options{MaxBlobBytes: most}, nil)
	srv := httptest.NewServer(s)
	defer srv.Close()
	begin := func() (send func(string) error, done func() *http.Response) {
		uid := core.RandomHex(17)
		file := core.Blob{UID: uid, Owner: 1, ContentType: "text/plain"}
		file.ID = s.Bucket.Add(file)
		access, err := url.Parse(uploadAccess(s.Bucket, srv.URL, &file, s.Now()).Params)
		if err != nil {
			t.Fatal(err)
		}
		out, in := io.Pipe()
		form := multipart.NewWriter(in)
		answer := make(chan *http.Response, 1)
		go func() {
			r, _ := http.NewRequest(http.MethodPost, srv.URL+bucketPath, out)
			r.Header.Set("Content-Type", form.FormDataContentType())
			got, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
			}
			_ = out.Close() // the server reads no more
			answer <- got
		}()
		for name, values := range access.Query() {
			_ = form.WriteField(name, values[0])
		}
		part, _ := form.CreateFormFile("file", "x")
		send = func(text string) error { _, err := io.WriteString(part, text); return err }
		return send, func() *http.Response { _ = form.Close(); _ = in.Close(); return <-answer }
	}
	arrived := func(n int64) {
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // the server reads in its own time
			bytes := s.Bucket.HeldBytes()
			if bytes >= n {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d bytes arrived, want %d", bytes, n)
			}
		}
	}
	sendFirst, firstDone := begin()
	if err := sendFirst(strings.Repeat("1", most*3/4)); err != nil {
		t.Fatal(err)
	}
	arrived(most * 3 / 4)
	sendSecond, secondDone := begin()
	_ = sendSecond(strings.Repeat("2", most/2)) // fails if the answer comes before the whole body was sent
	second := secondDone()
	body, _ := io.ReadAll(second.Body)
	second.Body.Close()
	if second.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "<Code>SlowDown</Code>") {
		t.Errorf("an upload beside another that takes the room: %s %s", second.Status, body)
	}
	first := firstDone()
	first.Body.Close()
	if first.StatusCode != http.StatusCreated {
		t.Errorf("the first upload: %s", first.Status)
	}
	if n := s.Bucket.HeldBytes(); n != most*3/4 {
		t.Errorf("%d bytes are counted, want %d", n, most*3/4)
	}
}

// The fields before the file of an upload are bounded like other bodies, and do not
// count among the files.
func TestFormBeforeTheFileIsBounded(t *testing.T) {
	s := newTestAPI(core.Options{}, nil)
	for name, body := range map[string]string{
		"a header without end": "--b\r\nContent-Disposition: form-data; name=\"file\"\r\nX: " + strings.Repeat("x", maxFormBytes),
		"fields without end":   strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"+strings.Repeat("x", maxFormBytes/40)+"\r\n", 45),
	} {
		read := &countedReader{Reader: strings.NewReader(body + strings.Repeat("y", 1<<20))}
		r := httptest.NewRequest(http.MethodPost, bucketPath, read)
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "EntityTooLarge") || read.n > maxFormBytes {
			t.Errorf("%s: %d %s after %d bytes", name, w.Code, w.Body, read.n)
		}
	}
}

type countedReader struct {
	io.Reader
	n int
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}
