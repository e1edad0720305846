package call

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// The request has the headers and the body of the flags.
func TestRequest(t *testing.T) {
	var got http.Header
	server := faultserver.Start(t, fault.Plan{}, faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
		got = r.Header.Clone()
		got.Set("Body", string(r.Body))
		return faultserver.Answer{Status: 204}
	}))
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		args []string
		want map[string]string // empty: not sent
	}{
		{nil, map[string]string{"Accept": "*/*", "User-Agent": "holdfast", "Content-Type": "", "Idempotency-Key": ""}},
		{[]string{"-d", "a=b"}, map[string]string{"Content-Type": form, "Body": "a=b", "Content-Length": "3"}},
		{[]string{"-d", "@" + cmdtest.JSON(t, "c\n")}, map[string]string{"Content-Type": form, "Body": "c\n", "Content-Length": "2"}},
		{[]string{"-d", "{}", "-H", "content-type:text/json"}, map[string]string{"Content-Type": "text/json", "Body": "{}"}},
		{[]string{"-H", "A: 1", "-H", "a:  2 : 3 ", "-H", "User-Agent: me"}, map[string]string{"A": "1 2 : 3", "User-Agent": "me"}},
		{[]string{"--idempotency-key", "mine"}, map[string]string{"Idempotency-Key": "mine", "X-Request-Id": "mine"}},
	} {
		status, _, stderr := runCall(t, append(tt.args, server.URL())...)
		if status != 0 {
			t.Errorf("%q: exit status %d, stderr %q", tt.args, status, stderr)
		}
		for name, want := range tt.want {
			if value := strings.Join(got[name], " "); value != want {
				t.Errorf("%q: %s is %q, want %q", tt.args, name, value, want)
			}
		}
	}
	target, err := url.Parse("http://127.0.0.1/a")
	if err != nil {
		t.Fatal(err)
	}
	o := options{headers: []string{"Host: example.com"}}
	if req, err := o.request(t.Context(), target, nil, nil); err != nil || req.Host != "example.com" || req.Header["Host"] != nil {
		t.Errorf("the request is to host %q (%v), want example.com", req.Host, err)
	}
	if runCall(t, "--idempotency-key", "auto", server.URL()); got.Get("Idempotency-Key") == "" || got.Get("Idempotency-Key") != got.Get("X-Request-Id") {
		t.Errorf("Idempotency-Key %q, X-Request-ID %q; want the same", got.Get("Idempotency-Key"), got.Get("X-Request-Id"))
	}
}

// A Read of a terminal ends when a line is typed. An interrupt does not wait for it.
func TestInterruptedStdin(t *testing.T) {
	silent, typist := io.Pipe()
	defer typist.Close()
	o := options{data: []string{"@-"}}
	body, _, err := o.body(struct{ io.Reader }{silent})
	closer, ok := body.(io.ReadCloser)
	if err != nil || !ok {
		t.Fatalf("the body is a %T (%v): must be closable", body, err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := closer.Read(make([]byte, 1))
		ended <- err
	}()
	closer.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it read something")
		}
	case <-time.After(5 * time.Second):
		t.Error("Close does not free the Read")
	}
}
