package wire

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// A RoundTripper that calls no hook is foreign, and one that sends a request again itself
// is from then on. Neither is stopped.
func TestForeign(t *testing.T) {
	for _, c := range []hookCase{
		{name: "one connection after the other", steps: "called get got get got fails", runs: "wait - write wait wait", sent: true},
		{name: "a fake", steps: "called", runs: "wait", sent: true},
		{name: "a fake that fails", steps: "fails", sent: true},
		{name: "a fake that reads a body", steps: "read", runs: "wait", body: true, sent: true},
		{name: "called twice", steps: "called get reused headers request called get fails", runs: "wait - write write wait wait wait", sent: true},
		{name: "called twice over HTTP/2", steps: "called get got headers request called get got headers fails", runs: "wait - write write wait wait wait wait wait", http2: true, sent: true},
		{name: "called twice at once", steps: "called get called get got got headers headers request", runs: "wait - - wait wait wait wait wait wait", sent: true},
		{name: "again after an answer", steps: "called get reused headers request answer get got request", runs: "wait - write write wait wait wait wait wait", sent: true},
		{name: "again after an answer, over HTTP/2", steps: "called get got headers request answer get got headers request", runs: "wait - write write wait wait wait wait wait wait", http2: true, sent: true},
		{name: "again with a body", steps: "called get reused headers read request get got headers fails", runs: "- - write write write wait wait wait wait", body: true, sent: true},
		{name: "again over a new connection", steps: "called get got headers request get fails", runs: "wait - write write wait wait", sent: true},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, false) })
	}
}

// A hook may be called after the RoundTripper has returned. After an answer it changes
// nothing. After an error it gets no connection, so that the request stays unsent.
func TestWrappedHooksAfterwards(t *testing.T) {
	for _, fails := range []bool{false, true} {
		for _, steps := range []string{"get got headers request answer", "get", ""} {
			roundTrip := new(RoundTrip)
			roundTrip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{Write: time.Minute, Read: time.Minute})
			rt := &scripted{steps: "called get", after: func(string) {}}
			if fails {
				rt.steps += " fails"
			}
			req := get(t, roundTrip, "http://x.test")
			resp, err := roundTrip.Do(rt, req)
			if resp != nil {
				resp.Body.Close()
			}
			sent := roundTrip.Sent(err)
			req = req.WithContext(roundTrip.wrapped)
			for step := range strings.FieldsSeq(steps) {
				rt.step(req, step)
			}
			if roundTrip.Sent(err) != sent {
				t.Errorf("fails %v, then %q: sent %v, before %v", fails, steps, !sent, sent)
			}
			if fails && slices.ContainsFunc(rt.conns, func(c *abandoned) bool { return !c.closed }) {
				t.Errorf("%q: a connection was given to a request that was said to be unsent", steps)
			}
			if !fails && roundTrip.Err() != nil {
				t.Errorf("%q: the answer was ended: %v", steps, roundTrip.Err())
			}
			roundTrip.End()
		}
	}
}
