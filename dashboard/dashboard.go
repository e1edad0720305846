// Package dashboard serves a page that shows the clients and policies of a registry while
// they work: rates, latencies, breakers, permits, and what failed.
//
//	mux.Handle("/debug/holdfast/", dashboard.Handler(holdfast.DefaultRegistry, dashboard.Options{}))
//
// The page reads only. It needs nothing from other hosts, and sets no cookie. Only this
// machine may see it, unless Options.Authorize decides. While no page is open, it costs
// nothing.
package dashboard

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast"
)

//go:embed page
var page embed.FS

// maxViewers is the number of open pages. One more gets 503.
const maxViewers = 64

// writeTimeout is how long a page may take to read one update.
const writeTimeout = 10 * time.Second

// Options are the settings of a page. The zero value is a page for this machine.
type Options struct {
	// Authorize decides who may see the page, by an error that is the text of a 403. Default:
	// only requests from a loopback address to a loopback name, and none that a proxy passed
	// on.
	Authorize func(*http.Request) error
	// Failures shows the last failed calls, each with its explanation. Give it to the clients
	// by holdfast.WithObserver, too. Default: none.
	Failures *Failures
}

// Handler returns the page, for any path that ends with a slash. A nil registry is
// holdfast.DefaultRegistry.
//
// Beside the page, it serves state.json, which has what the page shows, and events, a
// stream of server-sent events: one state, and a tick once a second.
func Handler(registry *holdfast.Registry, o Options) http.Handler {
	if registry == nil {
		registry = holdfast.DefaultRegistry
	}
	h := &handler{options: o, hub: hub{registry: registry, failures: o.Failures}}
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the folder is embedded
	}
	h.files = http.FileServerFS(files)
	return h
}

type handler struct {
	options Options
	hub     hub
	files   http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
		"Cache-Control":           "no-store",
	} {
		w.Header().Set(name, value)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the page reads only: use GET", http.StatusMethodNotAllowed)
		return
	}
	if err := h.authorize(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	switch name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]; name {
	case "state.json":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(h.hub.state(time.Now()))
	case "events":
		h.events(w, r)
	case "":
		h.file(w, r, "/")
	case "app.js", "style.css", "icon.svg":
		h.file(w, r, "/"+name)
	default:
		http.NotFound(w, r)
	}
}

func (h *handler) file(w http.ResponseWriter, r *http.Request, path string) {
	own := r.Clone(r.Context())
	own.URL.Path = path
	h.files.ServeHTTP(w, own)
}

// authorize protects the page from other machines, and from pages of other sites with a name
// that resolves to this machine.
func (h *handler) authorize(r *http.Request) error {
	if h.options.Authorize != nil {
		return h.options.Authorize(r)
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("the page is for this machine only: set dashboard.Options.Authorize for others")
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return fmt.Errorf("the page is for this machine only, and a proxy passed this request on: set dashboard.Options.Authorize")
		}
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("the page answers to localhost only: set dashboard.Options.Authorize for other names")
	}
	return nil
}

// events writes a state, and a tick each second, until the page leaves.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	if !h.hub.enter() {
		http.Error(w, fmt.Sprintf("%d pages are open, which is the most", maxViewers), http.StatusServiceUnavailable)
		return
	}
	defer h.hub.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	stream := http.NewResponseController(w)
	write := func(event string, data []byte) bool {
		_ = stream.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every server can
		_, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data)
		return err == nil && stream.Flush() == nil
	}
	if !write("state", h.hub.state(time.Now())) {
		return
	}
	for wait(r.Context(), sampleEvery) {
		if !write("tick", h.hub.tick(time.Now())) {
			return
		}
	}
}

// wait is false if ctx ends before d has passed.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
