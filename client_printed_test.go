package holdfast_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// Settings, clients and options within other values show no header and no password of a
// proxy, to fmt, to encoding/json and to a logger.
func TestPrintedWithinOthers(t *testing.T) {
	cfg := holdfast.Config{
		BaseURL: "http://me:" + canary + "@a.test?k=" + canary, Proxy: "http://me:" + canary + "@proxy.test",
		Header: http.Header{"X-Key": {canary}, "X: " + canary: {canary}},
	}
	good := holdfast.Config{BaseURL: "http://a.test", Proxy: "none", Header: http.Header{"X-Key": {canary}}}
	c, err := holdfast.New(good)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	router, err := holdfast.NewRouter(holdfast.RouterConfig{Hosts: map[string]holdfast.Config{"http://a.test": {Header: good.Header}}})
	if err != nil {
		t.Fatal(err)
	}
	defer router.Close()
	option, rt := holdfast.WithHeader("X-Key", canary), c.Transport()
	var s sinks
	for _, v := range []any{
		cfg, &cfg, struct{ C holdfast.Config }{cfg}, struct{ holdfast.Config }{cfg}, struct{ C *holdfast.Config }{&cfg}, []holdfast.Config{cfg},
		map[string]*holdfast.Config{"x": &cfg}, []any{cfg}, struct{ R holdfast.RouterConfig }{holdfast.RouterConfig{Default: &cfg, Hosts: map[string]holdfast.Config{"a": cfg}}},
		struct{ c *holdfast.Config }{&cfg}, // fmt shows the address
		c, struct{ C *holdfast.Client }{c}, struct{ c *holdfast.Client }{c}, []*holdfast.Client{c}, struct{ h *http.Client }{c.HTTPClient()}, c.HTTPClient(), rt,
		router, struct{ R *holdfast.Router }{router}, struct{ r *holdfast.Router }{router},
		option, []holdfast.CallOption{option}, struct{ O holdfast.CallOption }{option}, []holdfast.Option{holdfast.WithTransport(rt)},
	} {
		s.print(fmt.Sprintf("%T", v), v)
		text, err := json.Marshal(v)
		fmt.Fprintf(&s, "%s %v\n", text, err)
		slog.New(slog.NewJSONHandler(&s, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&s, nil)).Info("x", "v", v)
	}
	if leak := s.leaks(); leak != "" {
		t.Errorf("this shows the secret:\n%s", leak)
	}
}
