package holdfast

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// maxModelBytes bounds what ScopeModel reads of a body.
const maxModelBytes = 64 << 10

// ScopeModel is a Config.Scope for APIs of models: the member "model" of a JSON object, if
// it is within the first 64 KiB of the body. The body must be in memory, or the request
// have GetBody.
func ScopeModel(req *http.Request) string {
	if req.GetBody == nil {
		return ""
	}
	body, err := req.GetBody()
	if err != nil {
		return ""
	}
	defer body.Close()
	in := json.NewDecoder(io.LimitReader(body, maxModelBytes))
	if first, err := in.Token(); err != nil || first != json.Delim('{') {
		return ""
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return ""
		}
		if name == "model" {
			model, _ := in.Token()
			text, _ := model.(string)
			return text
		}
		if skipValue(in) != nil {
			return ""
		}
	}
	return ""
}

// skipValue reads a value without keeping it.
func skipValue(in *json.Decoder) error {
	for depth := 0; ; {
		t, err := in.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// ScopePath is a Config.Scope for a service with independent endpoints: the method and the
// path, where an asterisk stands for a segment that looks like an id.
func ScopePath(req *http.Request) string {
	segments := strings.Split(req.URL.Path, "/")
	for i, segment := range segments {
		if isID(segment) {
			segments[i] = "*"
		}
	}
	return req.Method + " " + strings.Join(segments, "/")
}

// ScopeHeader returns a Config.Scope for calls with several keys: the value of a header, as
// a hash, since it may be a credential. A header that Authorize sets is not there yet.
func ScopeHeader(name string) func(*http.Request) string {
	name = http.CanonicalHeaderKey(name)
	return func(req *http.Request) string {
		values := req.Header[name]
		if len(values) == 0 {
			return ""
		}
		sum := sha256.Sum256([]byte(strings.Join(values, "\n")))
		return strings.ToLower(name) + ":" + hex.EncodeToString(sum[:6])
	}
}
