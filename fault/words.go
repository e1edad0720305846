package fault

import (
	"reflect"
	"slices"
)

// The words of a plan. vocabulary lists each kind for validation, ids and schema.

// Point is the moment of an exchange at which a fault strikes.
type Point string

// The points. The request has been read completely at all of them.
const (
	BeforeAnswer Point = "before_answer" // no part of the answer has been sent
	AfterHeaders Point = "after_headers" // status and headers have been sent, the body has not
	NextRequest  Point = "next_request"  // the answer is complete, and the connection's next request arrives
)

// End is the way a connection ends.
type End string

// The ends.
const (
	FIN End = "fin" // the regular end of a stream, here too early
	RST End = "rst" // a reset
)

// Part is a part of an answer, and its unit of counting.
type Part string

// The parts.
const (
	Head   Part = "head"   // bytes of the status line and the headers
	Body   Part = "body"   // bytes of the body
	Chunks Part = "chunks" // pieces of the body: those of a streaming service, else 16 bytes each
)

// RetryForm is the form of a Retry-After.
type RetryForm string

// The forms. The first three carry the plan's retry_after. The others are wrong
// or extreme values that a client must withstand. They need no retry_after.
const (
	RetrySeconds  RetryForm = "seconds"  // Retry-After: 2, rounded up; the default
	RetryDate     RetryForm = "date"     // Retry-After: Sun, 22 Nov 2026 02:42:12 GMT, rounded up to a second
	RetryMillis   RetryForm = "ms"       // retry-after-ms: 1500, as some APIs send it
	RetryPast     RetryForm = "past"     // a date one hour ago
	RetryHuge     RetryForm = "huge"     // 31536000: one year
	RetryOverflow RetryForm = "overflow" // 9223372037: the first second that a time.Duration cannot hold
	RetryGarbage  RetryForm = "garbage"  // soon
)

// Redirect is the target of a redirect. The status is 307, which keeps method
// and body.
type Redirect string

// The redirects.
const (
	RedirectLoop      Redirect = "loop"      // to the request's own URL
	RedirectElsewhere Redirect = "elsewhere" // to the same path of another origin: this server by its other name, localhost or 127.0.0.1
)

// Upload is a fault before a request's body is read.
type Upload string

// The faults of an upload.
const (
	UploadStall         Upload = "stall"          // the body is not read, no answer is sent
	UploadAnsweredEarly Upload = "answered_early" // 413 is sent before the body is read; the rest of the body is discarded
)

// Gzip is a defect of a compressed answer. It is sent even if the request does
// not accept gzip.
type Gzip string

// The defects of a compressed answer.
const (
	GzipBomb      Gzip = "bomb"      // a few hundred kB that expand to Size bytes of zeros; default 256 MiB
	GzipCorrupt   Gzip = "corrupt"   // the service's answer with a wrong checksum
	GzipTruncated Gzip = "truncated" // the first half of the compressed answer, with a matching Content-Length
)

// H1 is one violation of HTTP/1.1 in an answer that is correct otherwise. The
// connection is closed after it, unless the word says otherwise.
type H1 string

// The violations of HTTP/1.1.
const (
	ContentLengthLong     H1 = "content_length_long"     // Content-Length is 10 more than the body
	ContentLengthShort    H1 = "content_length_short"    // Content-Length is half of the body; the connection stays open
	ContentLengthConflict H1 = "content_length_conflict" // two headers with different lengths
	ChunkSizeMalformed    H1 = "chunk_size_malformed"    // one valid chunk, then a size that is not a number
	LastChunkMissing      H1 = "last_chunk_missing"      // the whole body in chunks, then a FIN instead of the last, empty chunk
	CloseDelimitedCut     H1 = "close_delimited_cut"     // no Content-Length, half of the body, then a FIN: the client cannot detect the loss
	HeaderMalformed       H1 = "header_malformed"        // a header line without a colon
	HeaderOversized       H1 = "header_oversized"        // a header of Size bytes; default 16 MiB
	Garbage               H1 = "garbage"                 // bytes that are not HTTP
	HTTP09                H1 = "http09"                  // the body only, as in HTTP/0.9
	InterimFlood          H1 = "interim_flood"           // Size bytes of 103 answers before the real one; default 1 MiB
	ContinueNever         H1 = "continue_never"          // no 100 for a request that waits for it: the body is late or missing
	SwitchingProtocols    H1 = "switching_protocols"     // a 101 without a request for it, then no more bytes
	SurplusAtOnce         H1 = "surplus_at_once"         // the answer, and with it a second answer, which belongs to no request; the connection stays open
	SurplusLater          H1 = "surplus_later"           // the answer, and a millisecond later the second; the connection stays open
	SurplusNextRequest    H1 = "surplus_next_request"    // the answer, and the second when the first byte of the next request arrives, which is not read; then a FIN
)

