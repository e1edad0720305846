package holdfast

import (
	"net/http"
	"strconv"
	"strings"
)

// nested is what an SDK tells of its own retries.
type nested struct {
	repeats int // of this call so far
	most    int // attempts of the SDK; zero if it does not tell
}

// mostNested bounds the numbers of an SDK that are believed.
const mostNested = 100

// nestedRetries reads the headers in which SDKs count their attempts: those that are made by
// Stainless (OpenAI, Anthropic), of AWS, and of gRPC.
func nestedRetries(h http.Header) (n nested) {
	if v := h["X-Stainless-Retry-Count"]; len(v) > 0 {
		n.repeats = count(v[0])
	} else if v := h["Grpc-Previous-Rpc-Attempts"]; len(v) > 0 {
		n.repeats = count(v[0])
	} else if v := h["Amz-Sdk-Request"]; len(v) > 0 { // attempt=2; max=3
		for part := range strings.SplitSeq(v[0], ";") {
			switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
			case "attempt":
				n.repeats = max(0, count(value)-1)
			case "max":
				n.most = count(value)
			}
		}
	}
	return n
}

// count is a number from 0 to mostNested, 0 for any other text.
func count(s string) int {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= mostNested {
		return n
	}
	return 0
}

// tellNested reports once that two loops of retries multiply.
func (o *clientCall) tellNested(with *callOptions) {
	retries := with.Retry.Retries
	if retries == 0 || o.client.nested.Load() || o.client.nested.Swap(true) {
		return
	}
	attempts := max(with.nested.most, with.nested.repeats+1)
	most := retries + attempts // the first attempt of the SDK is retried, and each other is one
	if with.config.Retry.Nested == Multiply {
		most = attempts * (retries + 1)
	}
	o.report(Event{Kind: EventNestedRetries, Time: o.Now(), Attempt: with.nested.repeats + 1, Of: most})
}
