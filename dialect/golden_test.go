package dialect_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dialect"
)

var update = flag.Bool("update", false, "write docs/dialects.md")

var all = []dialect.Dialect{
	dialect.OpenAI, dialect.OpenAIGateway, dialect.Anthropic, dialect.Ollama, dialect.Bedrock, dialect.Gemini, dialect.GitHub, dialect.Standard,
}

// golden is one answer of a file in testdata, with its meaning.
type golden struct {
	title, source string
	method, path  string
	status        int
	header        http.Header
	body          string
	events        []holdfast.ServerEvent // of a stream
	ended         bool                   // the verdict is that on the end; otherwise on the last event

	want holdfast.Verdict
	call string // class and wait of a call, if they are not those of want
}

func (g *golden) isStream() bool { return len(g.events) > 0 }

// readGolden reads a file: an entry begins with "=== " and has lines of a name and a value.
func readGolden(t testing.TB, name string) (all []golden) {
	text, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	var g *golden
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if title, ok := strings.CutPrefix(line, "=== "); ok {
			all = append(all, golden{title: title, status: 200, header: http.Header{}})
			g = &all[len(all)-1]
			continue
		}
		if g == nil || line == "" {
			continue
		}
		key, value, _ := strings.Cut(line, ": ")
		if err := g.set(key, value); err != nil {
			t.Fatalf("testdata/%s.txt:%d: %v", name, n, err)
		}
	}
	return all
}

func (g *golden) set(key, value string) (err error) {
	media := "application/json"
	switch key {
	case "source":
		g.source = value
	case "request":
		g.method, g.path, _ = strings.Cut(value, " ")
	case "status":
		g.status, err = strconv.Atoi(value)
	case "header":
		name, value, _ := strings.Cut(value, ": ")
		g.header.Set(name, value)
	case "body":
		g.body = value
	case "event", "message":
		kind, data, _ := strings.Cut(value, " ")
		g.events = append(g.events, holdfast.ServerEvent{Type: kind, Data: []byte(data)})
		if media = "text/event-stream"; key == "message" {
			media = "application/vnd.amazon.eventstream"
		}
	case "line":
		g.events = append(g.events, holdfast.ServerEvent{Data: []byte(value)})
		media = "application/x-ndjson"
	case "ended":
		g.ended = true
	case "class":
		g.want.Class, err = classNamed(value)
	case "wait":
		g.want.RetryAfter, err = time.ParseDuration(value)
	case "text":
		g.want.Text = value
	case "more":
		g.want.More = true
	case "call":
		g.call = value
	default:
		err = fmt.Errorf("unknown name %q", key)
	}
	if g.header.Get("Content-Type") == "" && (g.body != "" || len(g.events) > 0) {
		g.header.Set("Content-Type", media)
	}
	return err
}

