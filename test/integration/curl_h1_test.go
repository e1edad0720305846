package integration

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// curlMeets has a meeting for every fault of package faultserver.
var curlMeets = map[fault.ID]meeting{
	// Answers.
	fault.IDStatus:              {fault: fault.Fault{Status: 502}, args: "--fail", exit: []int{httpError}},
	fault.IDRetryAfter:          {fault: fault.Fault{Status: 503, RetryAfter: time.Second}, args: "--fail --write-out %header{retry-after}", exit: []int{httpError}, says: "1"},
	"http.retry_after_date":     {fault: fault.Fault{Status: 503, RetryAfter: time.Minute, RetryAfterAs: fault.RetryDate}, args: "--fail --write-out %header{retry-after}", exit: []int{httpError}, says: "GMT"},
	"http.retry_after_ms":       {fault: fault.Fault{Status: 503, RetryAfter: time.Second, RetryAfterAs: fault.RetryMillis}, args: "--fail --write-out %header{retry-after-ms}", exit: []int{httpError}, says: "1000"},
	"http.retry_after_past":     {fault: fault.Fault{Status: 503, RetryAfterAs: fault.RetryPast}, args: "--fail --write-out %header{retry-after}", exit: []int{httpError}, says: "GMT"},
	"http.retry_after_huge":     {fault: fault.Fault{Status: 503, RetryAfterAs: fault.RetryHuge}, args: "--fail --write-out %header{retry-after}", exit: []int{httpError}, says: "31536000"},
	"http.retry_after_overflow": {fault: fault.Fault{Status: 503, RetryAfterAs: fault.RetryOverflow}, args: "--fail --write-out %header{retry-after}", exit: []int{httpError}, says: "9223372037"},
	"http.retry_after_garbage":  {fault: fault.Fault{Status: 503, RetryAfterAs: fault.RetryGarbage}, args: "--fail --write-out %header{retry-after}", exit: []int{httpError}, says: "soon"},
	fault.IDQuota:               {fault: fault.Fault{Quota: &fault.Quota{Limit: 1, Per: time.Hour}}, args: "--fail URL", exit: []int{httpError}, server: statuses(200, 429)},
	"http.redirect_loop":        {fault: fault.Fault{Redirect: fault.RedirectLoop}, args: "--location --max-redirs 3", exit: []int{redirects}, server: statuses(307, 307, 307, 307)},
	"http.redirect_elsewhere":   {fault: fault.Fault{Redirect: fault.RedirectElsewhere}, args: "--location --max-redirs 3", exit: []int{redirects}, server: connections(2)},
	fault.IDHang:                {fault: fault.Fault{Hang: fault.BeforeAnswer}, args: impatient, exit: []int{timeout}},
	fault.IDLatency:             {fault: fault.Fault{Latency: &fault.Latency{Fixed: time.Minute}}, args: impatient, exit: []int{timeout}},
	fault.IDCommitThenDrop:      {fault: fault.Fault{Close: fault.BeforeAnswer, Commit: true}, exit: []int{empty}},
	fault.IDCapacityQueue:       {plan: fault.Plan{Capacity: &fault.Capacity{Workers: 1, Queue: 1, ServiceTime: time.Minute}}, args: "--parallel --parallel-immediate" + impatient + " URL", exit: []int{timeout}},
	fault.IDCapacityLoad:        {plan: fault.Plan{Capacity: &fault.Capacity{Latency: fault.LoadLatency{PerInFlight: time.Minute}}}, args: impatient, exit: []int{timeout}},
	fault.IDCapacityRefuse:      {plan: fault.Plan{Capacity: &fault.Capacity{Workers: 1, ServiceTime: time.Minute}}, args: "--fail --fail-early --parallel --parallel-immediate URL", exit: []int{httpError}},

	// Connections.
	fault.IDRefuse:        {conn: fault.ConnFault{Refuse: true}, exit: []int{connect}},
	fault.IDConnHang:      {conn: fault.ConnFault{Hang: true}, args: impatient, exit: []int{timeout}},
	fault.IDSlowAccept:    {conn: fault.ConnFault{Latency: &fault.Latency{Fixed: time.Minute}}, args: impatient, exit: []int{timeout}},
	fault.IDCloseOnAccept: {conn: fault.ConnFault{Close: true}, exit: []int{empty, sendError, receiveError}, why: "whether the request, which the kernel answers with RST, is sent before the FIN is read"},
	fault.IDResetOnAccept: {conn: fault.ConnFault{Reset: true}, exit: []int{connect, sendError, receiveError}, why: "whether the RST comes while connecting, before or after the request is sent"},
	fault.IDReset:         {fault: fault.Fault{Reset: fault.BeforeAnswer}, exit: []int{receiveError}},
	fault.IDClose:         {fault: fault.Fault{Close: fault.BeforeAnswer}, exit: []int{empty}},
	fault.IDResetNext: {plan: first(fault.Fault{Reset: fault.NextRequest}), args: "URL", exit: []int{done}, server: connections(2),
		why: "a used connection that ends before any of the answer has come is replaced, and the request sent again"},
	fault.IDCloseNext: {plan: first(fault.Fault{Close: fault.NextRequest}), args: "URL", exit: []int{done}, server: connections(2),
		why: "a used connection that ends before any of the answer has come is replaced, and the request sent again"},

	// Uploads.
	"upload.stall":          {fault: fault.Fault{Upload: fault.UploadStall}, args: "--data-binary @LARGE" + impatient, exit: []int{timeout}},
	"upload.answered_early": {fault: fault.Fault{Upload: fault.UploadAnsweredEarly}, args: "--fail --data-binary @LARGE", exit: []int{httpError}},

	// Errors of an API. Those inside a 200 are healthy for curl.
	"api.error_in_200":         {plan: as(fault.OpenAI, fault.Fault{API: fault.APIErrorIn200}), args: "--fail", exit: []int{done}, why: "the status is 200"},
	"api.overloaded":           {plan: as(fault.Anthropic, fault.Fault{API: fault.APIOverloaded}), args: "--fail --write-out %{http_code}", exit: []int{httpError}, says: "529"},
	"api.rate_limit":           {plan: as(fault.OpenAI, fault.Fault{API: fault.APIRateLimit}), args: "--fail --write-out %header{x-ratelimit-reset-requests}", exit: []int{httpError}, says: "1s"},
	"api.secondary_rate_limit": {plan: as(fault.GitHub, fault.Fault{API: fault.APISecondaryRateLimit}), args: "--fail --write-out %header{retry-after}", exit: []int{httpError}, says: "60"},
	"api.quota_exhausted":      {plan: as(fault.Anthropic, fault.Fault{API: fault.APIQuotaExhausted}), args: "--fail --write-out %{http_code}", exit: []int{httpError}, says: "400"},
	"stream.error_first":       {plan: brokenStream(fault.StreamErrorFirst), path: generate, args: chatData, exit: []int{done}, why: "the status is 200"},
	"stream.error_after":       {plan: brokenStream(fault.StreamErrorAfter), path: generate, args: chatData, exit: []int{done}, why: "the status is 200"},
	"stream.pings":             {plan: brokenStream(fault.StreamPings), path: generate, args: chatData, exit: []int{done}, why: "a stream with pings is healthy"},
	"stream.end_missing":       {plan: brokenStream(fault.StreamEndMissing), path: generate, args: chatData, exit: []int{done}, why: "HTTP ends regularly"},
	"stream.end_twice":         {plan: brokenStream(fault.StreamEndTwice), path: generate, args: chatData, exit: []int{done}, why: "HTTP ends regularly"},
	"stream.cut":               {plan: brokenStream(fault.StreamCut), path: generate, args: chatData, exit: []int{partial}},
	"stream.malformed":         {plan: brokenStream(fault.StreamMalformed), path: generate, args: chatData, exit: []int{done}, why: "curl does not read the events"},

	// Heads and bodies.
	fault.IDHeadCutFIN: {fault: fault.Fault{Cut: &fault.Cut{Of: fault.Head, After: 20}}, exit: []int{done, weird, receiveError},
		why: "7.88.1 takes the end of the connection for the end of the headers, and is content; one that is not may call it either"},
	fault.IDHeadCutRST:  {fault: fault.Fault{Cut: &fault.Cut{Of: fault.Head, After: 20, By: fault.RST}}, exit: []int{receiveError}},
	fault.IDHeadStall:   {fault: fault.Fault{Stall: &fault.Stall{Of: fault.Head, After: 20}}, args: impatient, exit: []int{timeout}},
	fault.IDHeadDrip:    {fault: fault.Fault{Drip: &fault.Drip{Of: fault.Head, Every: 50 * time.Millisecond}}, args: impatient, exit: []int{timeout}},
	fault.IDBodyHang:    {fault: fault.Fault{Hang: fault.AfterHeaders}, args: impatient, exit: []int{timeout}},
	fault.IDCutFIN:      {fault: fault.Fault{Cut: &fault.Cut{After: 10}}, exit: []int{partial}},
	fault.IDCutRST:      {fault: fault.Fault{Cut: &fault.Cut{After: 10, By: fault.RST}}, exit: []int{receiveError}},
	fault.IDChunkCutFIN: {fault: fault.Fault{Cut: &fault.Cut{Of: fault.Chunks, After: 2}}, exit: []int{partial}},
	fault.IDChunkCutRST: {fault: fault.Fault{Cut: &fault.Cut{Of: fault.Chunks, After: 2, By: fault.RST}}, exit: []int{receiveError}},
	fault.IDBodyStall:   {fault: fault.Fault{Stall: &fault.Stall{After: 10}}, args: impatient, exit: []int{timeout}},
	fault.IDChunkStall:  {fault: fault.Fault{Stall: &fault.Stall{Of: fault.Chunks, After: 2}}, args: impatient, exit: []int{timeout}},
	fault.IDBodyDrip:    {fault: fault.Fault{Drip: &fault.Drip{Every: 50 * time.Millisecond}}, args: impatient, exit: []int{timeout}},
	fault.IDEndless:     {fault: fault.Fault{Endless: true}, args: "--limit-rate 1M" + impatient, exit: []int{timeout}},
	"body.gzip_bomb": {fault: fault.Fault{Gzip: fault.GzipBomb, Size: 16 << 20}, args: "--compressed", exit: []int{done},
		why: "curl unpacks everything, in little memory"},
	"body.gzip_corrupt": {fault: fault.Fault{Gzip: fault.GzipCorrupt}, args: "--compressed", exit: []int{encoding}},
	"body.gzip_truncated": {fault: fault.Fault{Gzip: fault.GzipTruncated}, args: "--compressed", exit: []int{done, encoding},
		why: "7.88.1 does not ask zlib whether the end was reached"},

	// HTTP/1.1.
	"h1.content_length_long": {fault: fault.Fault{H1: fault.ContentLengthLong}, exit: []int{partial}},
	"h1.content_length_short": {fault: fault.Fault{H1: fault.ContentLengthShort}, args: "--verbose", exit: []int{done},
		why: "curl keeps to the length, and does not use the connection again", says: "Excess found"},
	"h1.content_length_conflict": {fault: fault.Fault{H1: fault.ContentLengthConflict}, exit: []int{weird, partial},
		why: "7.88.1 goes by the last of them, the larger, and misses a byte; RFC 9112, 6.3, has the answer refused"},
	"h1.chunk_size_malformed": {fault: fault.Fault{H1: fault.ChunkSizeMalformed}, exit: []int{receiveError}},
	"h1.last_chunk_missing":   {fault: fault.Fault{H1: fault.LastChunkMissing}, exit: []int{partial}},
	"h1.close_delimited_cut":  {fault: fault.Fault{H1: fault.CloseDelimitedCut}, exit: []int{done}, why: "nothing on the wire shows it"},
	"h1.header_malformed":     {fault: fault.Fault{H1: fault.HeaderMalformed}, exit: []int{weird}},
	"h1.header_oversized": {fault: fault.Fault{H1: fault.HeaderOversized}, exit: []int{outOfMemory, receiveError, tooLarge},
		why: "the bound on one line was out of memory and is too large since 8.6; the bound on all of them is a failure to receive"},
	"h1.garbage":       {fault: fault.Fault{H1: fault.Garbage}, exit: []int{unsupported}},
	"h1.http09":        {fault: fault.Fault{H1: fault.HTTP09}, exit: []int{unsupported}}, // without --http0.9
	"h1.interim_flood": {fault: fault.Fault{H1: fault.InterimFlood}, exit: []int{receiveError, tooLarge}, why: "the bound on all headers has no code of its own yet"},
	"h1.continue_never": {fault: fault.Fault{H1: fault.ContinueNever}, args: "--verbose --data-binary @LARGE --expect100-timeout 0.1", exit: []int{done},
		why: "curl waits for so long, then sends the body all the same", says: "Done waiting for 100-continue"},
	"h1.surplus_at_once":      {fault: fault.Fault{H1: fault.SurplusAtOnce}, exit: []int{done}, why: "the answer is complete, and curl closes a connection with more"},
	"h1.surplus_later":        {fault: fault.Fault{H1: fault.SurplusLater}, exit: []int{done}, why: "curl has its answer before"},
	"h1.surplus_next_request": {fault: fault.Fault{H1: fault.SurplusNextRequest}, exit: []int{done}, why: "there is no next request"},
	"h1.switching_protocols":  {fault: fault.Fault{H1: fault.SwitchingProtocols}, args: impatient, exit: []int{timeout}},

	// TLS.
	"tls.expired":            {conn: fault.ConnFault{TLS: fault.TLSExpired}, tls: true, exit: []int{certificate}},
	"tls.wrong_host":         {conn: fault.ConnFault{TLS: fault.TLSWrongHost}, tls: true, exit: []int{certificate}},
	"tls.untrusted":          {conn: fault.ConnFault{TLS: fault.TLSUntrusted}, tls: true, exit: []int{certificate}},
	"tls.handshake_stall":    {conn: fault.ConnFault{TLS: fault.TLSHandshakeStall}, tls: true, args: impatient, exit: []int{timeout}},
	"tls.alert":              {conn: fault.ConnFault{TLS: fault.TLSAlert}, tls: true, exit: []int{handshake}},
	"tls.client_certificate": {conn: fault.ConnFault{TLS: fault.TLSClientCertificate}, tls: true, exit: []int{receiveError}},
}