// H2 is a fault in the frames of HTTP/2. Package faultserver speaks HTTP/1.1
// and rejects plans with one; h2fault accepts them.
type H2 string

// The faults of a request. The last two are faults of a whole connection.
const (
	GoAwayGraceful  H2 = "goaway_graceful"          // GOAWAY without an error; this stream is answered
	GoAwayExcluding H2 = "goaway_excluding"         // GOAWAY with a last stream id below this stream's
	GoAwayCalm      H2 = "goaway_enhance_your_calm" // GOAWAY with ENHANCE_YOUR_CALM
	RSTRefused      H2 = "rst_stream_refused"       // RST_STREAM with REFUSED_STREAM
	RSTInternal     H2 = "rst_stream_internal"      // RST_STREAM with INTERNAL_ERROR, before headers
	RSTAfterHeaders H2 = "rst_stream_after_headers" // RST_STREAM with INTERNAL_ERROR, after headers
	MaxConcurrent1  H2 = "max_concurrent_1"         // SETTINGS_MAX_CONCURRENT_STREAMS is 1
	PingSilence     H2 = "ping_silence"             // PING is never answered
)

// TLS is a fault of a handshake.
type TLS string

// The faults of a handshake. Each certificate has only the one defect.
const (
	TLSExpired           TLS = "expired"            // the certificate expired an hour ago
	TLSWrongHost         TLS = "wrong_host"         // the certificate is for wrong-host.invalid
	TLSUntrusted         TLS = "untrusted"          // the certificate is of an unknown authority
	TLSHandshakeStall    TLS = "handshake_stall"    // the client's hello is never answered
	TLSAlert             TLS = "alert"              // the client's hello is answered with the alert handshake_failure
	TLSClientCertificate TLS = "client_certificate" // a client without a certificate is refused
)

// Abandoned is the fate of work after its caller has left.
type Abandoned string

// The fates of abandoned work.
const (
	AbandonedFinished Abandoned = "finished" // the work is finished: the default, and usual for services
	AbandonedDropped  Abandoned = "dropped"  // the work ends at once and frees its worker
)

// vocabulary lists the words of each kind. A field may allow fewer.
var vocabulary = map[reflect.Type][]string{
	reflect.TypeFor[Point]():     words(BeforeAnswer, AfterHeaders, NextRequest),
	reflect.TypeFor[End]():       words(FIN, RST),
	reflect.TypeFor[Part]():      words(Head, Body, Chunks),
	reflect.TypeFor[RetryForm](): words(RetrySeconds, RetryDate, RetryMillis, RetryPast, RetryHuge, RetryOverflow, RetryGarbage),
	reflect.TypeFor[Redirect]():  words(RedirectLoop, RedirectElsewhere),
	reflect.TypeFor[Upload]():    words(UploadStall, UploadAnsweredEarly),
	reflect.TypeFor[Gzip]():      words(GzipBomb, GzipCorrupt, GzipTruncated),
	reflect.TypeFor[Provider]():  words(Providers()...),
	reflect.TypeFor[API]():       words(APIErrorIn200, APIOverloaded, APIRateLimit, APISecondaryRateLimit, APIQuotaExhausted),
	reflect.TypeFor[APIError]():  words(ErrorOverloaded, ErrorRateLimit, ErrorQuotaExhausted, ErrorServer),
	reflect.TypeFor[Stream](): words(StreamErrorFirst, StreamErrorAfter, StreamPings, StreamEndMissing, StreamEndTwice,
		StreamCut, StreamMalformed),
	reflect.TypeFor[H1](): words(ContentLengthLong, ContentLengthShort, ContentLengthConflict, ChunkSizeMalformed,
		LastChunkMissing, CloseDelimitedCut, HeaderMalformed, HeaderOversized, Garbage, HTTP09, InterimFlood,
		ContinueNever, SwitchingProtocols, SurplusAtOnce, SurplusLater, SurplusNextRequest),
	reflect.TypeFor[H2]():        slices.Concat(words(h2Requests...), words(h2Connections...)),
	reflect.TypeFor[TLS]():       words(TLSExpired, TLSWrongHost, TLSUntrusted, TLSHandshakeStall, TLSAlert, TLSClientCertificate),
	reflect.TypeFor[Abandoned](): words(AbandonedFinished, AbandonedDropped),
}

var (
	h2Requests    = []H2{GoAwayGraceful, GoAwayExcluding, GoAwayCalm, RSTRefused, RSTInternal, RSTAfterHeaders}
	h2Connections = []H2{MaxConcurrent1, PingSilence}
)

// H2Faults lists the HTTP/2 faults of a plan: those of requests, then those of
// connections.
func H2Faults() []H2 { return slices.Concat(h2Requests, h2Connections) }

func words[W ~string](list ...W) []string {
	texts := make([]string, len(list))
	for i, w := range list {
		texts[i] = string(w)
	}
	return texts
}
