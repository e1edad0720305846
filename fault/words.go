package fault

import (
	"reflect"
	"slices"
)

// The words of a plan that choose one of several. Each kind of word stands in
// vocabulary, which validation, the ids and the schema read.

// Point is the place in an exchange at which a fault strikes.
type Point string

// The points. The request has been read in full at all of them.
const (
	BeforeAnswer Point = "before_answer" // nothing of the answer has been sent
	AfterHeaders Point = "after_headers" // status and headers have been sent, nothing of the body
	NextRequest  Point = "next_request"  // the answer was sent whole, and the connection's next request is just arriving
)

// End is how a connection ends.
type End string

// The ends.
const (
	FIN End = "fin" // the ordinary end of a stream, here too early
	RST End = "rst" // a reset
)

// Part is a part of an answer, in which something is counted.
type Part string

// The parts.
const (
	Head   Part = "head"   // bytes of the status line and the headers
	Body   Part = "body"   // bytes of the body
	Chunks Part = "chunks" // pieces of the body: those of a streaming service, else of 16 bytes each
)

// RetryForm is how a Retry-After is written.
type RetryForm string

// The forms. The first three carry the plan's retry_after; the others are what
// a client must not fall for, and need none.
const (
	RetrySeconds  RetryForm = "seconds"  // Retry-After: 2, rounded up; the default
	RetryDate     RetryForm = "date"     // Retry-After: Sun, 22 Nov 2026 02:42:12 GMT, rounded up to a second
	RetryMillis   RetryForm = "ms"       // retry-after-ms: 1500, as several APIs send it
	RetryPast     RetryForm = "past"     // a date one hour ago
	RetryHuge     RetryForm = "huge"     // 31536000: a year
	RetryOverflow RetryForm = "overflow" // 9223372037: the first second that a time.Duration cannot hold
	RetryGarbage  RetryForm = "garbage"  // soon
)

// Redirect is where a redirect leads. It is answered with 307, which asks for
// the same method and body.
type Redirect string

// The redirects.
const (
	RedirectLoop      Redirect = "loop"      // to the very same place
	RedirectElsewhere Redirect = "elsewhere" // to the same path of another origin: this server under its other name, localhost or 127.0.0.1
)

// Upload is what happens to a request whose body is still on its way.
type Upload string

// The uploads.
const (
	UploadStall         Upload = "stall"          // the body is not read, and nothing is answered
	UploadAnsweredEarly Upload = "answered_early" // 413 is answered before the body is read; what still comes is thrown away
)

// Gzip is what is wrong with a compressed answer. It is sent whether or not
// the request accepts gzip.
type Gzip string

// The gzips.
const (
	GzipBomb      Gzip = "bomb"      // a few hundred kB that become Size bytes of zeros; default 256 MiB
	GzipCorrupt   Gzip = "corrupt"   // the service's answer with a wrong checksum
	GzipTruncated Gzip = "truncated" // the first half of the compressed answer, under a Content-Length that fits it
)

// H1 is an answer that breaks HTTP/1.1 in one way and is the service's own
// answer otherwise. The connection is closed after it.
type H1 string

// The ways to break HTTP/1.1.
const (
	ContentLengthLong     H1 = "content_length_long"     // Content-Length promises 10 bytes more than come
	ContentLengthShort    H1 = "content_length_short"    // Content-Length promises half of what comes; the connection stays open
	ContentLengthConflict H1 = "content_length_conflict" // two headers with different lengths
	ChunkSizeMalformed    H1 = "chunk_size_malformed"    // one good chunk, then a size that is no number
	LastChunkMissing      H1 = "last_chunk_missing"      // all of the body in chunks, then a FIN instead of the last, empty one
	CloseDelimitedCut     H1 = "close_delimited_cut"     // no Content-Length, half of the body, and a FIN: nothing shows that something is missing
	HeaderMalformed       H1 = "header_malformed"        // a header line without a colon
	HeaderOversized       H1 = "header_oversized"        // a header of Size bytes; default 16 MiB
	Garbage               H1 = "garbage"                 // bytes that are no HTTP instead of an answer
	HTTP09                H1 = "http09"                  // the body alone, as HTTP/0.9 answered
	InterimFlood          H1 = "interim_flood"           // Size bytes of 103 answers before the real one; default 1 MiB
	ContinueNever         H1 = "continue_never"          // no 100 for a request that waits for one: its body comes late, or never
	SwitchingProtocols    H1 = "switching_protocols"     // a 101 that nobody asked for, then silence
)

