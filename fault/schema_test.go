package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write plan.schema.json anew")

const schemaFile = "plan.schema.json"

// TestSchemaIsTheDecoders: the schema is made of the decoder's types, tags and
// words and of the fields' comments. After a change:
//
//	go test ./fault -run TestSchemaIsTheDecoders -update
func TestSchemaIsTheDecoders(t *testing.T) {
	want, err := makeSchema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(Schema(), want) {
		t.Error("the schema differs from the decoder: go test ./fault -run TestSchemaIsTheDecoders -update")
	}
}

type object = map[string]any

func makeSchema() ([]byte, error) {
	comments, err := fieldComments()
	if err != nil {
		return nil, err
	}
	m := schemaMaker{defs: object{"duration": object{
		"type":        "string",
		"pattern":     `^[+-]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`,
		"description": "A duration as 250ms, 2s or 1m30s.",
	}}, comments: comments}
	root := m.of(reflect.TypeFor[Plan](), "")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = "https://github.com/holdfast-go/holdfast/fault/plan.schema.json"
	root["title"] = "A plan of faults, version 1"
	root["$defs"] = m.defs
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err = e.Encode(root)
	return b.Bytes(), err
}

type schemaMaker struct {
	defs     object
	comments map[string]string
}

// of returns the schema of a type as the decoder reads it.
func (m *schemaMaker) of(t reflect.Type, tag reflect.StructTag) object {
	if words, ok := vocabulary[t]; ok {
		return object{"type": "string", "enum": words}
	}
	switch {
	case t == durationType:
		return object{"$ref": "#/$defs/duration"}
	case t.Kind() == reflect.Pointer:
		return m.of(t.Elem(), "")
	case t.Kind() == reflect.Struct:
		if _, ok := m.defs[t.Name()]; !ok {
			properties := object{}
			m.defs[t.Name()] = object{"type": "object", "additionalProperties": false, "properties": properties}
			for i := range t.NumField() {
				f := t.Field(i)
				s := m.of(f.Type, f.Tag)
				if about := m.comments[t.Name()+"."+f.Name]; about != "" {
					s["description"] = about
				}
				properties[f.Tag.Get("json")] = s
			}
		}
		return object{"$ref": "#/$defs/" + t.Name()}
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": m.of(t.Elem(), "")}
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": object{"type": "string"}}
	case t.Kind() == reflect.String:
		return object{"type": "string"}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() == reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case t.Kind() == reflect.Int:
		return object{"type": "integer"}
	case tag.Get("zero") == "refused":
		return object{"type": "number", "exclusiveMinimum": 0, "maximum": 1}
	default:
		return object{"type": "number"}
	}
}

// fieldComments returns the comments of all fields, by "Type.Field".
func fieldComments() (map[string]string, error) {
	comments := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for node := range ast.Preorder(file) {
			spec, ok := node.(*ast.TypeSpec)
			if !ok {
				continue
			}
			fields, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range fields.Fields.List {
				text := f.Doc.Text() + f.Comment.Text()
				for _, n := range f.Names {
					comments[spec.Name.Name+"."+n.Name] = strings.Join(strings.Fields(text), " ")
				}
			}
		}
	}
	return comments, nil
}

