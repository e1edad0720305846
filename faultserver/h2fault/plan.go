package h2fault

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/fault"
)

// The ids of the plan's words that strike a stream otherwise than they strike a
// connection.
const (
	IDRSTAfterData   fault.ID = "h2.rst_stream_after_data" // cut of the body by rst
	IDEndStreamEarly fault.ID = "h2.end_stream_early"      // cut of the body by fin
	IDFlowStall      fault.ID = "h2.flow_stall"            // upload stall
)

// renamed are the ids that a plan gives to those words.
var renamed = map[fault.ID]fault.ID{
	fault.IDCutRST: IDRSTAfterData,
	fault.IDCutFIN: IDEndStreamEarly,
	"upload.stall": IDFlowStall,
}

// Catalog lists every fault in the frames of HTTP/2 that this server has, each
// with a test that proves it on the wire. The faults that it shares with package
// faultserver stand in [fault.Catalog].
func Catalog() []fault.Entry {
	return []fault.Entry{
		{ID: "h2.goaway_graceful", Purpose: "a server that is being replaced: what it has begun it finishes, what comes now belongs elsewhere",
			Faithful: "fully: GOAWAY with NO_ERROR and the last stream it took, the answers of those, then a FIN. Later streams are passed over in silence"},
		{ID: "h2.goaway_excluding", Purpose: "a request that a server which is going away has not looked at, and says so: it can be sent again whatever it is",
			Faithful: "fully: GOAWAY with NO_ERROR and a last stream below this one, of which no work is done, nor of any later one. Earlier streams are answered, then a FIN"},
		{ID: "h2.goaway_enhance_your_calm", Purpose: "a server that throws out a client which asks too much of it",
			Faithful: "fully: GOAWAY with ENHANCE_YOUR_CALM and this stream as the last, then a FIN in the middle of all others, as common servers do"},
		{ID: "h2.rst_stream_refused", Purpose: "a stream that was refused before any work: it can be sent again whatever it is",
			Faithful: "fully: RST_STREAM with REFUSED_STREAM instead of headers; the connection goes on. The body was read before, as a server does that refuses late"},
		{ID: "h2.rst_stream_internal", Purpose: "a server that gives one stream up, and may have begun its work",
			Faithful: "fully: RST_STREAM with INTERNAL_ERROR instead of headers; the connection goes on"},
		{ID: "h2.rst_stream_after_headers", Purpose: "a server that gives a stream up after it has announced the answer",
			Faithful: "fully: HEADERS, then RST_STREAM with INTERNAL_ERROR; the connection goes on"},
		{ID: IDRSTAfterData, Purpose: "a server that gives a stream up within its answer",
			Faithful: "fully: exactly the bytes named, then RST_STREAM with INTERNAL_ERROR; a client may forget bytes that it has not read. The connection goes on"},
		{ID: IDEndStreamEarly, Purpose: "an answer that ends properly, and shorter than its content-length says",
			Faithful: "fully: exactly the bytes named, the last with END_STREAM, under a content-length that promises more; the connection goes on"},
		{ID: "h2.max_concurrent_1", Purpose: "a server that serves one request of a connection at a time",
			Faithful: "fully: SETTINGS_MAX_CONCURRENT_STREAMS is 1 from the first frame, and a stream beyond it, as of a client that did not wait for the settings, gets REFUSED_STREAM before the plan's rules see it"},
		{ID: "h2.ping_silence", Purpose: "a connection that looks alive and is dead: beside a hang, only an unanswered PING shows it",
			Faithful: "PING is read and never answered; everything else is served, so that a rule that hangs beside it makes the connection dark"},
		{ID: IDFlowStall, Purpose: "a server that stops reading one upload: its window never grows",
			Faithful: "fully: no WINDOW_UPDATE for the stream beyond its first 65,535 bytes, and no answer; the connection's own window grows, so that other streams go on"},
	}
}

// compile makes a machine of a plan that this server can follow.
func compile(plan fault.Plan) (*fault.Machine, error) {
	machine, err := plan.Compile()
	if err != nil {
		return nil, fmt.Errorf("h2fault: %w", err)
	}
	var c checker
	for i, r := range plan.Connections {
		c.connection(fmt.Sprintf("connections[%d].fault", i), r.Fault)
	}
	for i, r := range plan.Rules {
		c.request(fmt.Sprintf("rules[%d].fault", i), r.Fault)
	}
	c.refuse(plan.Capacity != nil, "capacity", "has no meaning")
	if len(c.problems) > 0 {
		return nil, fmt.Errorf("h2fault: %w", &fault.Error{Problems: c.problems})
	}
	return machine, nil
}

// checker collects what has no meaning here. The plan is well-formed.
type checker struct{ problems []fault.Problem }

func (c *checker) refuse(has bool, path, what string) {
	if has {
		c.problems = append(c.problems, fault.Problem{Path: path, Message: what + " on this HTTP/2 server: package faultserver has it"})
	}
}

func (c *checker) connection(path string, f fault.ConnFault) {
	c.refuse(f.Refuse, path+".refuse", "has no meaning")
	c.refuse(f.TLS != "", path+".tls", "has no meaning")
}

func (c *checker) request(path string, f fault.Fault) {
	c.refuse(f.Redirect != "", path+".redirect", "has no meaning")
	c.refuse(f.Reset == fault.NextRequest, path+".reset", `"next_request" has no meaning`)
	c.refuse(f.Close == fault.NextRequest, path+".close", `"next_request" has no meaning`)
	c.refuse(f.Drip != nil, path+".drip", "has no meaning")
	c.refuse(f.Gzip != "", path+".gzip", "has no meaning")
	c.refuse(f.Endless, path+".endless", "has no meaning")
	c.refuse(f.H1 != "", path+".h1", "has no meaning")
	c.refuse(f.Upload != "" && f.Upload != fault.UploadStall, path+".upload", fmt.Sprintf("%q has no meaning", f.Upload))
	c.refuse(f.RetryAfterAs != "" && f.RetryAfterAs != fault.RetrySeconds, path+".retry_after_as", fmt.Sprintf("%q has no meaning", f.RetryAfterAs))
	if f.Cut != nil {
		c.body(path+".cut.of", f.Cut.Of)
	}
	if f.Stall != nil {
		c.body(path+".stall.of", f.Stall.Of)
	}
	for i, choice := range f.Mix {
		c.request(fmt.Sprintf("%s.mix[%d].fault", path, i), choice.Fault)
	}
}

func (c *checker) body(path string, part fault.Part) {
	c.refuse(part != "" && part != fault.Body, path, fmt.Sprintf("%q has no meaning", part))
}

// named gives the ids under which a request's faults are known here.
func named(ids []fault.ID) []fault.ID {
	isRenamed := func(id fault.ID) bool { return renamed[id] != "" }
	if !slices.ContainsFunc(ids, isRenamed) {
		return ids
	}
	own := slices.Clone(ids) // the plan's list is shared
	for i, id := range own {
		own[i] = cmp.Or(renamed[id], id)
	}
	return own
}