// chatData asks Ollama's generate for a stream.
const (
	generate = "/api/generate"
	chatData = `--data {"model":"m","prompt":"hi"}`
)

// as is a plan that answers like a provider.
func as(p fault.Provider, f fault.Fault) fault.Plan {
	return fault.Plan{As: p, Rules: []fault.Rule{{Fault: f}}}
}

// brokenStream is a plan with a defect of Ollama's streams.
func brokenStream(s fault.Stream) fault.Plan { return as(fault.Ollama, fault.Fault{Stream: s}) }

// first strikes the first request only.
func first(f fault.Fault) fault.Plan {
	return fault.Plan{Rules: []fault.Rule{{Nth: "1", Fault: f}}}
}

// statuses checks the statuses of curl's attempts.
func statuses(want ...int) func(*testing.T, server) {
	return func(t *testing.T, s server) {
		record := s.Record()
		if len(record) != len(want) {
			t.Errorf("%d attempts, want the statuses %v: %+v", len(record), want, record)
			return
		}
		for i, a := range record {
			if a.Status != want[i] {
				t.Errorf("attempt %d has status %d, want %d", i+1, a.Status, want[i])
			}
		}
	}
}

// connections checks the number of curl's connections.
func connections(want int) func(*testing.T, server) {
	return func(t *testing.T, s server) {
		if n := s.Connections(); n != want {
			t.Errorf("%d connections, want %d", n, want)
		}
	}
}
