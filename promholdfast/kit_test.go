package promholdfast_test

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/promholdfast"
)

var errDown = errors.New("the service is down")

// page is what Prometheus gets of a registry.
type page struct {
	t        *testing.T
	registry *prometheus.Registry
	metrics  *promholdfast.Metrics
}

func newPage(t *testing.T, o promholdfast.Options) *page {
	p := &page{t, prometheus.NewPedanticRegistry(), promholdfast.New(o)}
	if err := p.registry.Register(p.metrics); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *page) option() holdfast.Option { return holdfast.WithMetrics(p.metrics) }

// scrape is the text of the page, OpenMetrics if it is asked for.
func (p *page) scrape(openMetrics bool) string {
	p.t.Helper()
	req := httptest.NewRequest("GET", "/metrics", nil)
	if openMetrics {
		req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	}
	got := httptest.NewRecorder()
	promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(got, req)
	body, _ := io.ReadAll(got.Result().Body)
	if got.Code != 200 {
		p.t.Fatalf("%d: %s", got.Code, body)
	}
	return string(body)
}

// lines are the lines of a scrape that begin with one of the beginnings.
func (p *page) lines(beginnings ...string) string {
	p.t.Helper()
	var found []string
	for line := range strings.Lines(p.scrape(false)) {
		for _, begin := range beginnings {
			if strings.HasPrefix(line, begin) {
				found = append(found, strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(found, "\n")
}

// expect checks that the scrape has the lines, and the number of others that begin so.
func (p *page) expect(want ...string) {
	p.t.Helper()
	text := "\n" + p.scrape(false)
	for _, line := range want {
		if !strings.Contains(text, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			p.t.Errorf("no line\n%s\nbut\n%s", line, p.lines(name+"{"))
		}
	}
}

func (p *page) lacks(part string) {
	p.t.Helper()
	if text := p.scrape(false); strings.Contains(text, part) {
		p.t.Errorf("%q is in the page", part)
	}
}

// family returns a family in its whole form, with its native histograms.
func (p *page) family(name string) *dto.MetricFamily {
	p.t.Helper()
	all, err := p.registry.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name {
			return f
		}
	}
	p.t.Fatalf("no family %s", name)
	return nil
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// serving returns a client of a fault server in memory.
func serving(t *testing.T, backend faultserver.Service, plan fault.Plan, cfg holdfast.Config, opts ...holdfast.Option) *holdfast.Client {
	t.Helper()
	s := faultserver.Start(t, plan, faultserver.InMemory(), faultserver.Backend(backend))
	cfg.BaseURL = s.URL()
	if cfg.Retry.Jitter == holdfast.Full {
		cfg.Retry.Jitter = holdfast.NoJitter
	}
	c, err := holdfast.New(cfg, append(opts, holdfast.WithDialContext(s.Dial))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		synctest.Wait()
		time.Sleep(time.Second) // net/http takes half a second to close a connection that it cuts
	})
	return c
}

func rule(path, nth string, f fault.Fault) fault.Rule {
	return fault.Rule{Match: fault.Match{Path: path}, Nth: nth, Fault: f}
}

func plan(rules ...fault.Rule) fault.Plan { return fault.Plan{Rules: rules} }
