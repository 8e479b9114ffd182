package rest

import (
	"cmp"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cubegate/connectycube/sandbox/core"
)

const maxBlobName = 100 // characters (https://developers.connectycube.com/server/storage)

// accessJSON is a link to the bucket in an answer.
type accessJSON struct {
	ID          int64  `json:"id,omitempty"`
	BlobID      int64  `json:"blob_id,omitempty"`
	Expires     string `json:"expires,omitempty"`
	Type        string `json:"object_access_type,omitempty"`
	Params      string `json:"params,omitempty"`       // to upload: the form's URL, its fields in the query
	DownloadURL string `json:"download_url,omitempty"` // to download
}

// blobJSON is a file in an answer, in the documented order.
type blobJSON struct {
	ID          int64       `json:"id"`
	UID         string      `json:"uid"`
	ContentType string      `json:"content_type"`
	Name        string      `json:"name"`
	Size        *int64      `json:"size"`
	CreatedAt   string      `json:"created_at"`
	UpdatedAt   string      `json:"updated_at"`
	Status      *string     `json:"blob_status"`
	CompletedAt *string     `json:"set_completed_at"`
	Public      bool        `json:"public"`
	Access      *accessJSON `json:"blob_object_access,omitempty"`
}

func blobBody(b *core.Blob) blobJSON {
	out := blobJSON{
		ID:          b.ID,
		UID:         b.UID,
		ContentType: b.ContentType,
		Name:        b.Name,
		CreatedAt:   b.Created.UTC().Format(seconds),
		UpdatedAt:   b.Updated.UTC().Format(seconds),
		Public:      b.Public,
	}
	if b.IsComplete() {
		out.Size = &b.Size
		out.Status, out.CompletedAt = core.OrNull("complete"), core.OrNull(b.Completed.UTC().Format(seconds))
	}
	return out
}

func blobReply(status int, b blobJSON) reply {
	return reply{status: status, body: map[string]blobJSON{"blob": b}}
}

// setBlob sets the fields of a request in b, or returns what is wrong with them.
func setBlob(b *core.Blob, fields core.Params) error {
	var wrong []string
	if fields.Has("name") {
		b.Name = fields.Text("name")
	}
	if fields.Has("content_type") {
		b.ContentType = fields.Text("content_type")
	}
	if n := utf8.RuneCountInString(b.Name); n < 1 || n > maxBlobName {
		wrong = append(wrong, "name must have 1 to 100 characters")
	}
	if _, _, err := mime.ParseMediaType(b.ContentType); err != nil || len(b.ContentType) > 255 {
		wrong = append(wrong, "content_type is not a MIME type")
	}
	if len(wrong) > 0 {
		return core.AsBase(422, wrong...)
	}
	return nil
}

func createBlob(s *API, q *request, live *core.Session) (reply, error) {
	fields := q.params.Object("blob")
	b := core.Blob{
		UID:     core.RandomHex(17), // 34 digits, as in the documentation
		Owner:   live.User.ID,
		Public:  fields.Flag("public"),
		Created: q.now,
		Updated: q.now,
	}
	if err := setBlob(&b, fields); err != nil {
		return reply{}, err
	}
	b.ID = s.Bucket.Add(b)
	out := blobBody(&b)
	out.Access = uploadAccess(s.Bucket, q.origin, &b, q.now)
	return blobReply(http.StatusCreated, out), nil
}

// listBlobs returns the caller's own files, in pages like those of the first API.
func listBlobs(s *API, q *request, live *core.Session) (reply, error) {
	return wrappedPage(q.params, "blob", s.Bucket.OwnedBy(live.User.ID), func(b core.Blob) blobJSON { return blobBody(&b) })
}

// getBlob describes a file: by its ID to its owner, and to all if it is public; by
// its UID to any session. The SDKs' public and private links have the same form, with
// the UID and without .json, and lead to the content.
func getBlob(s *API, q *request) (reply, error) {
	if _, err := strconv.ParseInt(q.arg, 10, 64); err == nil || q.suffixed {
		return withSession(blobInfo)(s, q)
	}
	return downloadBlob(s, q)
}

func blobInfo(s *API, q *request, live *core.Session) (reply, error) {
	b, known := s.Bucket.Find(q.arg)
	switch {
	case !known:
		return reply{}, core.ErrNoResource
	case !b.Public && q.arg != b.UID && (live.User == nil || live.User.ID != b.Owner):
		return reply{}, core.ErrForbidden
	}
	return blobReply(http.StatusOK, blobBody(&b)), nil
}

// blobObject describes a file by its UID, with a download link on request.
func blobObject(s *API, q *request, _ *core.Session) (reply, error) {
	b, known := s.Bucket.Find(q.arg)
	if !known || q.arg != b.UID {
		return reply{}, core.ErrNoResource
	}
	out := blobBody(&b)
	if q.params.Flag("download_url") {
		out.Access = &accessJSON{DownloadURL: downloadURL(s.Bucket, q.origin, &b, q.now)}
	}
	return blobReply(http.StatusOK, out), nil
}

