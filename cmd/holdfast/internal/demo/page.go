package demo

import (
	"net"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dashboard"
)

// livePage serves the page of the client that runs.
type livePage struct {
	registry *holdfast.Registry
	failures *dashboard.Failures
	server   *http.Server
	url      string
}

const pagePath = "/debug/holdfast/"

// servePage serves at an address of this machine.
func servePage(address string) (*livePage, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &livePage{registry: new(holdfast.Registry), failures: new(dashboard.Failures)}
	mux := http.NewServeMux()
	mux.Handle(pagePath, dashboard.Handler(p.registry, dashboard.Options{Failures: p.failures}))
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	p.url = "http://" + listener.Addr().String() + pagePath
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

// open makes a client that is on the page. A nil livePage makes one that is on none.
func (p *livePage) open(cfg holdfast.Config, opts ...holdfast.Option) (*holdfast.Client, error) {
	if p == nil {
		return holdfast.New(cfg, opts...)
	}
	return p.registry.Open(cfg.Name, cfg, append(opts, holdfast.WithObserver(p.failures))...)
}

// close ends the page and its connections.
func (p *livePage) close() {
	if p != nil {
		_ = p.server.Close()
	}
}
