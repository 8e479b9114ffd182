package rest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// bucketPath is the path of uploads and downloads. The service uses Amazon's storage
// for them.
const bucketPath = "/sandbox-s3"

const (
	maxFormField  = 4 << 10   // bytes of one field before the file
	maxFormFields = 50        // parts of one upload
	maxFormBytes  = 256 << 10 // of an upload, without the file

	transferTime = 5 * time.Minute // for one upload or download, which keeps memory in use
)

func isBucket(path string) bool {
	return path == bucketPath || strings.HasPrefix(path, bucketPath+"/")
}

// bucketError is a refusal in the storage service's own format.
type bucketError struct {
	XMLName xml.Name `xml:"Error"`
	status  int
	Code    string
	Message string
}

func (e *bucketError) Error() string { return e.Code }

var (
	errNoKey       = &bucketError{status: 404, Code: "NoSuchKey", Message: "The specified key does not exist."}
	errNoAccess    = &bucketError{status: 403, Code: "AccessDenied", Message: "The link is not one of this sandbox, or it has expired."}
	errBadForm     = &bucketError{status: 400, Code: "MalformedPOSTRequest", Message: "The body is not a form with the given fields first and the file last."}
	bucketFull     = &bucketError{status: 503, Code: "SlowDown", Message: "The sandbox holds as many bytes of files as it may, arriving and leaving ones among them. Try again."}
	fileTooLarge   = &bucketError{status: 400, Code: "EntityTooLarge", Message: "The file is larger than the sandbox takes."}
	errWrongMethod = &bucketError{status: 405, Code: "MethodNotAllowed", Message: "Files are uploaded by POST and read by GET."}
)

// serveBucket answers as the storage service: uploads by form, downloads by link.
func (s *API) serveBucket(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, bucketPath), "/")
	var err error
	switch {
	case r.Method == http.MethodPost && key == "":
		err = s.receiveFile(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		err = s.sendFile(w, r, key)
	default:
		err = errWrongMethod
	}
	if err == nil {
		return
	}
	refused := bucketErrorOf(err)
	writeXML(w, refused.status, refused)
}

func bucketErrorOf(err error) *bucketError {
	var refused *bucketError
	switch {
	case errors.Is(err, core.ErrNoRoom):
		return bucketFull
	case errors.Is(err, core.ErrTooLarge):
		return fileTooLarge
	case errors.As(err, &refused):
		return refused
	}
	return errBadForm // the body is truncated, or no form
}

func writeXML(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	// An error here means that the client left.
	_, _ = io.WriteString(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(body)
}

// receiveFile reads a form with the fields of uploadAccess, followed by the file.
func (s *API) receiveFile(w http.ResponseWriter, r *http.Request) error {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(transferTime)) // if there is a connection
	body := &growingLimit{ReadCloser: r.Body, left: maxFormBytes}                   // a part's header may use all of it
	r.Body = body
	form, err := r.MultipartReader()
	if err != nil {
		return err
	}
	fields, file, err := formFields(form)
	if err != nil {
		return err
	}
	uid, expires := fields["key"], fields["Expires"]
	end, err := http.ParseTime(expires)
	link := core.Link{Verb: http.MethodPost, UID: uid, Expires: expires}
	if err != nil || !s.Bucket.Signed(link, fields["x-amz-signature"]) || !end.After(s.Now()) {
		return errNoAccess
	}
	if _, known := s.Bucket.Find(uid); !known {
		return errNoKey
	}
	body.left += core.MaxBlobBytes
	content, err := s.Bucket.Read(file, uid)
	if err != nil {
		return err
	}
	sum := md5.New() // S3 uses it as the ETag
	_, _ = io.Copy(sum, content.Reader())
	if !s.Bucket.Fill(uid, content) {
		return errNoKey
	}
	type postResponse struct {
		XMLName  xml.Name `xml:"PostResponse"`
		Location string
		Bucket   string
		Key      string
		ETag     string
	}
	writeXML(w, http.StatusCreated, postResponse{
		Location: OriginOf(r) + bucketPath + "/" + uid,
		Bucket:   strings.TrimPrefix(bucketPath, "/"),
		Key:      uid,
		ETag:     strconv.Quote(hex.EncodeToString(sum.Sum(nil))),
	})
	return nil
}

// growingLimit is a body of which left bytes may be read. A read beyond them returns
// ErrTooLarge.
type growingLimit struct {
	io.ReadCloser
	left int64
}

func (l *growingLimit) Read(p []byte) (int, error) {
	if l.left <= 0 && len(p) > 0 {
		return 0, core.ErrTooLarge
	}
	n, err := l.ReadCloser.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// formFields reads the fields before the file.
func formFields(form *multipart.Reader) (map[string]string, *multipart.Part, error) {
	fields := map[string]string{}
	for range maxFormFields {
		part, err := form.NextPart()
		if err != nil {
			return nil, nil, err
		}
		if part.FormName() == "file" {
			return fields, part, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, maxFormField))
		if err != nil {
			return nil, nil, err
		}
		fields[part.FormName()] = string(value)
	}
	return nil, nil, errBadForm
}

// sendFile answers with uploaded content and keeps browsers from running it: it is a
// download of a harmless type, and a browser that shows it anyway gives it an origin
// of its own instead of that of the control area.
func (s *API) sendFile(w http.ResponseWriter, r *http.Request, key string) error {
	file, known := s.Bucket.BeginDownload(key)
	if !known {
		return errNoKey
	}
	defer s.Bucket.EndDownload(file.Content)
	if key != file.UID {
		return errNoKey
	}
	query := r.URL.Query()
	expires := query.Get("Expires")
	end, _ := strconv.ParseInt(expires, 10, 64) // a signed value is a number
	link := core.Link{Verb: http.MethodGet, UID: key, Expires: expires}
	if !file.Public && (!s.Bucket.Signed(link, query.Get("Signature")) || s.Now().Unix() > end) {
		return errNoAccess
	}
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": file.Name})
	if disposition == "" {
		disposition = "attachment"
	}
	h := w.Header()
	h.Set("Content-Type", harmlessType(file.ContentType))
	h.Set("Content-Disposition", disposition)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // pages embed pictures from here
	connection := http.NewResponseController(w)
	_ = connection.SetWriteDeadline(time.Now().Add(transferTime)) // if there is a connection
	http.ServeContent(w, r, "", file.Updated, file.Content.Reader())
	_ = connection.SetWriteDeadline(time.Time{}) // the next request may be the chat's
	return nil
}

// harmlessType keeps the types that pages show without running them. SVG is among
// them: a page shows it as a picture, and opened alone it is a sandboxed download.
func harmlessType(contentType string) string {
	kind, _, err := mime.ParseMediaType(contentType)
	major, _, _ := strings.Cut(kind, "/")
	if err == nil && (slices.Contains([]string{"image", "audio", "video"}, major) || kind == "text/plain" || kind == "application/pdf") {
		return kind
	}
	return "application/octet-stream"
}

// OriginOf returns the origin with which the client reached the sandbox, as far as
// the request shows it.
func OriginOf(r *http.Request) string {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
