// Package load sends requests to a server, as a file describes them, and measures the
// answers. It knows no server: bench/peers has one file for each. Start reading at Spec.
package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Spec describes a server: how to start it or where it runs, and its requests by row of
// the table. In paths, headers and bodies, {{name}} stands for a value: {{url}} is that of
// the server, {{n}} a number that no other request of the run has, {{client}} the number of
// the client, 1 or more, and other names are those that an earlier request of the same
// client has taken.
type Spec struct {
	Name  string
	About string // one line: version, and how it gets here

	Start []string // the command line; {{port}} is a free port, {{folder}} a new folder, {{spec}} the folder of the file
	Env   []string // for Start, with the same placeholders
	Ready string   // path that answers below 500 once the server serves

	URL string // of a server that runs already, instead of Start
	PID int    // of that server; 0 = the process that listens on the port of URL

	Once     []Request          // before all other requests
	Client   []Request          // for each client, before its rows
	Rows     map[string]Request // what is measured
	Promises map[string]string  // what a row's answer promises, where servers differ
}

// Request is a request, and what its answer must be.
type Request struct {
	Method  string // default POST with a body, GET without one
	Path    string
	Headers map[string]string
	Body    json.RawMessage // any JSON; a string is sent without its quotes

	Status int    // wanted; 0 = any below 300
	Has    string // text that the answer must contain
	Lacks  string // text that it must not contain
	Repeat int    // in Once and Client: times to send it; 0 = once

	// Take names values of the answer for later requests: each comes from a member of the
	// JSON, such as data.login.token, or from a header, such as header:Set-Cookie.
	Take map[string]string
}

// Read reads a file. An unknown field is an error.
func Read(file string) (*Spec, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// Parse reads the JSON of a Spec and checks it.
func Parse(raw []byte) (*Spec, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var s Spec
	if err := decoder.Decode(&s); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is text after the JSON object")
	}
	return &s, s.check()
}

func (s *Spec) check() error {
	switch {
	case s.Name == "":
		return errors.New("name is required")
	case len(s.Start) > 0 && s.URL != "":
		return errors.New("start and url exclude each other")
	case len(s.Rows) == 0:
		return errors.New("rows is empty: give at least one request to measure")
	}
	if s.URL != "" {
		if err := checkURL(s.URL); err != nil {
			return err
		}
	}
	for name, r := range s.Rows {
		if r.Repeat != 0 {
			return fmt.Errorf("row %q: repeat is for once and client only", name)
		}
	}
	for _, r := range slices.Concat(s.Once, s.Client, slices.Collect(maps.Values(s.Rows))) {
		if err := r.check(); err != nil {
			return fmt.Errorf("request of %q: %w", r.Path, err)
		}
	}
	return nil
}

// maxRepeat bounds the requests of a preparation.
const maxRepeat = 1000

func (r Request) check() error {
	switch {
	case !strings.HasPrefix(r.Path, "/"):
		return errors.New("path must begin with /")
	case r.Repeat < 0 || r.Repeat > maxRepeat:
		return fmt.Errorf("repeat must be 0 to %d", maxRepeat)
	case r.Status != 0 && (r.Status < 100 || r.Status > 599):
		return errors.New("status must be 100 to 599")
	}
	for name, value := range r.Headers {
		if strings.ContainsAny(name+value, "\r\n") {
			return fmt.Errorf("header %q has a line break", name)
		}
	}
	return nil
}

// checkURL allows only loopback addresses, so that the load cannot be used against others.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "http" || u.Port() == "" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("url must be http:// with a loopback address and a port, such as http://127.0.0.1:8090")
	}
	return nil
}

// Port returns the port of URL.
func (s *Spec) Port() int {
	u, _ := url.Parse(s.URL) // checked
	port, _ := strconv.Atoi(u.Port())
	return port
}

var placeholder = regexp.MustCompile(`\{\{(\w+)\}\}`)

// fill replaces the placeholders of a text. An unknown one is an error.
func fill(text string, values map[string]string) (string, error) {
	var missing []string
	filled := placeholder.ReplaceAllStringFunc(text, func(found string) string {
		value, ok := values[found[2:len(found)-2]]
		if !ok {
			missing = append(missing, found)
		}
		return value
	})
	if missing != nil {
		return "", fmt.Errorf("no earlier request has taken %s", strings.Join(missing, ", "))
	}
	return filled, nil
}

// Fill replaces the placeholders of a command line or an environment.
func Fill(texts []string, values map[string]string) ([]string, error) {
	filled := make([]string, len(texts))
	for i, text := range texts {
		var err error
		if filled[i], err = fill(text, values); err != nil {
			return nil, err
		}
	}
	return filled, nil
}

// message returns the bytes of a request to a host.
func (r Request) message(host string, values map[string]string) ([]byte, error) {
	body := string(r.Body)
	if strings.HasPrefix(body, `"`) {
		if err := json.Unmarshal(r.Body, &body); err != nil {
			return nil, err
		}
	}
	body, err := fill(body, values)
	if err != nil {
		return nil, err
	}
	method := r.Method
	switch {
	case method == "" && body == "":
		method = http.MethodGet
	case method == "":
		method = http.MethodPost
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, r.Path, host)
	headers := map[string]string{}
	if body != "" {
		headers["Content-Type"] = "application/json"
	}
	maps.Copy(headers, r.Headers)
	for name, value := range headers {
		fmt.Fprintf(&head, "%s: %s\r\n", name, value)
	}
	filled, err := fill(head.String(), values)
	if err != nil {
		return nil, err
	}
	if body != "" || method != http.MethodGet {
		filled += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	return []byte(filled + "\r\n" + body), nil
}
