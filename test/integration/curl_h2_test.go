package integration

import (
	"testing"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
)

// Most use TLS, since curl 7.88.1 cannot reuse a connection with prior
// knowledge: it ends with h2Framing, also with net/http's server.
const prior = "--http2-prior-knowledge "

// curlMeetsH2 has a meeting for every fault of package h2fault.
var curlMeetsH2 = map[fault.ID]meeting{
	"h2.goaway_graceful": {plan: first(fault.Fault{H2: fault.GoAwayGraceful}), tls: true, args: "URL", exit: []int{done}, server: connections(2),
		why: "nothing is lost, and the next request has a connection of its own"},
	"h2.goaway_excluding": {fault: fault.Fault{H2: fault.GoAwayExcluding}, tls: true, exit: []int{h2Framing, receiveError, h2Stream},
		why: "7.88.1 gives up; later ones try again, until they give up (curl pull requests 12054 and 22946)"},
	"h2.goaway_enhance_your_calm": {fault: fault.Fault{H2: fault.GoAwayCalm}, args: prior, exit: []int{partial, h2Framing},
		why: "7.88.1 goes by the end of the connection; later ones say partial only if a part has come"},
	// curl repeats refused streams five times, on new connections.
	"h2.rst_stream_refused":       {fault: fault.Fault{H2: fault.RSTRefused}, tls: true, exit: []int{receiveError}, server: connections(6)},
	"h2.rst_stream_internal":      {fault: fault.Fault{H2: fault.RSTInternal}, tls: true, exit: []int{h2Stream}, says: "INTERNAL_ERROR"},
	"h2.rst_stream_after_headers": {fault: fault.Fault{H2: fault.RSTAfterHeaders}, args: prior, exit: []int{h2Stream}, says: "INTERNAL_ERROR"},
	h2fault.IDRSTAfterData:        {fault: fault.Fault{Cut: &fault.Cut{After: 10, By: fault.RST}}, args: prior, exit: []int{h2Stream}, says: "INTERNAL_ERROR"},
	// The answer is malformed (RFC 9113, 8.1.1).
	h2fault.IDEndStreamEarly: {fault: fault.Fault{Cut: &fault.Cut{After: 10}}, tls: true, exit: []int{h2Stream}, says: "PROTOCOL_ERROR"},
	"h2.max_concurrent_1": {conn: fault.ConnFault{H2: fault.MaxConcurrent1}, tls: true, args: "--parallel URL URL", exit: []int{done},
		why: "curl waits its turn, and sends again what it sent before it had read the settings",
		server: func(t *testing.T, s server) {
			answered := 0
			for _, a := range s.Record() {
				if a.Status == 200 {
					answered++
				}
			}
			if answered != 3 {
				t.Errorf("%d answers: %+v", answered, s.Record())
			}
		}},
	// curl sends no PING, so the limit ends it.
	"h2.ping_silence": {plan: fault.Plan{
		Connections: []fault.ConnRule{{Fault: fault.ConnFault{H2: fault.PingSilence}}},
		Rules:       []fault.Rule{{Fault: fault.Fault{Hang: fault.BeforeAnswer}}},
	}, args: prior + impatient, exit: []int{timeout}},
	h2fault.IDFlowStall: {fault: fault.Fault{Upload: fault.UploadStall}, tls: true, args: "--data-binary @LARGE" + impatient, exit: []int{timeout}},
}
