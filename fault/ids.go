package fault

// ID is the permanent name of a fault in records, docs, tests and tables. If
// the fault is a word of the plan, the ID ends in that word: {"h1": "garbage"}
// is h1.garbage.
type ID string

// The ids with a constant. Those of [API], [Stream], [H1], [H2], [TLS], [Gzip],
// [Upload] and [Redirect] are built from their words. [Catalog] describes all of them.
const (
	IDStatus         ID = "http.status"
	IDRetryAfter     ID = "http.retry_after"
	IDQuota          ID = "http.quota"
	IDHang           ID = "http.hang"
	IDRefuse         ID = "conn.refuse"
	IDConnHang       ID = "conn.hang"
	IDCloseOnAccept  ID = "conn.fin_on_accept"
	IDResetOnAccept  ID = "conn.rst_on_accept"
	IDSlowAccept     ID = "conn.slow_accept"
	IDReset          ID = "conn.rst_before_answer"
	IDClose          ID = "conn.fin_before_answer"
	IDResetNext      ID = "conn.rst_next_request"
	IDCloseNext      ID = "conn.fin_next_request"
	IDHeadCutFIN     ID = "head.cut_fin"
	IDHeadCutRST     ID = "head.cut_rst"
	IDHeadStall      ID = "head.stall"
	IDHeadDrip       ID = "head.drip"
	IDBodyHang       ID = "body.hang"
	IDCutFIN         ID = "body.cut_fin"
	IDCutRST         ID = "body.cut_rst"
	IDChunkCutFIN    ID = "body.cut_chunks_fin"
	IDChunkCutRST    ID = "body.cut_chunks_rst"
	IDBodyStall      ID = "body.stall"
	IDChunkStall     ID = "body.stall_chunks"
	IDBodyDrip       ID = "body.drip"
	IDEndless        ID = "body.endless"
	IDLatency        ID = "time.latency"
	IDCapacityQueue  ID = "capacity.queue"
	IDCapacityLoad   ID = "capacity.latency"
	IDCapacityRefuse ID = "capacity.refuse"
	IDCommitThenDrop ID = "commit.then_drop"
)

// Entry describes one fault.
type Entry struct {
	ID ID
	// Purpose describes what a client must withstand.
	Purpose string
	// Faithful describes where faultserver matches reality and where it does not.
	Faithful string
}

