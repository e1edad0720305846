package fault

import (
	"slices"
	"time"
)

// Fault is one thing that goes wrong. Exactly one of Status, Statuses, Mix,
// Hang, Reset, Close, Cut and Healthy is set, or none of them beside a Latency,
// which then is the whole fault: a slow but healthy answer.
type Fault struct {
	// Status answers with this status, 200 to 599, instead of the service.
	Status int `json:"status"`
	// Statuses answers the first request that the rule selects with the first
	// status, the second with the second, and so on; after the last the rule
	// strikes no more. A status below 300 here is a healthy answer, so that
	// [503, 503, 200] reads as what it does. It counts requests by their number
	// and so cannot stand beside a Probability.
	Statuses []int `json:"statuses"`
	// Header is sent with Status and Statuses, Body in place of the status's
	// name. A Body is plain text unless Header says otherwise.
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
	// RetryAfter is sent with Status and Statuses as Retry-After, in seconds,
	// rounded up. Zero sends none.
	RetryAfter time.Duration `json:"retry_after"`

	// Mix deals out one of several faults by weight.
	Mix []Choice `json:"mix"`

	// Hang reads the request and never answers (BeforeAnswer), or answers with
	// headers and never sends the body (AfterHeaders). It lasts until the caller
	// leaves or the server is closed.
	Hang Point `json:"hang"`
	// Reset ends the connection with a RST. Only BeforeAnswer.
	Reset Point `json:"reset"`
	// Close ends the connection with a FIN. Only BeforeAnswer.
	Close Point `json:"close"`
	// Cut ends the connection within the body.
	Cut *Cut `json:"cut"`
	// Healthy spares the request from this and every later rule.
	Healthy bool `json:"healthy"`

	// Latency is waited before the fault strikes, or before the healthy answer,
	// on top of the plan's Pace.
	Latency *Latency `json:"latency"`
	// Commit lets the service do its work before the fault takes the answer
	// away. It goes with Status, Statuses, Hang, Reset and Close; a cut body and
	// a hang after the headers come after the work in any case.
	Commit bool `json:"commit"`
}

// Point is the place in an exchange at which a fault strikes.
type Point string

// The points. The request has been read in full at both.
const (
	BeforeAnswer Point = "before_answer" // nothing of the answer has been sent
	AfterHeaders Point = "after_headers" // status and headers have been sent, nothing of the body
)

// Cut sends the healthy answer's headers and the first After bytes of its body,
// then ends the connection. Content-Length promises the whole body, and always
// more than is sent.
type Cut struct {
	// After is how many bytes of the body are sent, 0 and up; at most the whole
	// body is.
	After int `json:"after"`
	// By is how the connection ends. Empty means FIN.
	By End `json:"by"`
}

// End is how a connection ends.
type End string

// The ends.
const (
	FIN End = "fin" // the ordinary end of a stream, here too early
	RST End = "rst" // a reset
)

// Choice is one fault of a mix.
type Choice struct {
	// Weight is this choice's share of the sum of all weights; above 0.
	Weight float64 `json:"weight"`
	// Fault is any fault but another mix or a sequence. Healthy is a choice too.
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
	return f.Status != 0 || f.Hang != "" || f.Reset != "" || f.Close != "" || f.Cut != nil
}

// AfterEffect says whether the service does its work before this settled fault
// strikes.
func (f *Fault) AfterEffect() bool {
	return f.Commit || f.Cut != nil || f.Hang == AfterHeaders
}
