package integration

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dashboard"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

var screenshots = flag.String("screenshots", "", "the folder for pictures of the live page (make screenshots)")

// story is a program with a client for each kind of trouble, and their page.
func story(t *testing.T) (page string) {
	var registry holdfast.Registry
	failures := new(dashboard.Failures)
	ctx, stop := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for _, c := range []struct {
		name string
		rule fault.Rule
		pace time.Duration // between two calls
	}{
		{"catalog", fault.Rule{Fault: fault.Fault{Healthy: true}}, 4 * time.Millisecond},
		{"embeddings", fault.Rule{Probability: 0.2, Fault: fault.Fault{Status: 503}}, 5 * time.Millisecond},
		{"orders", fault.Rule{Fault: fault.Fault{Status: 500}, When: fault.Window{From: 3 * time.Second}}, 20 * time.Millisecond},
		{"payments", fault.Rule{Probability: 0.4, Fault: fault.Fault{Status: 402}}, 50 * time.Millisecond},
		{"search", fault.Rule{Nth: "20-", Fault: fault.Fault{Status: 429, RetryAfter: 30 * time.Second}}, 100 * time.Millisecond},
	} {
		s := faultserver.Start(t, fault.Plan{Seed: 1, Rules: []fault.Rule{c.rule}, Pace: []fault.Pace{{Latency: fault.Latency{Fixed: 8 * time.Millisecond}}}})
		client, err := registry.Open(c.name, holdfast.Config{
			BaseURL: s.URL(), Header: http.Header{"X-Api-Key": {"canary"}},
			Retry: holdfast.Retry{BaseDelay: 20 * time.Millisecond}, Breaker: holdfast.BreakerConfig{OpenTimeout: 10 * time.Second},
		}, holdfast.WithObserver(failures))
		if err != nil {
			t.Fatal(err)
		}
		calls.Go(func() {
			tick := time.NewTicker(c.pace)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					calls.Go(func() { _, _ = client.Get(ctx, "/"+c.name, holdfast.WithHeader("X-Note", "canary")) })
				case <-ctx.Done():
					return
				}
			}
		})
	}
	policy, err := registry.OpenPolicy("database", holdfast.PolicyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	calls.Go(func() {
		for ctx.Err() == nil {
			_ = holdfast.Run(ctx, policy, func(context.Context) error {
				select {
				case <-time.After(30 * time.Millisecond):
				case <-ctx.Done():
				}
				return nil
			})
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/debug/holdfast/", dashboard.Handler(&registry, dashboard.Options{Failures: failures}))
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		stop()
		server.CloseClientConnections()
		server.Close()
		calls.Wait()
		_ = registry.Shutdown(context.Background())
	})
	return server.URL + "/debug/holdfast/"
}

// browser starts a Chromium without a window.
func browser(t *testing.T) context.Context {
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// A person opens the page in a browser: it tells the story in order, works by keyboard, breaks
// no rule of its policy and writes no error into the console.
func TestPage(t *testing.T) {
	url, ctx := story(t), browser(t)
	messages := chromedp.Console(ctx)
	const watch = `window.reports = []; document.addEventListener('securitypolicyviolation', e => window.reports.push(e.violatedDirective + ' ' + e.blockedURI))`
	do(t, ctx, chromedp.Navigate(url), script(watch))
	healthOf := func(name string) string {
		return eval[string](t, ctx, `[...document.querySelectorAll('article')].find(a => a.querySelector('.name').firstChild.textContent === '`+name+`')?.querySelector('.health b').textContent ?? ''`)
	}
	want := map[string]string{"catalog": "healthy", "embeddings": "retrying", "orders": "open", "payments": "failing", "search": "cooling down", "database": "healthy"}
	var seen []string // of orders
	deadline := time.Now().Add(60 * time.Second)
	for left := len(want); left > 0; {
		if h := healthOf("orders"); h != "" && !slices.Contains(seen, h) {
			seen = append(seen, h)
		}
		left = 0
		for name, health := range want {
			if healthOf(name) != health {
				left++
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v the page says\n%s", seen, eval[string](t, ctx, `document.body.innerText`))
		}
	}
	if i, j := slices.Index(seen, "healthy"), slices.Index(seen, "open"); i < 0 || j < i {
		t.Errorf("orders went through %v", seen)
	}

	first := eval[string](t, ctx, `document.querySelector('article .name').firstChild.textContent`) // the most trouble
	do(t, ctx, script(`document.getElementById('filter').focus()`), chromedp.KeyEvent(kb.Tab))
	focused := eval[string](t, ctx, `document.activeElement.tagName + ' ' + (document.activeElement.getAttribute('aria-label') ?? '')`)
	if first != "orders" || !strings.HasPrefix(focused, "ARTICLE orders: open") {
		t.Errorf("%s is first, and after the filter comes %q", first, focused)
	}
	do(t, ctx, chromedp.WaitVisible("#failures summary"), script(`document.querySelector('#failures summary').click()`), chromedp.WaitVisible("#failures details[open] pre"))
	if text := eval[string](t, ctx, `document.body.innerText`); strings.Contains(text, "canary") || !strings.Contains(text, "open: the circuit breaker is open") {
		t.Errorf("the page says\n%s", text)
	}
	if n := eval[int](t, ctx, `(() => { const f = document.getElementById('filter'); f.value = 'embed'; f.dispatchEvent(new Event('input')); return document.querySelectorAll('article').length })()`); n != 1 {
		t.Errorf("%d cards match the filter", n)
	}
	if reports := eval[[]string](t, ctx, `window.reports`); len(reports) > 0 {
		t.Errorf("the policy forbids %q", reports)
	}
	do(t, ctx, script(`console.log('the end')`))
	for m, err := range messages {
		if err != nil {
			t.Fatal(err)
		}
		if m.Text == "the end" {
			break
		}
		t.Errorf("the console says %v", m)
	}
	if *screenshots != "" {
		takeScreenshots(t, ctx)
	}
}

// takeScreenshots waits until the charts show something.
func takeScreenshots(t *testing.T, ctx context.Context) {
	do(t, ctx, script(`document.getElementById('filter').value = ''; document.querySelectorAll('details[open]').forEach(d => d.open = false); document.activeElement.blur()`), chromedp.Sleep(30*time.Second))
	for _, shot := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"page-light", 1280, 820, "light"}, {"page-dark", 1280, 820, "dark"}, {"page-narrow", 400, 820, "light"}} {
		do(t, ctx, chromedp.EmulateViewport(shot.width, shot.height), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: shot.scheme}},
			})
			return err
		}), chromedp.Sleep(2*time.Second))
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err = errors.Join(err, os.MkdirAll(*screenshots, 0o755), os.WriteFile(filepath.Join(*screenshots, shot.name+".png"), png, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func script(js string) chromedp.Action[chromedp.Void] { return chromedp.Evaluate[chromedp.Void](js) }

func eval[T any](t *testing.T, ctx context.Context, js string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