// H2 is a fault in the frames of HTTP/2. Package faultserver speaks HTTP/1.1
// and refuses a plan that has one.
type H2 string

// The faults of a request, and, the last two, those of a whole connection.
const (
	GoAwayGraceful  H2 = "goaway_graceful"          // GOAWAY without an error; this stream is answered
	GoAwayExcluding H2 = "goaway_excluding"         // GOAWAY whose last stream id is below this stream's
	GoAwayCalm      H2 = "goaway_enhance_your_calm" // GOAWAY with ENHANCE_YOUR_CALM
	RSTRefused      H2 = "rst_stream_refused"       // RST_STREAM with REFUSED_STREAM
	RSTInternal     H2 = "rst_stream_internal"      // RST_STREAM with INTERNAL_ERROR, before headers
	RSTAfterHeaders H2 = "rst_stream_after_headers" // RST_STREAM with INTERNAL_ERROR, after headers
	MaxConcurrent1  H2 = "max_concurrent_1"         // SETTINGS_MAX_CONCURRENT_STREAMS is 1
	PingSilence     H2 = "ping_silence"             // PING is never answered
)

// TLS is what is wrong with a handshake.
type TLS string

// The handshakes that fail. Each certificate is good but for the one thing.
const (
	TLSExpired           TLS = "expired"            // the certificate ended an hour ago
	TLSWrongHost         TLS = "wrong_host"         // the certificate is for wrong-host.invalid
	TLSUntrusted         TLS = "untrusted"          // the certificate is of an authority that nobody knows
	TLSHandshakeStall    TLS = "handshake_stall"    // the client's hello is never answered
	TLSAlert             TLS = "alert"              // the client's hello is answered with the alert handshake_failure
	TLSClientCertificate TLS = "client_certificate" // a client without a certificate is refused
)

// Abandoned is what becomes of work whose caller has left.
type Abandoned string

// What becomes of abandoned work.
const (
	AbandonedFinished Abandoned = "finished" // it is done all the same: the default, and what most services do
	AbandonedDropped  Abandoned = "dropped"  // it ends at once and makes room
)

// vocabulary has every kind of word with the words that it may be. Where a
// field takes fewer, its validation says so.
var vocabulary = map[reflect.Type][]string{
	reflect.TypeFor[Point]():     words(BeforeAnswer, AfterHeaders, NextRequest),
	reflect.TypeFor[End]():       words(FIN, RST),
	reflect.TypeFor[Part]():      words(Head, Body, Chunks),
	reflect.TypeFor[RetryForm](): words(RetrySeconds, RetryDate, RetryMillis, RetryPast, RetryHuge, RetryOverflow, RetryGarbage),
	reflect.TypeFor[Redirect]():  words(RedirectLoop, RedirectElsewhere),
	reflect.TypeFor[Upload]():    words(UploadStall, UploadAnsweredEarly),
	reflect.TypeFor[Gzip]():      words(GzipBomb, GzipCorrupt, GzipTruncated),
	reflect.TypeFor[H1](): words(ContentLengthLong, ContentLengthShort, ContentLengthConflict, ChunkSizeMalformed,
		LastChunkMissing, CloseDelimitedCut, HeaderMalformed, HeaderOversized, Garbage, HTTP09, InterimFlood,
		ContinueNever, SwitchingProtocols),
	reflect.TypeFor[H2]():        slices.Concat(words(h2Requests...), words(h2Connections...)),
	reflect.TypeFor[TLS]():       words(TLSExpired, TLSWrongHost, TLSUntrusted, TLSHandshakeStall, TLSAlert, TLSClientCertificate),
	reflect.TypeFor[Abandoned](): words(AbandonedFinished, AbandonedDropped),
}

var (
	h2Requests    = []H2{GoAwayGraceful, GoAwayExcluding, GoAwayCalm, RSTRefused, RSTInternal, RSTAfterHeaders}
	h2Connections = []H2{MaxConcurrent1, PingSilence}
)

// H2Faults lists the faults in the frames of HTTP/2 that a plan can ask for: of
// requests, then of connections.
func H2Faults() []H2 { return slices.Concat(h2Requests, h2Connections) }

func words[W ~string](list ...W) []string {
	texts := make([]string, len(list))
	for i, w := range list {
		texts[i] = string(w)
	}
	return texts
}
