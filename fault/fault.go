package fault

import (
	"slices"
	"time"
)

// Fault is one fault of a request. Exactly one of Status, Statuses, Mix, Quota,
// Redirect, Hang, Reset, Close, Cut, Stall, Drip, Upload, Gzip, Endless, API,
// Stream, H1, H2 and Healthy is set. If none is set, Latency must be: the answer is
// then slow but healthy.
type Fault struct {
	// Status answers with this status, 200 to 599, instead of the service.
	Status int `json:"status"`
	// Statuses is a sequence of answers: the first request that the rule
	// selects gets the first status, the second request the second status, and
	// so on. After the last the rule strikes no more. A status below 300 is a
	// healthy answer, as in [503, 503, 200]. Statuses cannot be combined with
	// Probability, since it counts requests.
	Statuses []int `json:"statuses"`
	// Header is sent with Status, Statuses and Quota.
	Header map[string]string `json:"header"`
	// Body replaces the status's name, or the error body of the plan's provider. It
	// is plain text unless Header gives another type.
	Body string `json:"body"`
	// RetryAfter is sent with Status and Statuses, and with API in the provider's
	// form. Zero sends no Retry-After, unless RetryAfterAs is a form that needs no
	// value.
	RetryAfter time.Duration `json:"retry_after"`
	// RetryAfterAs is the form of Retry-After. Empty means seconds, rounded up.
	RetryAfterAs RetryForm `json:"retry_after_as"`

	// Mix selects one of several faults by weight.
	Mix []Choice `json:"mix"`
	// Quota admits some requests in each period and answers the others with 429
	// and the time left in the period. It cannot be part of a Mix.
	Quota *Quota `json:"quota"`
	// Redirect answers with 307.
	Redirect Redirect `json:"redirect"`

	// Hang reads the request and never answers (BeforeAnswer), or sends headers
	// and never the body (AfterHeaders). It lasts until the caller leaves or
	// the server is closed.
	Hang Point `json:"hang"`
	// Reset ends the connection with a RST. It is BeforeAnswer or NextRequest.
	Reset Point `json:"reset"`
	// Close ends the connection with a FIN. It is BeforeAnswer or NextRequest,
	// which closes an idle connection at the moment of its reuse.
	Close Point `json:"close"`
	// Cut ends the connection within the answer.
	Cut *Cut `json:"cut"`
	// Stall stops within the answer and may go on later.
	Stall *Stall `json:"stall"`
	// Drip sends the answer in small pieces.
	Drip *Drip `json:"drip"`
	// Upload strikes before the request's body is read.
	Upload Upload `json:"upload"`
	// Gzip sends a bad compressed answer.
	Gzip Gzip `json:"gzip"`
	// Endless sends a body that ends only when the caller leaves.
	Endless bool `json:"endless"`
	// API answers with an error of the provider's API. It needs the plan's As.
	API API `json:"api"`
	// Stream is a defect of a streamed answer. It needs the plan's As.
	Stream Stream `json:"stream"`
	// Error is the error of APIErrorIn200, StreamErrorFirst and StreamErrorAfter.
	// Empty means overloaded.
	Error APIError `json:"error"`
	// Events is the number of events before a defect of StreamErrorAfter, StreamCut
	// and StreamMalformed, and of pings of StreamPings, at most MaxEvents. At most
	// all events except the end mark are sent. Zero means 3.
	Events int `json:"events"`
	// Every is the time between two pings of StreamPings. Zero sends them at once.
	Every time.Duration `json:"every"`
	// H1 violates the protocol HTTP/1.1.
	H1 H1 `json:"h1"`
	// H2 strikes in the frames of HTTP/2.
	H2 H2 `json:"h2"`
	// Size is the size of GzipBomb, HeaderOversized and InterimFlood in bytes,
	// at most 1 GiB. Zero means the default of each.
	Size int `json:"size"`
	// Healthy exempts the request from this rule and all later ones.
	Healthy bool `json:"healthy"`

	// Latency passes before the fault strikes or the healthy answer is sent, in
	// addition to the plan's Pace.
	Latency *Latency `json:"latency"`
	// Commit lets the service do its work before the fault strikes. It is valid
	// with Status, Statuses, API, Hang, Reset and Close. Faults within the service's
	// answer always strike after the work.
	Commit bool `json:"commit"`
}

// Cut sends the beginning of the healthy answer, then ends the connection.
// Within the body, Content-Length promises the whole body, and always more than
// is sent. In chunks, the last, empty chunk is missing.
type Cut struct {
	// After is the amount to send, 0 or more, in units of Of. At most the whole
	// answer is sent.
	After int `json:"after"`
	// By is the way the connection ends. Empty means FIN.
	By End `json:"by"`
	// Of is the unit of After. Empty means Body.
	Of Part `json:"of"`
}

// Stall sends the beginning of the healthy answer, stops for a time, then goes on.
type Stall struct {
	// After is the amount to send before the stall, 0 or more, in units of Of.
	// At most the whole answer is sent.
	After int `json:"after"`
	// Of is the unit of After. Empty means Body.
	Of Part `json:"of"`
	// For is the duration of the stall. Zero means until the caller leaves.
	For time.Duration `json:"for"`
}

// Drip sends one part of the healthy answer in small pieces, the rest at once.
type Drip struct {
	// Of is the part to send in pieces: Head or Body. Empty means Body.
	Of Part `json:"of"`
	// Bytes is the size of a piece. Zero means 1.
	Bytes int `json:"bytes"`
	// Every is the time between two pieces, above 0.
	Every time.Duration `json:"every"`
}

// Choice is one fault of a Mix.
type Choice struct {
	// Weight is the choice's share in the sum of all weights, above 0.
	Weight float64 `json:"weight"`
	// Fault is any fault except Mix, Statuses and Quota. Healthy is allowed.
	Fault Fault `json:"fault"`
}

// strike is a resolved fault and its latency.
type strike struct {
	fault   *Fault // nil: healthy answer
	latency Latency
	ids     []ID
}

// strikes are the possible strikes of a rule, selected by position (a sequence)
// or by weight.
type strikes struct {
	list     []strike
	sequence bool
	until    []float64 // running sum of the weights; empty without Mix
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
		f.RetryAfter = time.Second // placeholder for the time left in the period
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

// pick selects the strike for request k of the selected requests, counted from 0.
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
		return &s.list[len(s.list)-1] // at is the end of the range, by rounding
	default:
		return &s.list[0]
	}
}

// acts reports whether a resolved fault does more than wait.
func (f *Fault) acts() bool {
	return len(f.actions()) > 0 && !f.Healthy
}

// AfterEffect reports whether the service does its work before this resolved
// fault strikes.
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
	return f.Commit || f.Stream != "" && f.Stream != StreamErrorFirst || f.Cut != nil || f.Stall != nil || f.Drip != nil || f.Hang == AfterHeaders ||
		f.Close == NextRequest || f.Reset == NextRequest || f.Gzip == GzipCorrupt || f.Gzip == GzipTruncated
}

// BeforeBody reports whether this resolved fault strikes before the request's
// body has been read.
func (f *Fault) BeforeBody() bool { return f.Upload != "" || f.H1 == ContinueNever }
