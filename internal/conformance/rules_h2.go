package conformance

import "github.com/holdfast-go/holdfast/fault"

// overH2 returns the rule for HTTP/2.
func overH2(r Rule) Rule {
	r.TLS, r.H2 = true, true
	return r
}

// untouched returns the rule of a POST that the server reports as not processed.
func untouched(id fault.ID, f fault.H2, why string) Rule {
	return overH2(Rule{
		Fault: id, Plan: once(fault.Fault{H2: f}), Method: "POST", Body: 200,
		Want: Answered, Least: 2, Most: 2, Why: why, Sources: []string{notStarted},
	})
}

// h2Rules are about the frames of HTTP/2. Runner.H2 starts their server.
var h2Rules = []Rule{
	overH2(Rule{
		Fault: "h2.goaway_graceful", Plan: once(fault.Fault{H2: fault.GoAwayGraceful}),
		Want: Answered, Least: 1, Most: 1,
		Why:     "accepted requests are answered, and later ones use another connection",
		Sources: []string{"RFC 9113, 6.8: GOAWAY allows an endpoint to stop accepting new streams while it finishes earlier ones"},
	}),
	untouched("h2.goaway_excluding", fault.GoAwayExcluding, "a POST that the GOAWAY excludes was not started: it is sent again"),
	overH2(repeated("h2.goaway_enhance_your_calm", fault.Fault{H2: fault.GoAwayCalm},
		"after the service closes the connection, the client retries on another connection after a wait", "RFC 9113, 7: ENHANCE_YOUR_CALM")),
	untouched("h2.rst_stream_refused", fault.RSTRefused, "a POST on a refused stream was not started: it is sent again"),
	overH2(repeated("h2.rst_stream_internal", fault.Fault{H2: fault.RSTInternal},
		"a GET is retried after its stream failed", resetStream)),
	overH2(live(early, repeated("h2.rst_stream_after_headers", fault.Fault{H2: fault.RSTAfterHeaders},
		"headers alone are not the answer", resetStream))),
	overH2(live(partial, repeated("h2.rst_stream_after_data", fault.Fault{Cut: &fault.Cut{After: 10, By: fault.RST}},
		"a part of a body is not the answer", resetStream))),
	overH2(live(partial, repeated("h2.end_stream_early", fault.Fault{Cut: &fault.Cut{After: 10}},
		"a body shorter than announced is not the answer", "RFC 9113, 8.1.1: such a response is malformed"))),
	overH2(Rule{
		Fault: "h2.max_concurrent_1", Plan: everyConnection(fault.ConnFault{H2: fault.MaxConcurrent1}),
		Calls: 3, AtOnce: true, Want: Answered, Least: 3, Most: 9,
		Why:     "a client that is limited to one stream waits, or opens another connection",
		Sources: []string{"RFC 9113, 5.1.2: endpoints must not exceed the limit set by their peer", notStarted},
	}),
	overH2(Rule{
		Fault: "h2.ping_silence", Plan: fault.Plan{
			Connections: []fault.ConnRule{{Fault: fault.ConnFault{H2: fault.PingSilence}}},
			Rules:       []fault.Rule{{Nth: "1", Fault: fault.Fault{Hang: fault.BeforeAnswer}}},
		},
		Want: Answered, Least: 2, Most: 2,
		Why:     "a connection that no longer carries data costs one attempt",
		Sources: []string{"RFC 9113, 6.7: PING determines whether an idle connection is still functional", transient},
	}),
	overH2(Rule{
		Fault: "h2.flow_stall", Plan: once(fault.Fault{Upload: fault.UploadStall}),
		Method: "PUT", Body: 1 << 20, Want: Answered, Least: 2, Most: 2,
		Why:     "if the flow control window never grows, the upload ends at the limit, and the whole body is sent again",
		Sources: []string{transient, mayRepeat},
	}),
}
