package fault

import (
	"slices"
	"time"
)

// Fault is one thing that goes wrong. Exactly one of Status, Statuses, Mix,
// Quota, Redirect, Hang, Reset, Close, Cut, Stall, Drip, Upload, Gzip, Endless,
// H1, H2 and Healthy is set, or none of them beside a Latency, which then is the
// whole fault: a slow but healthy answer.
type Fault struct {
	// Status answers with this status, 200 to 599, instead of the service.
	Status int `json:"status"`
	// Statuses answers the first request that the rule selects with the first
	// status, the second with the second, and so on; after the last the rule
	// strikes no more. A status below 300 here is a healthy answer, so that
	// [503, 503, 200] reads as what it does. It counts requests by their number
	// and so cannot stand beside a Probability.
	Statuses []int `json:"statuses"`
	// Header is sent with Status, Statuses and Quota, Body in place of the
	// status's name. A Body is plain text unless Header says otherwise.
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
	// RetryAfter is sent with Status and Statuses as Retry-After, in seconds,
	// rounded up, or as RetryAfterAs says. Zero sends none, unless RetryAfterAs
	// is a form that needs none.
	RetryAfter   time.Duration `json:"retry_after"`
	RetryAfterAs RetryForm     `json:"retry_after_as"`

	// Mix deals out one of several faults by weight.
	Mix []Choice `json:"mix"`
	// Quota admits some requests in each period and answers the others with 429
	// and the time that is left of the period. It cannot stand in a Mix.
	Quota *Quota `json:"quota"`
	// Redirect answers with 307.
	Redirect Redirect `json:"redirect"`

	// Hang reads the request and never answers (BeforeAnswer), or answers with
	// headers and never sends the body (AfterHeaders). It lasts until the caller
	// leaves or the server is closed.
	Hang Point `json:"hang"`
	// Reset ends the connection with a RST: BeforeAnswer, or NextRequest.
	Reset Point `json:"reset"`
	// Close ends the connection with a FIN: BeforeAnswer, or NextRequest, which
	// is how an idle connection is closed just when it is used again.
	Close Point `json:"close"`
	// Cut ends the connection within the answer.
	Cut *Cut `json:"cut"`
	// Stall stops within the answer and may go on later.
	Stall *Stall `json:"stall"`
	// Drip sends the answer in drops.
	Drip *Drip `json:"drip"`
	// Upload strikes before the request's body is read.
	Upload Upload `json:"upload"`
	// Gzip sends a compressed answer that is not what it seems.
	Gzip Gzip `json:"gzip"`
	// Endless sends a body that ends only when the caller leaves.
	Endless bool `json:"endless"`
	// H1 breaks HTTP/1.1 itself.
	H1 H1 `json:"h1"`
	// H2 strikes in the frames of HTTP/2.
	H2 H2 `json:"h2"`
	// Size, in bytes, goes with what is too large: GzipBomb, HeaderOversized and
	// InterimFlood. Zero means their default; at most 1 GiB.
	Size int `json:"size"`
	// Healthy spares the request from this and every later rule.
	Healthy bool `json:"healthy"`

	// Latency is waited before the fault strikes, or before the healthy answer,
	// on top of the plan's Pace.
	Latency *Latency `json:"latency"`
	// Commit lets the service do its work before the fault takes the answer
	// away. It goes with Status, Statuses, Hang, Reset and Close; what strikes in
	// the service's answer itself comes after the work in any case.
	Commit bool `json:"commit"`
}

// Cut sends the beginning of the healthy answer, then ends the connection.
// Within the body, Content-Length promises the whole of it, and always more than
// is sent; in chunks the last, empty one does not come.
type Cut struct {
	// After is how much is sent, 0 and up, counted in Of; at most all there is.
	After int `json:"after"`
	// By is how the connection ends. Empty means FIN.
	By End `json:"by"`
	// Of is what After counts. Empty means Body.
	Of Part `json:"of"`
}

