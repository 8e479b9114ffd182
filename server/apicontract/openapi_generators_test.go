package apicontract

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// Generators of other makers turn each schema into a type of their language. Without a format,
// those for Java, Kotlin and C# take an integer for 32 bits, and an ID at ConnectyCube can have
// more. From const, ogen makes Go that does not compile, and oapi-codegen a field of any type.
func TestGeneratorsFindATypeForEveryValue(t *testing.T) {
	t.Parallel()
	d := readDescription(t, servertest.Start(t, nil))
	integers := 0
	walkSchemas("", d.raw, func(place string, schema map[string]any) {
		types, _ := schema["type"].([]any)
		if kind, ok := schema["type"].(string); ok {
			types = []any{kind}
		}
		if len(types) == 0 && schema["$ref"] == nil && schema["oneOf"] == nil {
			t.Errorf("%s: no type", place)
		}
		if schema["const"] != nil {
			t.Errorf("%s: const; an enum with one value says the same", place)
		}
		if !slices.Contains(types, any("integer")) {
			return
		}
		integers++
		want := "int32"
		if strings.HasSuffix(strings.ToLower(place), "userid") {
			want = "int64"
		}
		if schema["format"] != want {
			t.Errorf("%s: the format of the integer is %v, want %s", place, schema["format"], want)
		}
	})
	if integers < 8 {
		t.Errorf("%d integers, want at least 8", integers)
	}
}

// orval makes TypeScript that does not compile from a status such as 4XX.
func TestGeneratorsFindOneStatusForEachResponse(t *testing.T) {
	t.Parallel()
	d := readDescription(t, servertest.Start(t, nil))
	statuses := 0
	for path, operations := range d.Paths {
		for method, operation := range operations {
			for status := range operation.Responses {
				statuses++
				if _, err := strconv.Atoi(status); err != nil && status != "default" {
					t.Errorf("%s %s: status %q", method, path, status)
				}
			}
		}
	}
	if statuses < 50 {
		t.Errorf("%d statuses, want at least 50", statuses)
	}
}

// walkSchemas calls do with the place and the content of each schema of a description.
func walkSchemas(place string, value any, do func(place string, schema map[string]any)) {
	switch value := value.(type) {
	case []any:
		for _, each := range value {
			walkSchemas(place+"/-", each, do)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			inner := place + "/" + key
			members, isObject := value[key].(map[string]any)
			switch {
			case isObject && (key == "schema" || key == "items"):
				do(inner, members)
			case isObject && (key == "properties" || key == "schemas"):
				for _, name := range slices.Sorted(maps.Keys(members)) {
					if schema, ok := members[name].(map[string]any); ok {
						do(inner+"/"+name, schema)
					}
				}
			}
			walkSchemas(inner, value[key], do)
		}
	}
}
