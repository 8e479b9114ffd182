package resolvers

import (
	"bytes"
	"cmp"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/transport"
)

var (
	errNotAForm  = &apierror.Error{Code: apierror.BadUserInput, Message: "The body must be a JSON object or a form"}
	errTwoTokens = &apierror.Error{Code: apierror.BadUserInput, Message: "token occurs more than once, with different values"}
)

// read reads ConnectyCube's question: a token, or an email and a password. A GET has
// the token in the query string. A POST has it there, too, or in its body, which may be
// JSON or a form, whatever the content type says: a dashboard lets a person configure
// one without the other. A token may also be the bearer token of the header
// Authorization.
//
// Every client may ask about a token, because the token itself is the proof. Only a
// client with the callback secret may ask about a password, because a password can be
// guessed.
func (a *verifyAPI) read(r *http.Request) (identity.CallbackRequest, error) {
	p, err := readCallbackRequest(r)
	if err == nil && p.Token == "" {
		err = a.secret.check(r.Header)
	}
	return p, err
}

// readCallbackRequest reads the token, or the email and the password. It uses the bearer
// token if there is no other token.
func readCallbackRequest(r *http.Request) (identity.CallbackRequest, error) {
	bearer, _ := transport.BearerToken(r.Context())                             // with a malformed header, the token may be elsewhere
	inURL, err := callbackFromForm(url.Values{"token": r.URL.Query()["token"]}) // a URL must not contain a password
	if err != nil {
		return identity.CallbackRequest{}, err
	}
	var p identity.CallbackRequest
	wanted := "token"
	if r.Method == http.MethodPost {
		wanted = "token, or email and password,"
		if p, err = readCallbackBody(r); err != nil {
			return identity.CallbackRequest{}, err
		}
	}
	// ConnectyCube does not document the value of a part that a login does not have; see
	// docs/connectycube.md, Identity provider.
	dropPlaceholders(&p.Token, &p.Email, &p.Password, &inURL.Token, &bearer)
	if p.Token != "" && inURL.Token != "" && p.Token != inURL.Token {
		return identity.CallbackRequest{}, errTwoTokens
	}
	p.Token = cmp.Or(p.Token, inURL.Token, bearer)
	if p == (identity.CallbackRequest{}) {
		return identity.CallbackRequest{}, &apierror.Error{Code: apierror.BadUserInput, Message: wanted + " is required"}
	}
	return p, nil
}

// dropPlaceholders empties parts such as #{login}, which ConnectyCube did not replace.
func dropPlaceholders(parts ...*string) {
	for _, part := range parts {
		if strings.HasPrefix(*part, "#{") && strings.HasSuffix(*part, "}") {
			*part = ""
		}
	}
}

// readCallbackBody reads the body of a POST. Its first bytes tell its form.
func readCallbackBody(r *http.Request) (identity.CallbackRequest, error) {
	raw, err := transport.ReadBody(r)
	if err != nil {
		return identity.CallbackRequest{}, err
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\ufeff")))
	switch {
	case bytes.HasPrefix(text, []byte("{")):
		var p identity.CallbackRequest
		err := transport.DecodeObject(raw, &p)
		return p, err
	case bytes.HasPrefix(text, []byte("--")):
		return callbackFromParts(text)
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		return identity.CallbackRequest{}, errNotAForm
	}
	return callbackFromForm(form)
}

// callbackFromParts reads a form whose fields are parts (RFC 7578). Its first line is the
// boundary.
func callbackFromParts(body []byte) (identity.CallbackRequest, error) {
	boundary, _, _ := bytes.Cut(body, []byte("\n"))
	name := strings.TrimSpace(strings.TrimPrefix(string(boundary), "--"))
	if name == "" {
		return identity.CallbackRequest{}, errNotAForm
	}
	form, err := multipart.NewReader(bytes.NewReader(body), name).ReadForm(transport.MaxBody)
	if err != nil {
		return identity.CallbackRequest{}, errNotAForm
	}
	defer form.RemoveAll() // the body is too small for files
	return callbackFromForm(form.Value)
}

func callbackFromForm(values url.Values) (identity.CallbackRequest, error) {
	for _, name := range []string{"token", "email", "password"} {
		if len(values[name]) > 1 {
			return identity.CallbackRequest{}, &apierror.Error{Code: apierror.BadUserInput, Message: name + " occurs more than once"}
		}
	}
	return identity.CallbackRequest{Token: values.Get("token"), Email: values.Get("email"), Password: values.Get("password")}, nil
}