// Stall sends the beginning of the healthy answer, sends nothing for a while,
// then goes on.
type Stall struct {
	// After is how much is sent before, 0 and up, counted in Of; at most all
	// there is. Of: empty means Body.
	After int  `json:"after"`
	Of    Part `json:"of"`
	// For is how long nothing is sent. Zero means until the caller leaves.
	For time.Duration `json:"for"`
}

// Drip sends one part of the healthy answer in drops, the rest at once.
type Drip struct {
	// Of is what is sent in drops: Head, or Body, which empty means too.
	Of Part `json:"of"`
	// Bytes of a drop. Zero means 1.
	Bytes int `json:"bytes"`
	// Every is the time between two drops; above 0.
	Every time.Duration `json:"every"`
}

// Choice is one fault of a mix.
type Choice struct {
	// Weight is this choice's share of the sum of all weights; above 0.
	Weight float64 `json:"weight"`
	// Fault is any fault but another mix, a sequence or a quota. Healthy is a
	// choice too.
	Fault Fault `json:"fault"`
}

// strike is a fault that is settled but for its latency.
type strike struct {
	fault   *Fault // nil: a healthy answer
	latency Latency
	ids     []ID
}

// strikes is what a rule can deal out: by position (a sequence) or by weight.
type strikes struct {
	list     []strike
	sequence bool
	until    []float64 // running sum of the weights; empty unless a mix
}

func compileFault(f Fault) strikes {
	switch {
	case len(f.Statuses) > 0:
		s := strikes{sequence: true}
		for _, status := range f.Statuses {
			one := f
			one.Statuses, one.Status = nil, status
			if status < 300 {
				one = Fault{Healthy: true, Latency: f.Latency}
			}
			s.list = append(s.list, compileStrike(one))
		}
		return s
	case f.Quota != nil:
		f.Status = 429
		f.RetryAfter = time.Second // stands for what is left of the period
		return strikes{list: []strike{compileStrike(f)}}
	case len(f.Mix) > 0:
		var s strikes
		sum := 0.0
		for _, choice := range f.Mix {
			sum += choice.Weight
			s.list = append(s.list, compileStrike(choice.Fault))
			s.until = append(s.until, sum)
		}
		return s
	default:
		return strikes{list: []strike{compileStrike(f)}}
	}
}

func compileStrike(f Fault) strike {
	s := strike{ids: slices.Clip(f.ids())}
	if f.Latency != nil {
		s.latency = *f.Latency
		f.Latency = nil
	}
	if f.acts() {
		s.fault = &f
	}
	return s
}

// pick chooses the strike for the k-th selected request, counted from 0.
func (s *strikes) pick(k uint64, d draw) *strike {
	switch {
	case s.sequence:
		if k >= uint64(len(s.list)) {
			return nil
		}
		return &s.list[k]
	case len(s.until) > 0:
		at := d.u() * s.until[len(s.until)-1]
		for i, until := range s.until {
			if at < until {
				return &s.list[i]
			}
		}
		return &s.list[len(s.list)-1] // rounding put at on the very end
	default:
		return &s.list[0]
	}
}

// acts says whether a settled fault does anything beside waiting.
func (f *Fault) acts() bool {
	return len(f.actions()) > 0 && !f.Healthy
}

// AfterEffect says whether the service does its work before this settled fault
// strikes.
func (f *Fault) AfterEffect() bool {
	switch f.H1 {
	case "", Garbage, HTTP09, SwitchingProtocols:
	default:
		return true
	}
	switch f.H2 {
	case GoAwayGraceful, RSTAfterHeaders:
		return true
	}
	return f.Commit || f.Cut != nil || f.Stall != nil || f.Drip != nil || f.Hang == AfterHeaders ||
		f.Close == NextRequest || f.Reset == NextRequest || f.Gzip == GzipCorrupt || f.Gzip == GzipTruncated
}

// BeforeBody says whether this settled fault strikes before the request's body
// has been read.
func (f *Fault) BeforeBody() bool { return f.Upload != "" || f.H1 == ContinueNever }
