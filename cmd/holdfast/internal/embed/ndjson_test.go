package embed

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNDJSONIsExact(t *testing.T) {
	s := &source{ndjson: true}
	for _, tt := range []struct{ line, id, text, says string }{
		{`{"id":7,"text":"rye"}`, "7", "rye", ""},
		{` { "te\u0078t" : "rye" , "i\u0064" : "a" } `, `"a"`, "rye", ""}, // the same keys, escaped
		{`{"text":"rye","Text":"oat","ID":[1],"id":null,"TEXT":7}`, "", "rye", ""},
		{`{"Text":"rye"}`, "", "", `line 3: has the key "Text": must be "text"`},
		{`{"text ":"rye"}`, "", "", `line 3: has no text: must be a string or {"id": …, "text": …}`},
		{`{"ID":7,"text":"rye"}`, "", "", `line 3: has the key "ID": must be "id"`},
		{`{"text":"rye","text":"oat"}`, "", "", `line 3: has the key "text" twice`},
		{`{"text":"rye","text":null}`, "", "", `has the key "text" twice`},
		{`{"id":1,"text":"rye","id":1}`, "", "", `line 3: has the key "id" twice`},
		{`{"text":null}`, "", "", "has no text"},
		{`{"text":"rye"`, "", "", "is not JSON"},
		{`{"text":"rye"} {}`, "", "", "is not JSON"},
		{`{"text":{"text":"rye"}}`, "", "", "has no text"},
		{`"\ud83c\udf5e \\ud800 \u00e9"`, "", "🍞 \\ud800 é", ""},
		{`"rye \ud800"`, "", "", `line 3, column 6: \ud800 is half of a surrogate pair: must be a character`},
		{`{"id": 1, "text": "\\\ud800\ud83c\udf5e"}`, "", "", `line 3, column 22: \ud800 is half`},
		{`{"text": "\udf5e\ud83c"}`, "", "", `line 3, column 11: \udf5e is half`},
		{`  "\uDBFF"`, "", "", `line 3, column 4: \uDBFF is half`},
		{`{"text": "rye", "id": "\uDBFF"}`, "", "", `line 3, column 24: \uDBFF is half`},
		{`{"text": "rye", "note": "\uDBFF"}`, "", "rye", ""}, // is not sent
		{`{"text": "a", "id": true}`, "", "", "its id: must be a string or a number"},
	} {
		got, err := s.parse([]byte(tt.line))
		if err := lineErrorf(err, "line %d", 3); (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v; want %q", tt.line, err, tt.says)
		}
		if err == nil && (got.text != tt.text || string(got.id) != tt.id) {
			t.Errorf("%s: text %q, id %s; want %q, %s", tt.line, got.text, got.id, tt.text, tt.id)
		}
	}
}

// Each line is a text or an error, and a text is in the line as it is: written as JSON and
// read again it is the same, and encoding/json agrees.
func FuzzNDJSON(f *testing.F) {
	for _, line := range []string{
		`"rye"`, `{"id": 7, "text": "rye"}`, `{"Text":1}`, `"\ud800"`, `{"text":"\\ud800","id":"\ud83c\udf5e"}`, `{"text":"a","text":"b"}`, "\xff", `[]`, " ",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		s := &source{ndjson: true}
		before := string(line)
		got, err := s.parse(line)
		if string(line) != before {
			t.Fatalf("%q: the line was changed", before)
		}
		if err != nil {
			if text := lineErrorf(err, "line %d", 1).Error(); strings.ContainsAny(text, "\n\r\x1b") || !utf8.ValidString(text) || len(text) > 200 {
				t.Errorf("%q: error %q", line, text)
			}
			return
		}
		if !utf8.ValidString(got.text) || strings.TrimSpace(got.text) == "" || strings.Contains(got.text, "\ufffd") && !strings.Contains(before, "\ufffd") && !strings.Contains(strings.ToLower(before), `\ufffd`) {
			t.Errorf("%q: text %q", line, got.text)
		}
		written, err := json.Marshal(map[string]any{"id": got.id, "text": got.text})
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		again, err := s.parse(written)
		if err != nil || again.text != got.text {
			t.Errorf("%q became %s, which became %q, %v", line, written, again.text, err)
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(line, &object) == nil {
			var text string
			if json.Unmarshal(object["text"], &text) != nil || text != got.text {
				t.Errorf("%q: text %q; want %q", line, got.text, text)
			}
		}
	})
}