func classNamed(name string) (holdfast.Class, error) {
	for c := holdfast.ClassConnect; c <= holdfast.ClassCanceled; c++ {
		if c.String() == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("no class %q", name)
}

// answers are the calls of Classify for an answer, in their order.
func (g *golden) answers() (calls []holdfast.Answer) {
	a := holdfast.Answer{Method: g.method, Path: g.path, Status: g.status, Header: g.header}
	if !g.isStream() {
		a.Body, a.Whole = []byte(g.body), true
		return []holdfast.Answer{a}
	}
	a.Stream = true
	for i, e := range g.events {
		a.Event, a.Seen = e, i
		calls = append(calls, a)
	}
	if g.ended {
		a.Ended, a.Seen = true, len(g.events)
		calls = append(calls, a)
	}
	return calls
}

func TestGolden(t *testing.T) {
	for _, d := range all {
		entries := readGolden(t, d.Name)
		if len(entries) < 12 {
			t.Errorf("%s has %d answers only", d.Name, len(entries))
		}
		titles := map[string]bool{}
		for _, g := range entries {
			t.Run(d.Name+"/"+g.title, func(t *testing.T) {
				if titles[g.title] || !strings.HasPrefix(g.source, "https://") || g.method == "" {
					t.Error("the title is not unique, or there is no source or request")
				}
				titles[g.title] = true
				calls := g.answers()
				for i := range calls {
					got := d.Classify(&calls[i])
					if i == len(calls)-1 {
						if got != g.want {
							t.Errorf("\n%+v, want\n%+v", got, g.want)
						}
					} else if got.Class != holdfast.ClassNone {
						t.Errorf("event %d is %+v", i, got)
					}
				}
				if d.Ends == nil || !g.ended || g.want.Class != holdfast.ClassNone || strings.Contains(g.title, "does not know") || strings.HasSuffix(g.title, "that is not known") || strings.HasSuffix(g.title, "without [DONE]") {
					return
				}
				for i, e := range g.events {
					if got := d.Ends(e); got != (i == len(g.events)-1) {
						t.Errorf("Ends says %v of event %d", got, i)
					}
				}
			})
		}
	}
}

// Each answer has the meaning in a call, over a real socket.
func TestGoldenCalls(t *testing.T) {
	for _, d := range all {
		for _, g := range readGolden(t, d.Name) {
			if g.isStream() && g.want.Class == holdfast.ClassNone && !g.ended {
				continue // only its end would be found
			}
			t.Run(d.Name+"/"+g.title, func(t *testing.T) {
				s := httptest.NewServer(&g)
				defer s.Close()
				c, err := holdfast.New(d.Apply(holdfast.Config{BaseURL: s.URL, Retry: holdfast.Retry{MaxRetries: holdfast.Off}}))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				err = read(t, c, s.URL, &g)
				if got, want := meaning(err), g.effect(); got != want {
					t.Errorf("%s, want %s: %v", got, want, err)
				}
				if declined, ok := errors.AsType[*holdfast.StatusError](err); ok && declined.Text != g.want.Text {
					t.Errorf("text %q, want %q", declined.Text, g.want.Text)
				}
			})
		}
	}
}

// effect is the class of a call, and its wait.
func (g *golden) effect() string {
	switch {
	case g.call != "":
		return g.call
	case g.want.Class == holdfast.ClassNone:
		return "none"
	case g.want.RetryAfter > 0:
		return fmt.Sprint(g.want.Class, " ", g.want.RetryAfter)
	}
	return g.want.Class.String()
}

func read(t *testing.T, c *holdfast.Client, base string, g *golden) error {
	req, err := http.NewRequestWithContext(t.Context(), g.method, base+g.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

func meaning(err error) string {
	var e *holdfast.Error
	if !errors.As(err, &e) {
		return "none"
	}
	last := e.Attempts[len(e.Attempts)-1]
	if last.RetryAfter > 0 {
		return fmt.Sprint(last.Class, " ", last.RetryAfter)
	}
	return last.Class.String()
}

// ServeHTTP sends the answer.
func (g *golden) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for name, values := range g.header {
		w.Header()[name] = values
	}
	w.WriteHeader(g.status)
	for _, e := range g.events {
		_, _ = w.Write(encode(g.header.Get("Content-Type"), e))
	}
	_, _ = io.WriteString(w, g.body)
}

func encode(media string, e holdfast.ServerEvent) []byte {
	switch media {
	case "text/event-stream":
		return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", e.Type, e.Data)
	case "application/vnd.amazon.eventstream":
		return amazonMessage(e)
	}
	return append(bytes.Clone(e.Data), '\n')
}

// amazonMessage is an event as a message of Amazon's event stream.
func amazonMessage(e holdfast.ServerEvent) []byte {
	name, kind := ":event-type", "event"
	if strings.HasSuffix(e.Type, "Exception") {
		name, kind = ":exception-type", "exception"
	}
	var headers []byte
	for _, h := range [][2]string{{":message-type", kind}, {name, e.Type}, {":content-type", "application/json"}} {
		headers = append(append(headers, byte(len(h[0]))), h[0]...)
		headers = append(binary.BigEndian.AppendUint16(append(headers, 7), uint16(len(h[1]))), h[1]...)
	}
	m := binary.BigEndian.AppendUint32(nil, uint32(16+len(headers)+len(e.Data)))
	m = binary.BigEndian.AppendUint32(m, uint32(len(headers)))
	m = binary.BigEndian.AppendUint32(m, crc32.ChecksumIEEE(m))
	m = append(append(m, headers...), e.Data...)
	return binary.BigEndian.AppendUint32(m, crc32.ChecksumIEEE(m))
}
