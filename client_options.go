package holdfast

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/holdfast-go/holdfast/internal/setting"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// CallOption changes one call.
type CallOption func(*callOptions)

type callOptions struct {
	*resolved   // the client's settings
	attempt     time.Duration
	header      http.Header
	key         string
	repeat      Repeat
	healthCheck bool
	receiver    receiver // of Do
	nested      nested   // the retries of the SDK above the transport
	problem     error
}

// WithAttemptTimeout bounds each attempt of this call, in the place of
// Timeouts.Attempt. Off is for no limit. The context bounds the whole call.
func WithAttemptTimeout(d time.Duration) CallOption {
	return func(o *callOptions) {
		switch {
		case d == Off:
			o.attempt = 0
		case d <= 0 || d > setting.Longest:
			o.problem = fmt.Errorf("holdfast: WithAttemptTimeout is %v: must be positive and at most %v, or Off", d, setting.Longest)
		default:
			o.attempt = d
		}
	}
}

// WithHeader sends a header with this call, in the place of one in Config.Header.
func WithHeader(name, value string) CallOption {
	return func(o *callOptions) {
		v := validation{}
		v.header("WithHeader", name, []string{value})
		if err := v.err(); err != nil {
			o.problem = err
			return
		}
		if o.header == nil {
			o.header = http.Header{}
		}
		o.header.Set(name, value)
	}
}

// WithIdempotencyKey sends key as Idempotency-Key. It is also the call's id, unless the
// call has another. Use it for a call that must not be made twice, not even by two
// processes.
func WithIdempotencyKey(key string) CallOption {
	return func(o *callOptions) {
		if key == "" || !isHeaderValue(key) {
			o.problem = fmt.Errorf("holdfast: WithIdempotencyKey is empty or has a control character: must be printable")
			return
		}
		o.key = key
	}
}

// WithNoRepeat is RepeatNever for this call: it is not sent again if it may have
// reached the service, whatever its method.
func WithNoRepeat() CallOption {
	return func(o *callOptions) { o.repeat = RepeatNever }
}

// WithClassify asks classify about the answers of this call in which Config.Classify finds
// no failure. A provider's package tells in this way how failures of its service look.
func WithClassify(classify func(*Answer) Verdict) CallOption {
	return func(o *callOptions) {
		if classify == nil {
			o.problem = errors.New("holdfast: WithClassify is nil: must be a function")
			return
		}
		own, r := o.config.Classify, *o.resolved
		r.config.Classify = classify
		if own != nil {
			r.config.Classify = func(a *Answer) Verdict {
				if v := own(a); v.Class != ClassNone || v.More {
					return v
				}
				return classify(a)
			}
		}
		o.resolved = &r
	}
}

// options applies opts to the client's settings.
func (c *Client) options(r *resolved, method string, target *url.URL, opts []CallOption) (callOptions, error) {
	all := callOptions{resolved: r, attempt: r.Attempt, repeat: r.config.Retry.Repeat, receiver: liveReceiver{}}
	if len(opts) == 0 {
		return all, nil
	}
	changed := new(callOptions) // apart from all, so that a call without options allocates nothing
	*changed = all
	for _, opt := range opts {
		opt(changed)
	}
	if changed.problem != nil {
		return all, c.invalid(method, wire.Shown(target), changed.problem)
	}
	return *changed, nil
}

// addHeaders adds the call's headers and the client's. The call's replace those of the
// request, and the client's do not. A Host goes to where net/http sends it from.
func (o *callOptions) addHeaders(req *http.Request) {
	h := req.Header
	for name, values := range o.header {
		h[name] = values
	}
	for name, values := range o.config.Header {
		if h[name] == nil {
			h[name] = values
		}
	}
	if host := h["Host"]; host != nil {
		if req.Host == req.URL.Host || o.header["Host"] != nil {
			req.Host = host[0]
		}
		delete(h, "Host")
	}
}
