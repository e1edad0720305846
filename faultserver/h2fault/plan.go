package h2fault

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/fault"
)

// The ids of words that strike a stream differently than a connection.
const (
	IDRSTAfterData   fault.ID = "h2.rst_stream_after_data" // cut of the body by rst
	IDEndStreamEarly fault.ID = "h2.end_stream_early"      // cut of the body by fin
	IDFlowStall      fault.ID = "h2.flow_stall"            // upload stall
)

// renamed maps the plan's ids of those words to the ids of this package.
var renamed = map[fault.ID]fault.ID{
	fault.IDCutRST: IDRSTAfterData,
	fault.IDCutFIN: IDEndStreamEarly,
	"upload.stall": IDFlowStall,
}

// Catalog lists every HTTP/2 fault of this server. A test proves each of them
// on the wire. The faults that it shares with package faultserver are in
// [fault.Catalog].
func Catalog() []fault.Entry {
	return []fault.Entry{
		{ID: "h2.goaway_graceful", Purpose: "a server that is being replaced: it finishes the streams it has begun and accepts no more",
			Faithful: "fully: GOAWAY with NO_ERROR and the last accepted stream, the answers of accepted streams, then a FIN. Later streams are ignored"},
		{ID: "h2.goaway_excluding", Purpose: "a server that goes away and reports a request as not processed: it can be sent again, whatever its method",
			Faithful: "fully: GOAWAY with NO_ERROR and a last stream below this one, of which no work is done, nor of any later one. Earlier streams are answered, then a FIN"},
		{ID: "h2.goaway_enhance_your_calm", Purpose: "a server that closes the connection of a client with too many requests",
			Faithful: "fully: GOAWAY with ENHANCE_YOUR_CALM and this stream as the last, then a FIN in the middle of all others, as common servers do"},
		{ID: "h2.rst_stream_refused", Purpose: "a stream that is refused before any work: it can be sent again, whatever its method",
			Faithful: "fully: RST_STREAM with REFUSED_STREAM instead of headers; the connection goes on. The body is read before, as with a server that refuses late"},
		{ID: "h2.rst_stream_internal", Purpose: "a server that resets one stream and may have begun its work",
			Faithful: "fully: RST_STREAM with INTERNAL_ERROR instead of headers; the connection goes on"},
		{ID: "h2.rst_stream_after_headers", Purpose: "a server that resets a stream after the headers",
			Faithful: "fully: HEADERS, then RST_STREAM with INTERNAL_ERROR; the connection goes on"},
		{ID: IDRSTAfterData, Purpose: "a server that resets a stream within its answer",
			Faithful: "fully: exactly the given bytes, then RST_STREAM with INTERNAL_ERROR; a client may discard bytes that it has not read. The connection goes on"},
		{ID: IDEndStreamEarly, Purpose: "an answer that ends regularly before its content-length",
			Faithful: "fully: exactly the given bytes, the last with END_STREAM, and a content-length that promises more; the connection goes on"},
		{ID: "h2.max_concurrent_1", Purpose: "a server that serves one request of a connection at a time",
			Faithful: "fully: SETTINGS_MAX_CONCURRENT_STREAMS is 1 from the first frame, and a second stream, from a client that did not wait for the settings, gets REFUSED_STREAM before the plan's rules see it"},
		{ID: "h2.ping_silence", Purpose: "a connection that looks alive and is dead: together with a hang, only an unanswered PING shows it",
			Faithful: "PING is read and never answered; everything else is served, so that a rule that hangs makes the connection dead"},
		{ID: IDFlowStall, Purpose: "a server that stops reading one upload: its window never grows",
			Faithful: "fully: no WINDOW_UPDATE for the stream beyond its first 65,535 bytes, and no answer; the connection's window grows, so that other streams go on"},
	}
}

// compile compiles a plan and checks that this server supports it.
func (s *Server) compile(plan fault.Plan) (*fault.Machine, error) {
	plan = s.asProvider(plan)
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
	c.refuse(plan.Capacity != nil, "capacity", "is not supported")
	if plan.As == "" {
		for _, path := range plan.NeedProvider() {
			c.problems = append(c.problems, fault.Problem{Path: path, Message: "needs a provider: set the plan's as, or use the option As"})
		}
	}
	if len(c.problems) > 0 {
		return nil, fmt.Errorf("h2fault: %w", &fault.Error{Problems: c.problems})
	}
	return machine, nil
}

// checker collects the unsupported parts of a well-formed plan.
type checker struct{ problems []fault.Problem }

func (c *checker) refuse(has bool, path, what string) {
	if has {
		c.problems = append(c.problems, fault.Problem{Path: path, Message: what + " on this HTTP/2 server: use package faultserver"})
	}
}

func (c *checker) connection(path string, f fault.ConnFault) {
	c.refuse(f.Refuse, path+".refuse", "is not supported")
	c.refuse(f.TLS != "", path+".tls", "is not supported")
}

func (c *checker) request(path string, f fault.Fault) {
	c.refuse(f.Redirect != "", path+".redirect", "is not supported")
	c.refuse(f.Reset == fault.NextRequest, path+".reset", `"next_request" is not supported`)
	c.refuse(f.Close == fault.NextRequest, path+".close", `"next_request" is not supported`)
	c.refuse(f.Drip != nil, path+".drip", "is not supported")
	c.refuse(f.Gzip != "", path+".gzip", "is not supported")
	c.refuse(f.Endless, path+".endless", "is not supported")
	c.refuse(f.H1 != "", path+".h1", "is not supported")
	c.refuse(f.Upload != "" && f.Upload != fault.UploadStall, path+".upload", fmt.Sprintf("%q is not supported", f.Upload))
	c.refuse(f.RetryAfterAs != "" && f.RetryAfterAs != fault.RetrySeconds, path+".retry_after_as", fmt.Sprintf("%q is not supported", f.RetryAfterAs))
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
	c.refuse(part != "" && part != fault.Body, path, fmt.Sprintf("%q is not supported", part))
}

// named returns the ids of a request's faults in this package.
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
