package settings

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// bestPractices are the numbers that requirement B8 asks for, letter for letter.
const bestPractices = `
**For external cloud APIs** (Mixedbread, OpenAI, etc.):
- ` + "`timeout`" + `: 30-60 seconds (APIs have their own timeouts)
- ` + "`max_retries`" + `: 3 (handle rate limits and transient errors)
- ` + "`circuit_breaker_threshold`" + `: 10-15 (external services can be flaky)
- ` + "`circuit_breaker_timeout`" + `: 60 seconds (reasonable recovery window)

**For local services** (Ollama running locally):
- ` + "`timeout`" + `: 90-120 seconds (can process large batches)
- ` + "`max_retries`" + `: 3 (local network is reliable)
- ` + "`circuit_breaker_threshold`" + `: 15-20 (local failures are rare)
- ` + "`circuit_breaker_timeout`" + `: 60 seconds (quick recovery expected)

**For database operations** (using @with_retry):
- ` + "`max_retries`" + `: 2-3 (databases rarely need many retries)
- ` + "`base_delay`" + `: 0.5-1.0 seconds (quick recovery)
- ` + "`exceptions`" + `: Specific error types (OperationalError, TimeoutError)
`

// Every number of the section holds for its preset, and for the settings of the
// provider that it names.
func TestBestPractices(t *testing.T) {
	ofClient := func(c holdfast.Config) map[string]float64 {
		return map[string]float64{
			"timeout":                   c.Timeouts.Attempt.Seconds(),
			"max_retries":               float64(c.Retry.MaxRetries),
			"circuit_breaker_threshold": float64(c.Breaker.FailureThreshold),
			"circuit_breaker_timeout":   c.Breaker.OpenTimeout.Seconds(),
		}
	}
	db := Database()
	defaults, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	presets := map[string][]map[string]float64{
		"external cloud APIs": {ofClient(CloudAPI()), ofClient(defaults.Mixedbread.Config())},
		"local services":      {ofClient(LocalService()), ofClient(defaults.Ollama.Embedding()), ofClient(defaults.Ollama.LLM())},
		"database operations": {{"max_retries": float64(db.Retry.MaxRetries), "base_delay": db.Retry.BaseDelay.Seconds()}},
	}
	line := regexp.MustCompile("(?m)^\\*\\*For (.*)\\*\\*|^- `(.*)`: ([0-9.]+)(?:-([0-9.]+))? ")
	section, rows := "", 0
	for _, m := range line.FindAllStringSubmatch(bestPractices, -1) {
		if m[1] != "" {
			section = m[1]
			continue
		}
		rows++
		least, _ := strconv.ParseFloat(m[3], 64)
		most := least
		if m[4] != "" {
			most, _ = strconv.ParseFloat(m[4], 64)
		}
		for i, preset := range presets[section] {
			if got, ok := preset[m[2]]; !ok || got < least || got > most {
				t.Errorf("%s, %s: preset %d has %v, want %v to %v", section, m[2], i, got, least, most)
			}
		}
	}
	equal(t, "rows with numbers", rows, 10)
}

func TestPresetsHold(t *testing.T) {
	for _, c := range []holdfast.Config{CloudAPI(), LocalService()} {
		c.BaseURL = "http://a.test"
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	if _, err := holdfast.NewPolicy(Database()); err != nil {
		t.Error(err)
	}
}

// "Specific error types (OperationalError, TimeoutError)"
func TestDatabaseRepeats(t *testing.T) {
	on := Database().Retry.On
	for err, want := range map[error]bool{
		fmt.Errorf("query: %w", driver.ErrBadConn):                                                                      true,
		fmt.Errorf("query: %w", context.DeadlineExceeded):                                                               true,
		fmt.Errorf("query: %w", os.ErrDeadlineExceeded):                                                                 true,
		errors.New("duplicate key value"):                                                                               false,
		&net.OpError{Op: "dial", Err: errors.New("refused")}:                                                            true,
		&net.OpError{Op: "dial", Err: context.Canceled}:                                                                 false,
		&net.OpError{Op: "read", Err: net.ErrClosed}:                                                                    false, // by this side
		&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "db.test", IsNotFound: true}}:            false,
		&net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", Name: "db.test", IsTemporary: true}}:     true,
		&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("wsarecv", errors.New("an error of this system"))}: true,
		fmt.Errorf("query: %w", io.ErrUnexpectedEOF):                                                                    true,
		fmt.Errorf("query: %w", io.EOF):                                                                                 false,
		fmt.Errorf("query: %w", syscall.EPIPE):                                                                          true,
		fmt.Errorf("query: %w", context.Canceled):                                                                       false,
		&os.PathError{Op: "open", Err: errors.New("other")}:                                                             false,
	} {
		equal(t, err.Error(), on(err), want)
	}
}

// The errors of real connections that break: the policy makes a second attempt.
func TestDatabaseRepeatsBrokenConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	// pair returns a connection and its other end.
	pair := func(t *testing.T) (client, server *net.TCPConn) {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(); s.Close() })
		return c.(*net.TCPConn), s.(*net.TCPConn)
	}
	reset := func(t *testing.T, c *net.TCPConn) {
		if err := errors.Join(c.SetLinger(0), c.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for name, statement := range map[string]func(t *testing.T) error{
		"a refused dial": func(*testing.T) error {
			_, err := net.Dial("tcp", gone.Addr().String())
			return err
		},
		"a dial that takes too long": func(*testing.T) error {
			_, err := (&net.Dialer{Timeout: time.Nanosecond}).Dial("tcp", listener.Addr().String())
			return err
		},
		"a read of a reset connection": func(t *testing.T) error {
			c, s := pair(t)
			reset(t, s)
			_, err := c.Read(make([]byte, 1))
			return err
		},
		"a write to a reset connection": func(t *testing.T) error {
			c, s := pair(t)
			reset(t, s)
			for { // the first may come before the reset
				if _, err := c.Write([]byte("select 1")); err != nil {
					return err
				}
			}
		},
		"an answer that is cut": func(t *testing.T) error {
			c, s := pair(t)
			if _, err := s.Write([]byte("1")); err != nil {
				t.Fatal(err)
			}
			s.Close()
			_, err := io.ReadFull(c, make([]byte, 5))
			return err
		},
		"a read beyond its deadline": func(t *testing.T) error {
			c, _ := pair(t)
			if err := c.SetReadDeadline(time.Now()); err != nil {
				t.Fatal(err)
			}
			_, err := c.Read(make([]byte, 1))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Database()
			cfg.Retry.BaseDelay = holdfast.Off
			calls := 0
			err := holdfast.Run(t.Context(), holdfast.MustPolicy(cfg), func(context.Context) error {
				if calls++; calls > 1 {
					return nil
				}
				err := fmt.Errorf("query: %w", statement(t))
				t.Log(err)
				return err
			})
			if err != nil || calls != 2 {
				t.Errorf("%d calls, error %v; want an answer by the second call", calls, err)
			}
		})
	}
}
