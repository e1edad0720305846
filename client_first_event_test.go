package holdfast_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// firstEventDoors are the calls that wait for the first event of a stream.
var firstEventDoors = map[string]struct {
	config holdfast.Config
	phase  string
	call   func(t *testing.T, c *holdfast.Client, s *faultserver.Server) (string, error)
}{
	"Stream":              {holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 8 * time.Second}}, "attempt", streamed},
	"Stream, FirstEvent":  {holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 2 * time.Second, Read: holdfast.Off, FirstEvent: 8 * time.Second}}, "first_event", streamed},
	"Stream, Classify":    {holdfast.Config{Classify: classifySaid, Timeouts: holdfast.Timeouts{Attempt: 8 * time.Second}}, "attempt", streamed},
	"Stream, both":        {holdfast.Config{Classify: classifySaid, Timeouts: holdfast.Timeouts{FirstEvent: 8 * time.Second}}, "first_event", streamed},
	"Do, FirstEvent":      {holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 2 * time.Second, Read: holdfast.Off, FirstEvent: 8 * time.Second}}, "first_event", doors[1].call},
	"Do, both":            {holdfast.Config{Classify: classifySaid, Timeouts: holdfast.Timeouts{FirstEvent: 8 * time.Second}}, "first_event", doors[1].call},
	"SDK, FirstEvent":     {holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 2 * time.Second, Read: holdfast.Off, FirstEvent: 8 * time.Second}}, "first_event", doors[2].call},
	"SDK, both":           {holdfast.Config{Classify: classifySaid, Timeouts: holdfast.Timeouts{FirstEvent: 8 * time.Second}}, "first_event", doors[2].call},
	"SDK, both, no limit": {holdfast.Config{Classify: classifySaid, Timeouts: holdfast.Timeouts{Attempt: holdfast.Off, Read: holdfast.Off, FirstEvent: 8 * time.Second}}, "first_event", doors[2].call},
}

// streamed reads the events of a stream.
func streamed(t *testing.T, c *holdfast.Client, _ *faultserver.Server) (string, error) {
	s, err := c.Stream(t.Context(), "GET", "/x", nil)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for e, err := range s.Events() {
		if err != nil {
			return "", err
		}
		all.Write(e.Data)
	}
	return all.String(), nil
}

// A stream without a first event, whatever else it sends and however slowly, ends at the limit
// of the attempt or of the first event.
func TestNoFirstEvent(t *testing.T) {
	for name, piece := range map[string]string{
		"comments": ": still here\n", "comments and blank lines": ": still here\n\n", "blank lines": "\n", "white space": "  \r\n",
		"fields that are no data": "id: 7\n\n", "an endless line": "data: and so on ", "an endless comment": ": and so on", "nothing": "",
	} {
		for door, d := range firstEventDoors {
			for _, media := range []string{"text/event-stream", ndjson} {
				if media == ndjson && strings.ContainsAny(piece, ":") && strings.Contains(piece, "\n") {
					continue // this is a line
				}
				t.Run(name+"/"+door+"/"+media, func(t *testing.T) {
					piece := piece
					bubble(t, func(t *testing.T) {
						drip := fault.Fault{Drip: &fault.Drip{Bytes: max(1, len(piece)), Every: time.Second}}
						if piece == "" {
							piece, drip = "data: 1\n\n", fault.Fault{Hang: fault.AfterHeaders}
						}
						cfg := d.config
						cfg.Retry.MaxRetries, cfg.Bulkhead = holdfast.Off, one
						c, s := serving(t, replying(media, strings.Repeat(piece, 3600)), plan(rule("", "", drip)), cfg)
						began := time.Now()
						_, err := d.call(t, c, s)
						is(t, err, holdfast.ErrTimeout)
						if limit, ok := errors.AsType[*holdfast.TimeoutError](err); !ok || limit.Phase != d.phase || limit.Limit != 8*time.Second {
							t.Errorf("%+v of %v", limit, err)
						}
						equal(t, "the time", time.Since(began), 8*time.Second)
						synctest.Wait()
						s1 := c.Stats()
						equal(t, "calls, permits and streams", s1.InFlight+s1.Permits+s1.Streams, 0)
						equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
					})
				})
			}
		}
	}
}

// And it ends at a bound in bytes.
func TestEndlessBeforeTheFirstEvent(t *testing.T) {
	const most = 4 << 10
	for name, tt := range map[string]struct{ media, piece string }{
		"comments":                 {"text/event-stream", ": still here\n"},
		"comments and blank lines": {"text/event-stream", ": still here\n\n"},
		"blank lines":              {"text/event-stream", "\n"},
		"fields that are no data":  {"text/event-stream", "id: 7\n\n"},
		"an endless line":          {"text/event-stream", "data: and so on "},
		"an endless comment":       {"text/event-stream", ": and so on"},
		"white space":              {ndjson, " \r\n"},
		"an endless line of JSON":  {ndjson, "[1, "},
	} {
		for door, d := range firstEventDoors {
			t.Run(name+"/"+door, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					cfg := d.config
					cfg.MaxEventBytes, cfg.Bulkhead = most, one
					a := &counted{}
					fake := roundTrip(func(req *http.Request) (*http.Response, error) {
						a.Reader = endless(tt.piece)
						return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {tt.media}}, Body: io.NopCloser(a), Request: req}, nil
					})
					s := faultserver.Start(t, fault.Plan{}, faultserver.InMemory()) // for its address
					cfg.BaseURL = s.URL()
					c, err := holdfast.New(cfg, holdfast.WithTransport(fake))
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					_, err = d.call(t, c, s)
					is(t, err, holdfast.ErrBodyTooLarge)
					equal(t, "attempts", len(attempts(t, err)), 1)
					if a.n > 64<<10 {
						t.Errorf("%d bytes were read", a.n)
					}
					if err != nil && !strings.Contains(err.Error(), "Config.MaxEventBytes") {
						t.Errorf("the error does not name the setting: %v", err)
					}
					st := c.Stats()
					equal(t, "calls, permits and streams", st.InFlight+st.Permits+st.Streams, 0)
				})
			})
		}
	}
}

// endless repeats a text.
type endless string

func (e endless) Read(p []byte) (n int, _ error) {
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// counted counts what is read.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// Comments and an event within the bound are no failure, and no byte of them is lost.
func TestLongBeginningOfAStream(t *testing.T) {
	const most = 100 << 10
	body := strings.Repeat(": still here\n\n", most/20) + "data: " + strings.Repeat("a", most*9/10) + "\n\n" + "data: end\n\n"
	for door, d := range firstEventDoors {
		t.Run(door, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg := d.config
				cfg.MaxEventBytes = most
				if cfg.Classify != nil {
					cfg.Classify = func(*holdfast.Answer) holdfast.Verdict { return holdfast.Verdict{} }
				}
				c, s := serving(t, replying("text/event-stream", body), fault.Plan{}, cfg)
				got, err := d.call(t, c, s)
				want := body
				if strings.HasPrefix(door, "Stream") {
					want = strings.Repeat("a", most*9/10) + "end"
				}
				if err != nil || got != want {
					t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
				}
			})
		})
	}
}
