// Package openapi is the description of the REST API, openapi.json in the form
// of OpenAPI 3.1, and a page to read it in a browser. The page is made of the
// description when the program starts, by html/template and without any
// script, so it can say nothing else and needs no assets and no exceptions in
// its policy.
//
// Tests of the whole program compare the description with the routes and with
// real answers.
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

// policy lets the page show itself in its own style and do nothing else.
const policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Document answers with the description.
func Document(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document))
}

// Page answers with the description for people.
func Page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page))
}

// page is made once: what it is made of is embedded.
var page = render()

// schema is as much of a JSON schema as the page shows.
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

// Name is the schema's type in a few words.
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

// Link is the name of the schema that this one refers to, if it does.
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

// Needs reports whether a property must be there.
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

// render makes the page. It panics when the description cannot be read, which
// the first test of this package would show as well.
func render() []byte {
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
		"Info": api.Info, "Operations": operations, "Schemas": api.Components.Schemas,
	})
	if err != nil {
		panic(err)
	}
	return out.Bytes()
}
