package wire

import (
	"errors"
	"testing"
)

// Only the words for a stream that was not processed are proof.
func TestUnprocessed(t *testing.T) {
	for text, want := range map[string]bool{
		"http2: Transport received Server's graceful shutdown GOAWAY":            true,
		"http2: Transport received GOAWAY from server ErrCode:ENHANCE_YOUR_CALM": true,
		"http2: Transport: cannot retry err [stream error: stream ID 5; REFUSED_STREAM; received from peer] after Request.Body was written; define Request.GetBody to avoid this error": true,
		"http2: Transport: cannot retry err [stream error: stream ID 5; PROTOCOL_ERROR; received from peer] after Request.Body was written; define Request.GetBody to avoid this error": false,
		"http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=\"REFUSED_STREAM\"":                                                               false,
		"EOF": false,
	} {
		if got := unprocessed(errors.New(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
