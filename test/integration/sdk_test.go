package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// Real SDKs call a service that fails, in virtual time: with an ordinary
// http.Client and with the client's SDK transport.

var printTable = flag.Bool("table", false, "print what each SDK does in each scenario (make sdks)")

var sdks = []*sdk{openaiSDK, anthropicSDK, bedrockSDK, ollamaSDK}

// sdk is one SDK and its service.
type sdk struct {
	name    string
	service faultserver.Service
	retries int                     // by default
	request faultserver.Request     // for a stream
	busy    func(status int) string // the service's answer when it is overloaded
	quiet   bool                    // it does not report a broken stream
	blind   bool                    // bare, it treats a stream that broke off between two events as complete
	dial    func(base string, hc *http.Client, retries bool) caller
}

// caller is the SDK as its user calls it.
type caller struct {
	ask    func(ctx context.Context) (string, error)
	stream func(ctx context.Context, piece func(string)) error
	status func(error) (status int, message string) // of the SDK's error; 0 for none
}

const (
	words = "we hold fast when the remote service does not"
	model = "test-model"
)

// pieces returns the words as a stream sends them.
func pieces() []string { return strings.SplitAfter(words, " ") }

// streamed returns an answer of several chunks, each sent separately.
func streamed(mediaType string, chunks []string) faultserver.Answer {
	a := faultserver.Answer{Status: 200, ContentType: mediaType, Body: []byte(strings.Join(chunks, ""))}
	for _, c := range chunks {
		a.Chunks = append(a.Chunks, len(c))
	}
	return a
}

// scenario is a plan of the service and the expected outcome of a call.
type scenario struct {
	name   string
	faults func(*sdk) []fault.Rule
	stream bool
	leave  bool // after the first piece
	before int  // earlier calls, to open a breaker
	bare   outcome
	held   outcome // with holdfast, and as shipped for an SDK with retries
	only   bool    // held is for holdfast only: the shipped SDK behaves like the bare one
}

// outcome is the number of requests and the result for the SDK's user.
type outcome struct {
	attempts int
	said     string
}

func (o outcome) String() string { return fmt.Sprintf("%d× %s", o.attempts, o.said) }

func always(f fault.Fault) func(*sdk) []fault.Rule {
	return func(*sdk) []fault.Rule { return []fault.Rule{{Fault: f}} }
}

// busyFor makes the service overloaded.
func busyFor(nth string, status int, after time.Duration) func(*sdk) []fault.Rule {
	return func(s *sdk) []fault.Rule {
		return []fault.Rule{{Nth: nth, Fault: fault.Fault{
			Status: status, RetryAfter: after, Body: s.busy(status), Header: map[string]string{"Content-Type": "application/json"},
		}}}
	}
}

// overTenMinutes sends the answer in pieces, each in time.
func overTenMinutes(s *sdk) []fault.Rule {
	return []fault.Rule{{Fault: fault.Fault{Drip: &fault.Drip{Bytes: len(s.service(s.request).Body)/14 + 1, Every: 45 * time.Second}}}}
}

var (
	whole    = outcome{1, "whole"}
	third    = outcome{3, "whole"}
	broke    = outcome{1, "4 pieces, broke off"}
	busy     = outcome{1, "503 overloaded"}
	lost     = outcome{1, "connection lost"}
	throttle = outcome{1, "429 overloaded"}
)

var scenarios = []scenario{
	{name: "plain call", faults: always(fault.Fault{Healthy: true}), bare: whole, held: whole},
	{name: "stream", faults: always(fault.Fault{Healthy: true}), stream: true, bare: whole, held: whole},
	{name: "two retries", faults: busyFor("1-2", 503, 0), bare: busy, held: third},
	{name: "two retries, stream", faults: busyFor("1-2", 503, 0), stream: true, bare: busy, held: third},
	{name: "429, Retry-After 2s", faults: busyFor("1", 429, 2*time.Second), bare: throttle, held: outcome{2, "whole"}},
	{name: "lost connection", faults: func(*sdk) []fault.Rule {
		return []fault.Rule{{Nth: "1-2", Fault: fault.Fault{Reset: fault.BeforeAnswer}}}
	}, bare: lost, held: third},
	{name: "retries exhausted", faults: busyFor("", 503, 0), bare: busy, held: outcome{3, "503 overloaded"}},
	{name: "refused for good", faults: busyFor("", 404, 0), bare: outcome{1, "404 overloaded"}, held: outcome{1, "404 overloaded"}},
	{name: "stream cut after 4 pieces", faults: always(fault.Fault{Cut: &fault.Cut{After: 4, Of: fault.Chunks}}), stream: true, bare: broke, held: broke},
	{
		name: "left after the first piece", faults: always(fault.Fault{Stall: &fault.Stall{After: 1, Of: fault.Chunks}}),
		stream: true, leave: true, bare: outcome{1, "1 pieces, canceled"}, held: outcome{1, "1 pieces, canceled"},
	},
	{name: "ten minutes of stream", faults: overTenMinutes, stream: true, bare: whole, held: whole},
	{
		name: "open breaker", faults: busyFor("", 503, 0), before: 1,
		bare: busy, held: outcome{0, "circuit breaker open"}, only: true,
	},
}

// transport is the http.Client of the SDK.
type transport struct {
	http *http.Client
	end  func() // checks and closes after the call
}

// bareTransport is an ordinary http.Client.
func bareTransport(dial dialer) transport {
	tr := &http.Transport{DialContext: dial}
	return transport{&http.Client{Transport: tr}, tr.CloseIdleConnections}
}

