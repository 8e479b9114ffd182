// Package openapi owns the description of the REST API, openapi.json in the form of
// OpenAPI 3.1, and a page that shows it in a browser. html/template renders the page
// from the description at the start of the program. The page has no script, so it needs
// no assets and no exceptions in its policy.
//
// It knows neither the routes nor the payloads: tests of the whole program compare the
// description with both. Start reading at [New].
package openapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed openapi.json
var document []byte

//go:embed page.html
var pageHTML string

// policy allows the page its own style and nothing else.
const policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Description is the description and its page, ready to be served.
type Description struct {
	document []byte
	page     []byte // at a path without a slash at its end
	pageIn   []byte // at a path with one, against which a browser resolves URLs
}

// relativeServer is the server in the embedded description: the folder in which the
// client found it. It is right behind every proxy, also with a path prefix.
const relativeServer = `"url": "."`

// New returns the description of a server. publicURL is the URL at which clients reach
// it, without a slash at its end, or "" if it is unknown.
func New(publicURL string) *Description {
	served := document
	if publicURL != "" {
		quoted, _ := json.Marshal(publicURL) // a string always encodes
		served = bytes.Replace(document, []byte(relativeServer), append([]byte(`"url": `), quoted...), 1)
	}
	return &Description{document: served, page: render("openapi.json"), pageIn: render("../openapi.json")}
}

// Document serves the description.
func (d *Description) Document(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.document))
}

// Page serves the description as a page.
func (d *Description) Page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Cache-Control", "no-cache")
	page := d.page
	if strings.HasSuffix(r.URL.Path, "/") {
		page = d.pageIn
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page))
}

// schema is the part of a JSON schema that the page shows.
type schema struct {
	Ref         string             `json:"$ref"`
	Type        any                `json:"type"` // a name, or several
	Description string             `json:"description"`
	Properties  map[string]*schema `json:"properties"`
	Required    []string           `json:"required"`
	Items       *schema            `json:"items"`
	OneOf       []*schema          `json:"oneOf"`
	Enum        []string           `json:"enum"`
	Const       any                `json:"const"`
}

// Name returns the schema's type in a few words.
func (s *schema) Name() string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case len(s.OneOf) > 0:
		var names []string
		for _, one := range s.OneOf {
			names = append(names, one.Name())
		}
		return strings.Join(names, " or ")
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, " | ")
	case s.Items != nil:
		return "list of " + s.Items.Name()
	case s.Const != nil:
		return "constant"
	}
	if several, ok := s.Type.([]any); ok {
		var names []string
		for _, one := range several {
			names = append(names, one.(string))
		}
		return strings.Join(names, " or ")
	}
	name, _ := s.Type.(string)
	return name
}

// Link returns the name of the schema that this one refers to, or "".
func (s *schema) Link() string {
	for s != nil {
		switch {
		case s.Ref != "":
			return s.Name()
		case s.Items != nil:
			s = s.Items
		case len(s.OneOf) > 0:
			s = s.OneOf[0]
		default:
			return ""
		}
	}
	return ""
}

// Needs reports whether a property is required.
func (s *schema) Needs(property string) bool { return slices.Contains(s.Required, property) }

type content map[string]struct{ Schema *schema }

type operation struct {
	Method, Path string // filled in
	Summary      string
	Description  string
	Parameters   []struct {
		Name, In, Description string
	}
	RequestBody *struct{ Content content }
	Responses   map[string]struct {
		Ref         string `json:"$ref"`
		Description string
		Content     content
	}
	Security []map[string][]string
}

// render renders the page. source is the relative URL of the description. It panics if
// the description is not valid.
func render(source string) []byte {
	var api struct {
		Info       struct{ Title, Description string }
		Paths      map[string]map[string]*operation
		Components struct{ Schemas map[string]*schema }
	}
	if err := json.Unmarshal(document, &api); err != nil {
		panic(err)
	}
	var operations []*operation
	for _, path := range slices.Sorted(maps.Keys(api.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(api.Paths[path])) {
			o := api.Paths[path][method]
			o.Method, o.Path = strings.ToUpper(method), path
			operations = append(operations, o)
		}
	}
	var out bytes.Buffer
	err := template.Must(template.New("page").Parse(pageHTML)).Execute(&out, map[string]any{
		"Info": api.Info, "Source": source, "Operations": operations, "Schemas": api.Components.Schemas,
	})
	if err != nil {
		panic(err)
	}
	return out.Bytes()
}