// Catalog lists every fault of package faultserver. A test proves each of them
// on the wire. The HTTP/2 faults are listed and proved by package h2fault.
func Catalog() []Entry {
	return []Entry{
		{IDStatus, "a service that answers, but with an error",
			"fully: an ordinary answer on a connection that stays open"},
		{IDRetryAfter, "a service that says when to come back",
			"fully; whole seconds only, rounded up, as the header's first form has it"},
		{IDHang, "a service that takes the request and never answers",
			"fully: the connection is open, acknowledges, and sends no byte"},
		{IDReset, "a process that dies, or a middlebox that forgets the connection",
			"a real RST on TCP (linger 0); in memory the reader gets ECONNRESET and no packet exists"},
		{IDClose, "a server that closes a connection instead of answering",
			"a real FIN on TCP; in memory an end of stream"},
		{IDBodyHang, "an answer that stops after its headers",
			"fully: Content-Length promises a body of which no byte is sent"},
		{IDCutFIN, "a server that closes the connection within its answer",
			"a real FIN on TCP, after exactly the bytes named; in memory an end of stream"},
		{IDCutRST, "a server that dies within its answer",
			"a real RST on TCP; it may overtake bytes that the receiver had no room for yet, so that fewer than named arrive. In memory as for conn.rst_before_answer"},
		{IDLatency, "a slow service",
			"the wait is never shorter than planned; it ends as late as the machine's timers do. A caller that leaves does not end it: the service does its work all the same"},
		{IDCommitThenDrop, "work that was done although the caller got no answer",
			"fully: the effect is counted before the fault, which is named beside this one, strikes"},

		{"http.retry_after_date", "a service that says when to come back, as a date",
			"fully; rounded up to the next whole second of the server's clock"},
		{"http.retry_after_ms", "an API that gives the wait in milliseconds, in its own header",
			"fully: retry-after-ms alone, as OpenAI and Azure send it beside Retry-After"},
		{"http.retry_after_past", "a wait that ended an hour ago: a client must not take it for no wait at all",
			"fully"},
		{"http.retry_after_huge", "a wait of a year: a client must give up or apply its own bound",
			"fully"},
		{"http.retry_after_overflow", "a wait that overflows and becomes negative when it is converted to nanoseconds",
			"fully"},
		{"http.retry_after_garbage", "a wait that is neither a number nor a date",
			"fully"},
		{IDQuota, "a service that admits so many requests in each period",
			"fully: a client that waits as asked is admitted; the period is fixed, as with most APIs, not sliding"},
		{"http.redirect_loop", "a redirect that leads to itself",
			"fully: 307, with the request's own URL"},
		{"http.redirect_elsewhere", "a redirect to another origin, which must not learn the caller's secrets",
			"the other origin is this server by its other loopback name, so that what arrives there is recorded. In memory it cannot be told apart by address"},

		{IDRefuse, "a host where no process listens",
			"a real refusal: the listener is closed, the kernel answers SYN with RST, and the same port is opened again later. While it is closed another process could take the port; the server then tries until it gets it back. Connections live on, but those that were not accepted yet are reset. In memory Dial returns ECONNREFUSED"},
		{IDConnHang, "a server that accepts and never answers",
			"the connection is open, acknowledges, and sends no byte. What the client sends is read and thrown away, so that the server notices when the client leaves: a large upload does not stall"},
		{IDCloseOnAccept, "a server that closes every connection at once, as one that has no room does",
			"a real FIN on TCP. The kernel answers what the client sends later, or has sent already, with RST, as it does for every such server; in memory an end of stream"},
		{IDResetOnAccept, "a server, or a balancer without one, that resets every connection at once",
			"as conn.rst_before_answer; the client may have finished connecting before"},
		{IDSlowAccept, "a server so busy that it serves its connections late",
			"the kernel has completed the connection, as it does for every listening server; nothing that the client sends is read before the wait is over"},
		{IDResetNext, "an idle connection that turns out to be forgotten when it is used",
			"as conn.rst_before_answer, when the first byte of the next request arrives"},
		{IDCloseNext, "an idle connection that the server closes just when it is used again",
			"a real FIN, when the first byte of the next request arrives, and before any of it is understood; in memory an end of stream"},
		{"upload.stall", "a server that stops reading what is uploaded",
			"a real full window on TCP: the client's writes block once the kernels' buffers are full. The server does not notice that the caller leaves: the connection lasts until the server is closed"},
		{"upload.answered_early", "an answer that comes before the request was sent",
			"fully: 413 with Connection: close. What still comes is read and thrown away, so that no RST overtakes the answer"},

		{IDHeadCutFIN, "a server that closes the connection within its headers", "as body.cut_fin"},
		{IDHeadCutRST, "a server that dies within its headers", "as body.cut_rst"},
		{IDHeadStall, "an answer that stops within its headers", "fully"},
		{IDHeadDrip, "headers that come byte by byte, so that no single wait is long",
			"every piece is a separate write; TCP may put several into one packet if the receiver is slow"},
		{IDChunkCutFIN, "a stream that ends between two chunks", "as body.cut_fin: the last, empty chunk is missing"},
		{IDChunkCutRST, "a stream that is torn between two chunks", "as body.cut_rst: the last, empty chunk is missing"},
		{IDBodyStall, "an answer that stops in the middle and may go on", "fully"},
		{IDChunkStall, "a stream that stops between two chunks and may go on", "fully"},
		{IDBodyDrip, "a body that comes piece by piece, so that no single wait is long", "as head.drip"},
		{IDEndless, "a body that never ends", "fully: chunks, as fast as the caller takes them"},
		{"body.gzip_bomb", "a small answer that becomes a very large one when it is unpacked",
			"fully: one gzip member, about a thousandth of its size"},
		{"body.gzip_corrupt", "a compressed answer that arrives damaged", "fully: it can be unpacked, and its checksum is wrong"},
		{"body.gzip_truncated", "a compressed answer that was cut before it was sent",
			"fully: Content-Length matches what is sent, so that only unpacking shows it"},

		{"h1.content_length_long", "a Content-Length that promises more than comes", "fully; then a FIN"},
		{"h1.content_length_short", "a Content-Length that promises less than comes: the rest would be taken for the next answer",
			"fully; the connection stays open, so that a client could make that mistake"},
		{"h1.content_length_conflict", "two lengths for one body, as request smuggling has them", "fully"},
		{"h1.chunk_size_malformed", "a chunk with a size that is not a number", "fully"},
		{"h1.last_chunk_missing", "a chunked body without its end", "fully; a FIN comes instead"},
		{"h1.close_delimited_cut", "a body that ends with the connection, which ends too early",
			"fully, and nothing on the wire shows it: a client cannot know"},
		{"h1.header_malformed", "a header line without a colon", "fully"},
		{"h1.header_oversized", "a header that is far too large", "fully: one header of the given size"},
		{"h1.garbage", "a port where another protocol answers", "fully; then a FIN"},
		{"h1.http09", "an answer without status line and headers", "fully; then a FIN"},
		{"h1.interim_flood", "interim answers that delay the real one", "fully: 103 again and again, then the real answer"},
		{"h1.continue_never", "a server that does not know Expect: 100-continue",
			"fully: the answer comes once the body does"},
		{"h1.switching_protocols", "a 101 that was not requested", "fully; the connection then stays open without bytes"},
		{"h1.surplus_at_once", "a second answer behind the first, which a client could take for the answer to its next request",
			"fully: both in one packet if the answer is short, and over TLS in two packets, one after the other"},
		{"h1.surplus_later", "a second answer that arrives while the connection is idle, or in use again",
			"fully: a packet of its own, a millisecond after the answer or as late as the machine's timers are"},
		{"h1.surplus_next_request", "a second answer that arrives when the next request was begun: only what the answer contains shows that it belongs to another",
			"fully; the next request is not read, and a FIN follows, so that one request meets it"},

		{"tls.expired", "a certificate that has expired", "fully"},
		{"tls.wrong_host", "a certificate for another host", "fully"},
		{"tls.untrusted", "a certificate of an unknown authority", "fully: the authority is made at the server's start and never published"},
		{"tls.handshake_stall", "a handshake that is never answered", "as conn.hang"},
		{"tls.alert", "a server that refuses the handshake", "fully: a fatal handshake_failure, in the clear, after the client's hello"},
		{"tls.client_certificate", "a server that requires a client certificate",
			"fully; with TLS 1.3 the alert arrives after the client's side of the handshake is done, with its first read"},

		{"api.error_in_200", "an answer with status 200 and an error as its JSON body, as gateways send it",
			"the bodies are those of the provider's documentation, not recorded from it; the error is the plan's"},
		{"api.overloaded", "a service that says that it is overloaded, in its own words: 529 of Anthropic",
			"status, type and message are the provider's"},
		{"api.rate_limit", "a rate limit that is told in the provider's headers or body, not always with Retry-After",
			"headers, body and wait have the provider's form; the server counts nothing. A quota of the plan does"},
		{"api.secondary_rate_limit", "a 403 that is a rate limit although the headers have requests left",
			"as GitHub documents it: the message and Retry-After tell it from a missing permission"},
		{"api.quota_exhausted", "money or a day's quota that is gone: a retry cannot help",
			"with the status of the provider: 429 of OpenAI, Gemini and Ollama, 400 of Anthropic"},
		{"stream.error_first", "a stream with status 200 that begins with an error: no content was lost",
			"fully: one error event in the provider's form, then a regular end of the answer"},
		{"stream.error_after", "a stream that ends in an error after some content",
			"fully: the connection is healthy, and only the event tells"},
		{"stream.pings", "a stream that is alive and sends no content: comments, pings, or events without content",
			"the form is the provider's: ping events of Anthropic, comments of OpenAI and Gemini, lines with empty text of Ollama"},
		{"stream.end_missing", "a stream that ends regularly in HTTP, without its end mark",
			"fully: the last chunk is sent and the connection stays open, so that only the content shows it"},
		{"stream.end_twice", "a stream with two end marks", "fully"},
		{"stream.cut", "a stream that breaks off within an event",
			"as body.cut_chunks_fin, and in the middle of an event: half of it has arrived"},
		{"stream.malformed", "a stream with an event that is not JSON", "fully; the events after it are healthy"},

		{IDCapacityQueue, "a request that waits for a worker", "fully: the queue is the plan's, and exact"},
		{IDCapacityLoad, "a service that slows down under load", "as time.latency; it is fixed when the work begins, and later arrivals do not change it"},
		{IDCapacityRefuse, "a service that rejects what its queue cannot hold", "fully: 503 at once"},
	}
}

