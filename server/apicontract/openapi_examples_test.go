package apicontract

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// Each body, answer and required parameter has an example, and each example fits its schema. Tools
// that send every request, such as Dredd, refuse a required parameter without one.
func TestOpenAPIExamplesFit(t *testing.T) {
	t.Parallel()
	d := readDescription(t, servertest.Start(t, nil))
	root := d.raw.(map[string]any)
	examples := root["components"].(map[string]any)["examples"].(map[string]any)
	used := map[string]bool{}
	var visit func(value any, path string)
	visit = func(value any, path string) {
		list, _ := value.([]any)
		for i, child := range list {
			visit(child, fmt.Sprint(path, "/", i))
		}
		object, _ := value.(map[string]any)
		for name, child := range object {
			visit(child, path+"/"+escapePointer(name))
		}
		if object["in"] != nil && object["required"] == true {
			d.validate(t, path+"/schema", object["example"])
		}
		content, ok := object["content"].(map[string]any)
		if !ok {
			return
		}
		for media, one := range content {
			named, _ := one.(map[string]any)["examples"].(map[string]any)
			if len(named) == 0 {
				t.Errorf("%s as %s has no example", path, media)
			}
			for _, ref := range named {
				name := strings.TrimPrefix(ref.(map[string]any)["$ref"].(string), "#/components/examples/")
				used[name] = true
				d.validate(t, path+"/content/"+escapePointer(media)+"/schema", examples[name].(map[string]any)["value"])
			}
		}
	}
	visit(root["paths"], "/paths")
	visit(root["components"].(map[string]any)["responses"], "/components/responses")
	if len(used) != len(examples) || len(used) < 10 {
		t.Errorf("%d of %d examples are used", len(used), len(examples))
	}
}

// Tools find the server from where they have read the description, with any prefix that
// a proxy adds; if PUBLIC_URL is set, it counts.
func TestOpenAPINamesItsServer(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{"": "https://proxy.example.org/chat/", "https://api.example.org/x": "https://api.example.org/x"} {
		r := servertest.Start(t, map[string]string{"PUBLIC_URL": setting})
		var got struct {
			Servers []struct{ URL string }
			Tags    []struct{ Name, Description string }
			Paths   map[string]map[string]struct{ Tags []string }
		}
		reply := r.Request(t, "GET", "/openapi.json", "")
		if err := json.Unmarshal([]byte(reply.Body), &got); err != nil || len(got.Servers) != 1 {
			t.Fatalf("%v: %+v", err, got.Servers)
		}
		at, err := url.Parse("https://proxy.example.org/chat/openapi.json")
		if err != nil {
			t.Fatal(err)
		}
		if resolved, err := at.Parse(got.Servers[0].URL); err != nil || resolved.String() != want {
			t.Errorf("PUBLIC_URL=%s: the server is %s, want %s", setting, resolved, want)
		}
		described := map[string]bool{}
		for _, tag := range got.Tags {
			described[tag.Name] = tag.Description != ""
		}
		for path, operations := range got.Paths {
			for method, operation := range operations {
				if len(operation.Tags) != 1 || !described[operation.Tags[0]] {
					t.Errorf("%s %s: tags %v", method, path, operation.Tags)
				}
			}
		}
	}
}