// downloadBlob redirects to the content. A public file needs no session, another
// file any session, because official samples show the attachments of other users so.
// A link in a page has the token in its query. Only a file that was declared complete
// has a download (https://developers.connectycube.com/server/storage).
func downloadBlob(s *API, q *request) (reply, error) {
	b, known := s.Bucket.Find(q.arg)
	known = known && q.arg == b.UID
	answer := reply{status: http.StatusMovedPermanently}
	if !known || !b.Public {
		s.Lock()
		defer s.Unlock()
		live, err := s.Registry.Use(cmp.Or(q.token, q.params.Text("token")), q.now)
		if err != nil {
			return reply{}, err
		}
		answer.expires = live.Expires()
	}
	if !known || !b.IsComplete() {
		return reply{}, core.ErrNoResource
	}
	answer.body = redirect(downloadURL(s.Bucket, q.origin, &b, q.now))
	return answer, nil
}

// redirect is the target URL of an answer without a body.
type redirect string

func (to redirect) write(w http.ResponseWriter, status int) {
	w.Header().Set("Location", string(to))
	w.Header().Set("Cache-Control", "no-store") // the URL expires
	w.WriteHeader(status)
}

// completeBlob declares a file uploaded. It does not check the upload: the service
// would have to ask its bucket.
func completeBlob(s *API, q *request, live *core.Session) (reply, error) {
	fields := q.params // the SDK's form; the documented form wraps them
	if wrapped := q.params.Object("blob"); wrapped != nil {
		fields = wrapped
	}
	size, ok := fields.Integer("size")
	if !ok || size < 0 {
		return reply{}, core.AsBase(422, "size must be a number of bytes")
	}
	_, err := s.Bucket.Change(q.arg, live.User.ID, func(b *core.Blob) error {
		b.Size, b.Completed, b.Updated = size, q.now, q.now
		return nil
	})
	return reply{status: http.StatusOK}, err
}

// updateBlob changes name and type; new allows another upload of the content.
func updateBlob(s *API, q *request, live *core.Session) (reply, error) {
	fields := q.params.Object("blob")
	b, err := s.Bucket.Change(q.arg, live.User.ID, func(b *core.Blob) error {
		changed := *b
		if err := setBlob(&changed, fields); err != nil {
			return err
		}
		changed.Updated = q.now
		*b = changed
		return nil
	})
	if err != nil {
		return reply{}, err
	}
	out := blobBody(&b)
	if fields.Flag("new") {
		out.Access = uploadAccess(s.Bucket, q.origin, &b, q.now)
	}
	return blobReply(http.StatusOK, out), nil
}

func deleteBlob(s *API, q *request, live *core.Session) (reply, error) {
	return reply{status: http.StatusOK}, s.Bucket.Remove(q.arg, live.User.ID)
}

// Lifetimes of links, from the samples in https://developers.connectycube.com/server/storage.
const (
	uploadLife   = time.Hour
	downloadLife = 7 * 24 * time.Hour
)

// uploadAccess returns the form for an upload. Its field names are those that the
// SDKs send back, without those that only Amazon needs.
func uploadAccess(b *core.Bucket, origin string, file *core.Blob, now time.Time) *accessJSON {
	end := now.Add(uploadLife).UTC()
	expires := end.Format(http.TimeFormat)
	acl := "authenticated-read"
	if file.Public {
		acl = "public-read"
	}
	fields := url.Values{
		"Content-Type":          {file.ContentType},
		"Expires":               {expires},
		"acl":                   {acl},
		"key":                   {file.UID},
		"success_action_status": {"201"},
		"x-amz-signature":       {b.Sign(core.Link{Verb: http.MethodPost, UID: file.UID, Expires: expires})},
	}
	return &accessJSON{
		ID:      file.ID,
		BlobID:  file.ID,
		Expires: end.Format(seconds),
		Type:    "Write",
		// SDKs decode the query with decodeURIComponent, which does not decode a plus.
		Params: origin + bucketPath + "?" + strings.ReplaceAll(fields.Encode(), "+", "%20"),
	}
}

// downloadURL returns a link to the content. The link to a public file never expires.
func downloadURL(b *core.Bucket, origin string, file *core.Blob, now time.Time) string {
	link := origin + bucketPath + "/" + file.UID
	if file.Public {
		return link
	}
	expires := strconv.FormatInt(now.Add(downloadLife).Unix(), 10)
	return link + "?Expires=" + expires + "&Signature=" + b.Sign(core.Link{Verb: http.MethodGet, UID: file.UID, Expires: expires})
}
