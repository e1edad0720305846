package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/holdfast-go/holdfast/faultserver"
)

// refusingProxy is an obstacle: a proxy that the client must use, and that refuses
// CONNECT. Afterwards it makes tunnels.
type refusingProxy struct {
	status int
	reason string // of the status line; empty for the usual one
	header string // lines that end with CRLF
	times  int    // zero until the end of the calls
}

// maxError limits the text of an error, in bytes. It must fit in a line of a log.
const maxError = 1 << 10

func (p refusingProxy) wants() []string {
	if p.times > 0 {
		return nil
	}
	return []string{fmt.Sprintf("an error that names the proxy and %d", p.status)}
}

func (p refusingProxy) build(m *meeting) (route, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m.setup.Proxy = &url.URL{Scheme: "http", Host: l.Addr().String()}
	r := &refusalRoute{direct: direct{m.server}, refusingProxy: p, listener: l, open: map[net.Conn]bool{}, healthy: true}
	go r.accept()
	return r, nil
}

type refusalRoute struct {
	direct
	refusingProxy
	listener net.Listener

	mu      sync.Mutex
	healthy bool
	closed  bool
	begun   time.Time
	asked   []faultserver.Attempt // each CONNECT since begin
	open    map[net.Conn]bool     // to be closed
}

func (r *refusalRoute) begin() {
	r.direct.begin()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun, r.asked, r.healthy = time.Now(), nil, false
}

func (r *refusalRoute) heal() error {
	r.mu.Lock()
	r.healthy = true
	r.mu.Unlock()
	return r.direct.heal()
}

// record has the requests that the proxy has received.
func (r *refusalRoute) record() []faultserver.Attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]faultserver.Attempt(nil), r.asked...)
}

func (r *refusalRoute) addrs() []string { return []string{r.listener.Addr().String()} }

func (r *refusalRoute) struck(m *meeting) bool { return len(m.record) > 0 }

// judge checks the text of each error: it names the proxy and its status, and is
// fit for a log.
func (r *refusalRoute) judge(m *meeting) (wrong []string) {
	for _, a := range m.answers {
		if a.Err == nil {
			continue
		}
		text := a.Err.Error()
		if !strings.Contains(strings.ToLower(text), "proxy") || !strings.Contains(text, strconv.Itoa(r.status)) {
			wrong = append(wrong, fmt.Sprintf("the error names no proxy with %d: %s", r.status, short(a.Err)))
		}
		if len(text) > maxError {
			wrong = append(wrong, fmt.Sprintf("an error of %d kB", (len(text)+512)>>10))
		}
		if strings.ContainsFunc(text, unicode.IsControl) {
			wrong = append(wrong, "an error with control characters")
		}
	}
	return wrong
}

func (r *refusalRoute) close() {
	r.listener.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for c := range r.open {
		c.Close()
	}
}

func (r *refusalRoute) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		if r.keep(c) {
			go r.serve(c)
		}
	}
}

// keep makes close close the connection; false if that is over.
func (r *refusalRoute) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		c.Close()
		return false
	}
	r.open[c] = true
	return true
}

func (r *refusalRoute) drop(c net.Conn) {
	c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
}

// serve answers the requests of one connection until it becomes a tunnel.
func (r *refusalRoute) serve(c net.Conn) {
	defer r.drop(c)
	from := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		if !r.refuses(req) {
			r.tunnel(c, from)
			return
		}
		if _, err := io.WriteString(c, r.refusal()); err != nil {
			return
		}
	}
}

// refuses records a request, and reports whether it is refused.
func (r *refusalRoute) refuses(req *http.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := faultserver.Attempt{At: time.Since(r.begun), Method: req.Method, Path: req.RequestURI, Rule: -1}
	refused := req.Method != http.MethodConnect || !r.healthy && (r.times == 0 || len(r.asked) < r.times)
	if refused {
		a.Status = r.status
	}
	r.asked = append(r.asked, a)
	return refused
}

func (r *refusalRoute) refusal() string {
	reason := r.reason
	if reason == "" {
		reason = http.StatusText(r.status)
	}
	return fmt.Sprintf("HTTP/1.1 %d %s\r\n%sContent-Length: 0\r\n\r\n", r.status, reason, r.header)
}

func (r *refusalRoute) tunnel(c net.Conn, from io.Reader) {
	service, err := net.Dial("tcp", r.server.Addr())
	if err != nil || !r.keep(service) {
		return
	}
	defer r.drop(service)
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	go func() {
		defer c.Close()
		io.Copy(c, service)
	}()
	io.Copy(service, from)
}