// idList collects ids.
type idList []ID

func (l *idList) add(applies bool, id ID) {
	if applies {
		*l = append(*l, id)
	}
}

// ids lists the ids of a resolved fault, in order of time.
func (f *Fault) ids() []ID {
	var ids idList
	ids.add(f.Latency != nil, IDLatency)
	ids.add(f.Commit, IDCommitThenDrop)
	ids.add(f.Quota != nil, IDQuota)
	ids.add(f.Status != 0 && f.Quota == nil, IDStatus)
	switch f.RetryAfterAs {
	case "", RetrySeconds:
		ids.add(f.Status != 0 && f.RetryAfter > 0, IDRetryAfter)
	default:
		ids.add(f.Status != 0, IDRetryAfter+"_"+ID(f.RetryAfterAs))
	}
	ids.add(f.Redirect != "", ID("http.redirect_"+f.Redirect))
	ids.add(f.Hang == BeforeAnswer, IDHang)
	ids.add(f.Hang == AfterHeaders, IDBodyHang)
	ids.add(f.Reset == BeforeAnswer, IDReset)
	ids.add(f.Reset == NextRequest, IDResetNext)
	ids.add(f.Close == BeforeAnswer, IDClose)
	ids.add(f.Close == NextRequest, IDCloseNext)
	if f.Cut != nil {
		ids.add(true, f.Cut.id())
	}
	if f.Stall != nil {
		ids.add(true, map[Part]ID{"": IDBodyStall, Body: IDBodyStall, Head: IDHeadStall, Chunks: IDChunkStall}[f.Stall.Of])
	}
	ids.add(f.Drip != nil && f.Drip.Of != Head, IDBodyDrip)
	ids.add(f.Drip != nil && f.Drip.Of == Head, IDHeadDrip)
	ids.add(f.Upload != "", ID("upload."+f.Upload))
	ids.add(f.Gzip != "", ID("body.gzip_"+f.Gzip))
	ids.add(f.Endless, IDEndless)
	ids.add(f.API != "", ID("api."+f.API))
	ids.add(f.Stream != "", ID("stream."+f.Stream))
	ids.add(f.H1 != "", ID("h1."+f.H1))
	ids.add(f.H2 != "", ID("h2."+f.H2))
	return ids
}

func (c *Cut) id() ID {
	fin, rst := IDCutFIN, IDCutRST
	switch c.Of {
	case Head:
		fin, rst = IDHeadCutFIN, IDHeadCutRST
	case Chunks:
		fin, rst = IDChunkCutFIN, IDChunkCutRST
	}
	if c.By == RST {
		return rst
	}
	return fin
}
