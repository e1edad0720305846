package conformance

import (
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// repeated returns the rule of a GET with a first answer that fails visibly: it
// is repeated once, and the caller gets the answer.
func repeated(id fault.ID, f fault.Fault, why string, sources ...string) Rule {
	return Rule{Fault: id, Plan: once(f), Want: Answered, Least: 2, Most: 2, Why: why, Sources: append(sources, mayRepeat)}
}

// sdkTransport is the contender that hands out each answer with its headers, and the
// body while it arrives, because a stream must start before it has ended.
const sdkTransport = "holdfast, SDK transport"

// Why sdkTransport cannot repeat a request after the headers of its answer.
const (
	early   = "the call has returned with the headers, as it must for a stream: the caller gets the error from the body"
	partial = "the caller reads the body while it arrives, and may have used the part before the failure: it gets an error after that part"
	slow    = "the caller reads the body while it arrives, and a stream may pause: it gets an error at the limit of a pause or of the call"
)

// live returns the rule with the reason why sdkTransport loses it.
func live(reason string, r Rule) Rule {
	r.Losses = map[string]string{sdkTransport: reason}
	return r
}

// drop is the interval of a drip: each gap is short, but the whole takes minutes.
const drop = 40 * time.Millisecond

// bodyRules are about answers that stop, break off or never end.
var bodyRules = []Rule{
	repeated(fault.IDHeadCutFIN, fault.Fault{Cut: &fault.Cut{Of: fault.Head, After: 20}},
		"incomplete headers are not an answer", incomplete),
	repeated(fault.IDHeadCutRST, fault.Fault{Cut: &fault.Cut{Of: fault.Head, After: 20, By: fault.RST}},
		"incomplete headers are not an answer", incomplete),
	repeated(fault.IDHeadStall, fault.Fault{Stall: &fault.Stall{Of: fault.Head, After: 20}},
		"headers that stop arriving end at the limit", transient),
	repeated(fault.IDHeadDrip, fault.Fault{Drip: &fault.Drip{Of: fault.Head, Every: drop}},
		"headers that arrive byte by byte end at the limit: each gap is short, but the total time is long", maxTime, transient),
	live(early, repeated(fault.IDBodyHang, fault.Fault{Hang: fault.AfterHeaders},
		"a body that never arrives ends at the limit", transient)),
	live(partial, repeated(fault.IDCutFIN, fault.Fault{Cut: &fault.Cut{After: 10}},
		"a part of a body is not the answer", incomplete)),
	live(partial, repeated(fault.IDCutRST, fault.Fault{Cut: &fault.Cut{After: 10, By: fault.RST}},
		"a part of a body is not the answer", incomplete)),
	live(partial, repeated(fault.IDChunkCutFIN, fault.Fault{Cut: &fault.Cut{Of: fault.Chunks, After: 2}},
		"a chunked body without its end is not the answer", incomplete)),
	live(partial, repeated(fault.IDChunkCutRST, fault.Fault{Cut: &fault.Cut{Of: fault.Chunks, After: 2, By: fault.RST}},
		"a chunked body without its end is not the answer", incomplete)),
	live(slow, repeated(fault.IDBodyStall, fault.Fault{Stall: &fault.Stall{After: 10}},
		"a body that stops arriving ends at the limit", transient)),
	live(slow, repeated(fault.IDChunkStall, fault.Fault{Stall: &fault.Stall{Of: fault.Chunks, After: 2}},
		"a chunked body that stops arriving ends at the limit", transient)),
	live(slow, repeated(fault.IDBodyDrip, fault.Fault{Drip: &fault.Drip{Every: drop}},
		"a body that arrives byte by byte ends at the limit: each gap is short, but the total time is long", maxTime, transient)),
	{
		Fault: fault.IDEndless, Plan: always(fault.Fault{Endless: true}),
		Want: Refused, Least: 1,
		Why:     "an endless body is an error at the caller's size limit",
		Sources: []string{maxFilesize, maxTime},
	},
	{
		Fault: "body.gzip_bomb", Plan: always(fault.Fault{Gzip: fault.GzipBomb, Size: 16 << 20}),
		Want: Refused, Least: 1,
		Why:     "the caller's size limit applies after decompression",
		Sources: []string{"CWE-409: improper handling of highly compressed data", maxFilesize},
	},
	live(partial, repeated("body.gzip_corrupt", fault.Fault{Gzip: fault.GzipCorrupt},
		"an answer with a wrong checksum is not the answer", "RFC 1952, 2.3.1: CRC32", incomplete)),
	live(partial, repeated("body.gzip_truncated", fault.Fault{Gzip: fault.GzipTruncated},
		"half of a compressed answer is not the answer", "RFC 1952, 2.3: a member ends with its trailer", incomplete)),
}

// protocolRules are about services that violate HTTP/1.1.
var protocolRules = []Rule{
	live(partial, repeated("h1.content_length_long", fault.Fault{H1: fault.ContentLengthLong},
		"a body shorter than announced is not the answer", incomplete)),
	{
		Fault: "h1.content_length_short", Plan: once(fault.Fault{H1: fault.ContentLengthShort}),
		Want: Undetectable, Least: 1, Most: 2,
		Why:     "bytes after the announced length are never taken for the next answer",
		Sources: []string{surplusData},
	},
	repeated("h1.content_length_conflict", fault.Fault{H1: fault.ContentLengthConflict},
		"an answer with two different lengths is discarded", "RFC 9112, 6.3: a user agent must close the connection and discard the response"),
	live(partial, repeated("h1.chunk_size_malformed", fault.Fault{H1: fault.ChunkSizeMalformed},
		"a body that cannot be read to its end is not the answer", incomplete)),
	live(partial, repeated("h1.last_chunk_missing", fault.Fault{H1: fault.LastChunkMissing},
		"a body without its end is not the answer", incomplete)),
	{
		Fault: "h1.close_delimited_cut", Plan: once(fault.Fault{H1: fault.CloseDelimitedCut}),
		Want: Undetectable, Least: 1, Most: 2,
		Why:     "the missing part cannot be detected on the wire",
		Sources: []string{"RFC 9112, 6.3: without a length the end of the connection ends the body"},
	},
	repeated("h1.header_malformed", fault.Fault{H1: fault.HeaderMalformed},
		"an answer with an invalid header line is not an answer", "RFC 9112, 5: each field line is a name, a colon and a value"),
	repeated("h1.header_oversized", fault.Fault{H1: fault.HeaderOversized},
		"headers are read up to a size limit", "RFC 9110, 5.4: a client may discard or truncate what is larger than it is ready for"),
	repeated("h1.garbage", fault.Fault{H1: fault.Garbage},
		"bytes that are not HTTP are not an answer", "RFC 9112, 4: a response begins with a status line"),
	repeated("h1.http09", fault.Fault{H1: fault.HTTP09},
		"a body without headers is not an answer", "RFC 9112, 4: a response begins with a status line", "curl(1), --http0.9: off unless asked for"),
	{
		Fault: "h1.interim_flood", Plan: once(fault.Fault{H1: fault.InterimFlood}),
		Want: Answered, Least: 1, Most: 2,
		Why:     "the client skips interim answers, or stops after a limit",
		Sources: []string{"RFC 9110, 15.2: a client must be able to parse one or more 1xx before the final response", mayRepeat},
	},
	{
		Fault: "h1.continue_never", Plan: always(fault.Fault{H1: fault.ContinueNever}),
		Method: "PUT", Body: 64 << 10, Expect: true, Attempt: 2 * time.Second, Want: Answered, Least: 1, Most: 1,
		Why:     "the client does not wait forever for a 100 that does not come",
		Sources: []string{"RFC 9110, 10.1.1: a client should not wait for an indefinite period before it sends the content", "curl(1), --expect100-timeout: one second"},
	},
	{
		Fault: "h1.surplus_at_once", Plan: always(fault.Fault{H1: fault.SurplusAtOnce}),
		Calls: 3, Lives: true, Want: Answered, Least: 3,
		Why:     "a second answer behind the first is not taken for the answer to the next request",
		Sources: []string{surplusData},
	},
	{
		Fault: "h1.surplus_later", Plan: always(fault.Fault{H1: fault.SurplusLater}),
		Calls: 3, Every: 50 * time.Millisecond, Lives: true, Want: Answered, Least: 3,
		Why:     "a second answer that arrives on an idle connection is not taken for the answer to the next request",
		Sources: []string{surplusData},
	},
	{
		Fault: "h1.surplus_next_request", Plan: once(fault.Fault{H1: fault.SurplusNextRequest}),
		Calls: 2, Lives: true, Want: Undetectable, Least: 1,
		Why:     "a second answer that arrives after the next request was begun looks like its answer",
		Sources: []string{surplusData},
	},
	{
		Fault: "h1.switching_protocols", Plan: once(fault.Fault{H1: fault.SwitchingProtocols}),
		Want: Honest, Status: 101, Least: 1,
		Why:     "a 101 without an Upgrade request is not an answer, and the client does not wait for more",
		Sources: []string{"RFC 9110, 7.8: a server must not switch to a protocol that the client did not indicate"},
	},
}