// judge checks a value by a schema of the kind that makeSchema makes.
func judge(defs, schema object, v any, path string) error {
	if ref, ok := schema["$ref"].(string); ok {
		return judge(defs, defs[strings.TrimPrefix(ref, "#/$defs/")].(object), v, path)
	}
	bad := func(why string) error { return fmt.Errorf("%s: %v %s", path, v, why) }
	switch kind := schema["type"]; v := v.(type) {
	case map[string]any:
		if kind != "object" {
			return bad("is an object")
		}
		properties, _ := schema["properties"].(object)
		for key, item := range v {
			s, known := properties[key].(object)
			if !known {
				if s, known = schema["additionalProperties"].(object); !known {
					return bad("has the unknown key " + key)
				}
			}
			if err := judge(defs, s, item, path+"."+key); err != nil {
				return err
			}
		}
	case []any:
		if kind != "array" {
			return bad("is a list")
		}
		for i, item := range v {
			if err := judge(defs, schema["items"].(object), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case string:
		if words, ok := schema["enum"].([]any); kind != "string" || ok && !slices.Contains(words, any(v)) {
			return bad("is a string, or another word")
		}
		if pattern, ok := schema["pattern"].(string); ok && !compiled(pattern).MatchString(v) {
			return bad("is not like " + pattern)
		}
	case json.Number:
		f, err := v.Float64()
		whole := !strings.ContainsAny(string(v), ".eE")
		_, above := schema["exclusiveMinimum"]
		_, least := schema["minimum"]
		switch {
		case err != nil || kind != "number" && (kind != "integer" || !whole):
			return bad("is a number, or no whole one")
		case above && f <= 0, least && f < 0:
			return bad("is too small")
		}
	case bool:
		if kind != "boolean" {
			return bad("is a bool")
		}
	default:
		return bad("is nothing")
	}
	return nil
}

var patterns = map[string]*regexp.Regexp{}

func compiled(pattern string) *regexp.Regexp {
	if patterns[pattern] == nil {
		patterns[pattern] = regexp.MustCompile(pattern)
	}
	return patterns[pattern]
}

func readJSON(t *testing.T, data []byte) object {
	t.Helper()
	var o object
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

// wide returns a plan with every field of the format.
func wide(t testing.TB) []byte {
	t.Helper()
	plan := everythingPlan()
	plan.Pace[1].Latency.Uniform.Min = 1 * ms
	plan.Pace[0].Repeat = Repeat{Every: 2 * s, For: 1 * s}
	plan.Capacity = &Capacity{8, 64, 20 * ms, LoadLatency{1 * ms, 2 * ms}, AbandonedDropped}
	plan.As = OpenAI
	for _, f := range everyFault() {
		if f.API == APISecondaryRateLimit {
			continue // of GitHub only
		}
		plan.Rules = append(plan.Rules, Rule{Fault: f})
	}
	plan.Rules = append(plan.Rules,
		Rule{
			Match:  Match{Query: map[string]string{"a": "b"}, Shard: &Shard{Header: "A", Of: 3, Is: []int{1, 2}}},
			Repeat: Repeat{2 * s, 1 * s},
			Fault:  Fault{Gzip: GzipBomb, Size: 5, Latency: &Latency{Bimodal: &Bimodal{1 * ms, 1 * s, 0.5}}},
		},
		Rule{Match: Match{Shard: &Shard{Query: "a", Of: 3, Is: []int{1}}}, Fault: Fault{Drip: &Drip{Body, 5, 1 * ms}}},
		Rule{Fault: Fault{Stall: &Stall{5, Body, 1 * s}}},
		Rule{Fault: Fault{Stream: StreamErrorAfter, Events: 5, Error: ErrorServer}},
		Rule{Fault: Fault{Stream: StreamPings, Every: 1 * s}},
	)
	for _, f := range everyConnFault() {
		plan.Connections = append(plan.Connections, ConnRule{Fault: f})
	}
	plan.Connections = append(plan.Connections, ConnRule{"late", "1-2", Window{1 * s, 2 * s}, Repeat{2 * s, 1 * s}, 0.5, ConnFault{Hang: true}})
	data, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(data); err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSchemaAndDecoderAgree breaks the form of a plan in every place and in
// every way, and checks it with both.
func TestSchemaAndDecoderAgree(t *testing.T) {
	schema := readJSON(t, Schema())
	defs := schema["$defs"].(object)
	check := func(v any) error { return judge(defs, schema, v, "plan") }
	decode := func(v any) error {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(data)
		return err
	}
	data := wide(t)
	if err := check(readJSON(t, data)); err != nil {
		t.Fatalf("the schema rejects a plan that the decoder accepts: %v", err)
	}

	// Every name of the format must be in that plan.
	used := map[string]bool{}
	for _, name := range regexp.MustCompile(`"([a-z_0-9]+)":`).FindAllSubmatch(data, -1) {
		used[string(name[1])] = true
	}
	for _, def := range defs {
		properties, _ := def.(object)["properties"].(object)
		for name := range properties {
			if !used[name] {
				t.Errorf("no plan here has %s", name)
			}
		}
	}

	// Each part alone, so that the plan is small and the broken place is the
	// only one.
	parts := []object{}
	for name, all := range readJSON(t, data) {
		if list, ok := all.([]any); ok {
			for _, one := range list {
				parts = append(parts, object{name: []any{one}})
			}
			continue
		}
		parts = append(parts, object{name: all})
	}
	broken := 0
	for _, root := range parts {
		try := func(what string) {
			broken++
			one, other := check(root), decode(root)
			var e *Error
			if one == nil || !errors.As(other, &e) {
				t.Errorf("%s: the schema gives %v, the decoder %v", what, one, other)
			}
		}
		var spoil func(path string, v any, put func(any))
		spoil = func(path string, v any, put func(any)) {
			for _, bad := range []any{nil, true, json.Number("15"), "certainly not", []any{}, object{}} {
				if reflect.TypeOf(bad) == reflect.TypeOf(v) {
					continue
				}
				put(bad)
				try(fmt.Sprintf("%v at %s", bad, path))
			}
			if text, ok := v.(string); ok && isWord(text) {
				put("certainly not")
				try("no word at " + path)
			}
			put(v)
			switch v := v.(type) {
			case object:
				for _, key := range slices.Sorted(maps.Keys(v)) {
					spoil(path+"."+key, v[key], func(bad any) { v[key] = bad })
				}
				if strings.HasSuffix(path, ".header") || strings.HasSuffix(path, ".query") {
					return // any name is valid here
				}
				v["zzz"] = "1s"
				try("an unknown key in " + path)
				delete(v, "zzz")
			case []any:
				for i := range v {
					spoil(path+"[]", v[i], func(bad any) { v[i] = bad })
				}
			}
		}
		for key, v := range root {
			spoil(key, v, func(bad any) { root[key] = bad })
		}
	}
	if broken < 1000 {
		t.Errorf("only %d broken plans", broken)
	}
}

// isWord reports whether a text is a word of the vocabulary or a duration.
func isWord(text string) bool {
	for _, words := range vocabulary {
		if slices.Contains(words, text) {
			return true
		}
	}
	_, err := time.ParseDuration(text)
	return err == nil
}