// sdkTransport is an http.Client over holdfast's SDK transport with as many
// retries as the SDK.
func sdkTransport(t *testing.T, s *faultserver.Server, dial dialer, sc *scenario) transport {
	cfg := holdfast.Config{
		BaseURL: s.URL(), Retry: holdfast.Retry{MaxRetries: 2},
		Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1}, Timeouts: holdfast.Timeouts{Acquire: time.Second},
	}
	if sc.before > 0 {
		cfg.Breaker.FailureThreshold = sc.before
	}
	client, err := holdfast.New(cfg, holdfast.WithDialContext(dial))
	if err != nil {
		t.Fatal(err)
	}
	return transport{client.HTTPClient(holdfast.RepeatPOST()), func() {
		if n := client.Stats().InFlight; n != 0 {
			t.Errorf("%d calls are left, each with its permit", n)
		}
		client.Close()
	}}
}

// pace is the service's latency. An immediate answer may arrive before net/http
// has looked for the end of the request. A bare AWS SDK then closes the
// request, and with it the connection.
var pace = []fault.Pace{{Latency: fault.Latency{Fixed: time.Millisecond}}}

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// openConn counts open connections.
type openConn struct {
	net.Conn
	open *atomic.Int64
	gone atomic.Bool
}

func (c *openConn) Close() error {
	if c.gone.CompareAndSwap(false, true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// play runs a scenario once, in virtual time, and returns its outcome.
func play(t *testing.T, k *sdk, sc *scenario, retries, held bool) (result outcome) {
	synctest.Test(t, func(t *testing.T) {
		s := faultserver.Start(t, fault.Plan{Rules: sc.faults(k), Pace: pace}, faultserver.InMemory(), faultserver.Backend(k.service))
		var open atomic.Int64
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := s.Dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			open.Add(1)
			return &openConn{Conn: conn, open: &open}, nil
		}
		d := bareTransport(dial)
		if held {
			d = sdkTransport(t, s, dial, sc)
		}
		c := k.dial(s.URL(), d.http, retries)
		for range sc.before {
			_, _ = c.ask(t.Context())
		}
		before := len(s.Record())
		said := talk(t, c, sc)
		result = outcome{len(s.Record()) - before, said}

		d.end()
		time.Sleep(2 * time.Second) // net/http closes a cut connection half a second later
		synctest.Wait()
		if n := open.Load(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
	return result
}

// talk makes the call and describes the result for the SDK's user.
func talk(t *testing.T, c caller, sc *scenario) string {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if !sc.stream {
		text, err := c.ask(ctx)
		return describe(c, text, 0, err)
	}
	var got []string
	err := c.stream(ctx, func(piece string) {
		got = append(got, piece)
		if sc.leave {
			cancel()
		}
	})
	return describe(c, strings.Join(got, ""), len(got), err)
}

func describe(c caller, text string, n int, err error) string {
	said := ""
	if n > 0 && text != words {
		said = fmt.Sprintf("%d pieces, ", n)
	}
	if err == nil {
		switch text {
		case words:
			return "whole"
		default:
			return said + "no error"
		}
	}
	if status, message := c.status(err); status > 0 {
		return fmt.Sprintf("%s%d %s", said, status, message)
	}
	switch {
	case errors.Is(err, holdfast.ErrCircuitOpen):
		var rejected *holdfast.RejectedError
		if errors.As(err, &rejected) {
			return "circuit breaker open"
		}
	case errors.Is(err, context.Canceled):
		return said + "canceled"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return said + "broke off"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF):
		return said + "connection lost"
	}
	return said + err.Error()
}

// With holdfast the SDK gets the same result as without it, after as many
// attempts as it would make itself, and nothing is left.
func TestSDKs(t *testing.T) {
	var differ, same []string // rows: those in which holdfast changes something come first
	for _, k := range sdks {
		for _, sc := range scenarios {
			t.Run(k.name+"/"+sc.name, func(t *testing.T) {
				want := [3]outcome{sc.bare, sc.held, sc.held}
				if k.retries == 0 || sc.only {
					want[1] = sc.bare
				}
				if sc.only && k.retries > 0 {
					want[1].attempts += k.retries
				}
				if k.quiet {
					for i := range want {
						want[i].said = strings.NewReplacer("broke off", "no error", "canceled", "no error").Replace(want[i].said)
					}
				}
				if k.blind {
					for i := range want[:2] {
						want[i].said = strings.Replace(want[i].said, "broke off", "no error", 1)
					}
				}
				got := [3]outcome{play(t, k, &sc, false, false), play(t, k, &sc, true, false), play(t, k, &sc, false, true)}
				for i, how := range []string{"bare", "as shipped", "through holdfast"} {
					if got[i] != want[i] {
						t.Errorf("%s: %v, want %v", how, got[i], want[i])
					}
				}
				row := fmt.Sprintf("%s\t%s\t%v\t%v\t%v", k.name, sc.name, got[0], got[1], got[2])
				if got[1] != got[2] {
					differ = append(differ, row)
				} else {
					same = append(same, row)
				}
			})
		}
	}
	if !*printTable {
		return
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "SDK\tscenario\tbare, its retries off\tbare, as shipped\tthrough holdfast")
	fmt.Fprintf(out, "as shipped and through holdfast differ (%d):\n%s\n", len(differ), strings.Join(differ, "\n"))
	fmt.Fprintf(out, "they are the same (%d):\n%s\n", len(same), strings.Join(same, "\n"))
	out.Flush()
}
