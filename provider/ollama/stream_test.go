package ollama

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// collect reads a stream to its end: pieces, then perhaps an error.
func collect(t *testing.T, stream iter.Seq2[Reply, error]) (text string, pieces []Reply, err error) {
	t.Helper()
	for piece, e := range stream {
		if err != nil {
			t.Errorf("%+v, %v after the error %v", piece, e, err)
		}
		if err = e; e != nil {
			if piece != (Reply{}) {
				t.Errorf("%+v beside the error %v", piece, e)
			}
			continue
		}
		pieces = append(pieces, piece)
		text += piece.Text
	}
	return text, pieces, err
}

// TestStream: failures before the first piece are repeated, and the pieces make
// the complete answer.
func TestStream(t *testing.T) {
	for name, asked := range map[string]struct {
		stream func(context.Context, *Provider) iter.Seq2[Reply, error]
		whole  func(context.Context, *Provider) (Reply, error)
	}{
		"generate": {
			func(ctx context.Context, p *Provider) iter.Seq2[Reply, error] { return p.GenerateStream(ctx, why) },
			func(ctx context.Context, p *Provider) (Reply, error) { return p.Generate(ctx, why) },
		},
		"chat": {
			func(ctx context.Context, p *Provider) iter.Seq2[Reply, error] { return p.ChatStream(ctx, whyChat) },
			func(ctx context.Context, p *Provider) (Reply, error) { return p.Chat(ctx, whyChat) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
				text, pieces, err := collect(t, asked.stream(t.Context(), p))
				if err != nil || len(pieces) != 6 || len(s.Record()) != 3 {
					t.Fatalf("%+v, %v after %d attempts; want 6 pieces after 3", pieces, err, len(s.Record()))
				}
				want, err := asked.whole(t.Context(), p)
				if err != nil || text != want.Text {
					t.Errorf("%q in pieces, %q at once (%v)", text, want.Text, err)
				}
				last := pieces[5]
				if last.Text != "" {
					t.Errorf("the last piece has the text %q", last.Text)
				}
				if last.Text = want.Text; last != want {
					t.Errorf("the last piece has %+v, the whole %+v", last, want)
				}
				for _, piece := range pieces[:5] {
					if piece.Done || piece.Tokens != 0 {
						t.Errorf("%+v before the end", piece)
					}
				}
				if n := s.Connections(); n != 3 {
					t.Errorf("%d connections; want 3: one was reset, one cut, and the stream's is used again", n)
				}
			}, fault.Rule{Nth: "1", Fault: fault.Fault{Reset: fault.BeforeAnswer}},
				fault.Rule{Nth: "2", Fault: fault.Fault{Cut: &fault.Cut{After: 20}}})
		})
	}
}

// lines returns a rule with these lines as the answer.
func lines(ls ...string) fault.Rule {
	r := answer(strings.Join(ls, "\n") + "\n")
	r.Fault.Header["Content-Type"] = "application/x-ndjson"
	return r
}

const (
	rye   = `{"model":"m","response":"rye"}`
	oat   = `{"model":"m","message":{"role":"assistant","content":" oat"}}`
	done  = `{"model":"m","done":true,"done_reason":"stop"}`
	cause = `{"error":"the model runner has stopped"}`
)

// A failure before the first piece is repeated, also if the first line of a 200 tells it.
func TestStreamThatFailsAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		first fault.Rule
		kind  error
		says  string
	}{
		"an error as the first line": {lines(cause), holdfast.ErrServer, "the model runner has stopped"},
		"no line":                    {lines(), holdfast.ErrConnection, "without an event"},
	} {
		t.Run(name, func(t *testing.T) {
			ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
				text, pieces, err := collect(t, p.ChatStream(t.Context(), whyChat))
				if text == "" || err != nil || len(s.Record()) != 2 {
					t.Errorf("%d pieces, %v after %d requests, want a text after 2", len(pieces), err, len(s.Record()))
				}
			}, once(tt.first))
			ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
				_, pieces, err := collect(t, p.ChatStream(t.Context(), whyChat))
				var failed *holdfast.Error
				if !errors.As(err, &failed) || len(failed.Attempts) != 4 || len(pieces) > 0 || !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%d pieces, %v", len(pieces), err)
				}
			}, tt.first)
		})
	}
}

func once(r fault.Rule) fault.Rule {
	r.Nth = "1"
	return r
}

// TestStreamThatIsIncomplete: nothing is repeated after the first piece, and
// the error has the text so far.
func TestStreamThatIsIncomplete(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  fault.Rule
		pieces int
		text   string
		is     []error
		says   string
	}{
		"it ends without its last line": {lines(rye, oat), 2, "rye oat", []error{holdfast.ErrConnection, io.ErrUnexpectedEOF}, "without the event that ends it"},
		"the server says what is wrong": {lines(rye, cause), 1, "rye", []error{holdfast.ErrServer}, "the model runner has stopped"},
		"a line is no JSON":             {lines(rye, "<html>", done), 1, "rye", []error{holdfast.ErrDecode}, "line or event 2"},
	} {
		t.Run(name, func(t *testing.T) {
			ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
				text, pieces, err := collect(t, p.ChatStream(t.Context(), whyChat))
				var incomplete *IncompleteError
				if !errors.As(err, &incomplete) || incomplete.Text != tt.text || text != tt.text || len(pieces) != tt.pieces {
					t.Fatalf("%+v, %#v; want an IncompleteError after %d pieces that keeps %q", pieces, err, tt.pieces, tt.text)
				}
				for _, is := range tt.is {
					if !errors.Is(err, is) {
						t.Errorf("%v is not %v", err, is)
					}
				}
				if !strings.Contains(err.Error(), tt.says) || tt.text != "" && strings.Contains(err.Error(), tt.text) {
					t.Errorf("%v; want it to contain %q, and not the model's text", err, tt.says)
				}
				if n := len(s.Record()); n != 1 {
					t.Errorf("%d attempts; want 1", n)
				}
			}, tt.fault)
		})
	}
}

// TestStreamThatIsCut: between two lines and within one, by a FIN and by a RST.
func TestStreamThatIsCut(t *testing.T) {
	for name, cut := range map[string]fault.Cut{
		"after two lines":               {After: 2, Of: fault.Chunks},
		"after two lines, by a reset":   {After: 2, Of: fault.Chunks, By: fault.RST},
		"in the third line":             {After: 200},
		"in the third line, by a reset": {After: 200, By: fault.RST},
	} {
		t.Run(name, func(t *testing.T) {
			ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
				_, pieces, err := collect(t, p.GenerateStream(t.Context(), why))
				var incomplete *IncompleteError
				var broken *holdfast.StreamError
				if !errors.Is(err, holdfast.ErrConnection) || !errors.As(err, &incomplete) || !errors.As(err, &broken) {
					t.Fatalf("%v; want an IncompleteError that is ErrConnection, around the client's own", err)
				}
				if len(pieces) != 2 || incomplete.Text != pieces[0].Text+pieces[1].Text || broken.Events != 2 || len(s.Record()) != 1 {
					t.Errorf("%+v, %+v after %d attempts; want two pieces after 1", pieces, incomplete, len(s.Record()))
				}
				whole, err := p.Generate(t.Context(), why)
				if err != nil || !strings.HasPrefix(whole.Text, incomplete.Text) {
					t.Errorf("%q is not how %q begins (%v)", incomplete.Text, whole.Text, err)
				}
			}, fault.Rule{Nth: "1", Fault: fault.Fault{Cut: &cut}})
		})
	}
}

// TestStreamKeepsNoMoreThanItMay: the kept text of an endless answer is
// limited.
func TestStreamKeepsNoMoreThanItMay(t *testing.T) {
	long := strings.Repeat("rye ", 30_000)
	line := `{"response":"` + long + `"}`
	ask(t, func(t *testing.T, _ *faultserver.Server, p *Provider) {
		text, _, err := collect(t, p.GenerateStream(t.Context(), why))
		var incomplete *IncompleteError
		if !errors.As(err, &incomplete) || len(text) != 4*len(long) || incomplete.Text != text[:maxKept] {
			t.Errorf("%d bytes, %v; want all to be handed on, and the first %d to be kept", len(text), err, maxKept)
		}
	}, lines(line, line, line, line))
}

// TestStreamIsWholeOnceDone: bytes after the last line are ignored.
func TestStreamIsWholeOnceDone(t *testing.T) {
	ask(t, func(t *testing.T, _ *faultserver.Server, p *Provider) {
		if text, pieces, err := collect(t, p.ChatStream(t.Context(), whyChat)); text != "rye" || len(pieces) != 2 || err != nil {
			t.Errorf("%+v, %v; want two pieces", pieces, err)
		}
	}, lines(rye, done, cause))
}

// TestStreamThatIsRejected: the error is that of any call.
func TestStreamThatIsRejected(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		_, pieces, err := collect(t, p.ChatStream(t.Context(), whyChat))
		var incomplete *IncompleteError
		if !errors.Is(err, holdfast.ErrNotFound) || errors.As(err, &incomplete) || len(pieces) != 0 || len(s.Record()) != 1 {
			t.Errorf("%+v, %v after %d attempts; want ErrNotFound after 1", pieces, err, len(s.Record()))
		}
	}, fault.Rule{Fault: fault.Fault{Status: http.StatusNotFound}})
}

// TestStreamThatIsLeft: the call ends with the loop and does not count for the
// breaker.
func TestStreamThatIsLeft(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		for range p.ChatStream(t.Context(), whyChat) {
			break
		}
		if stats := p.client.Stats(); stats.InFlight != 0 || stats.Failed != 0 {
			t.Errorf("%+v", stats)
		}
	})
}

// TestStreamStalls: the limit bounds the time without bytes, not the whole
// answer. An option changes it.
func TestStreamStalls(t *testing.T) {
	ask(t, func(t *testing.T, _ *faultserver.Server, p *Provider) {
		began := time.Now()
		_, pieces, err := collect(t, p.ChatStream(t.Context(), whyChat))
		if took := time.Since(began); err != nil || len(pieces) != 6 || took < 300*time.Second {
			t.Errorf("%d pieces, %v after %v; want 6 after minutes", len(pieces), err, took)
		}
		began = time.Now()
		text, _, err := collect(t, p.ChatStream(t.Context(), whyChat, holdfast.WithAttemptTimeout(90*time.Second)))
		var incomplete *IncompleteError
		if took := time.Since(began); !errors.Is(err, holdfast.ErrTimeout) || !errors.As(err, &incomplete) || incomplete.Text != text || text == "" || took != 90*time.Second {
			t.Errorf("%q, %v after %v; want ErrTimeout after the first pieces and 90 s", text, err, took)
		}
	}, fault.Rule{Nth: "1", Fault: fault.Fault{Drip: &fault.Drip{Bytes: 200, Every: 100 * time.Second}}},
		fault.Rule{Fault: fault.Fault{Stall: &fault.Stall{After: 2, Of: fault.Chunks, For: 100 * time.Second}}})
}

// TestStreamIsCanceled: a cancellation is not a failure of the service.
func TestStreamIsCanceled(t *testing.T) {
	ask(t, func(t *testing.T, _ *faultserver.Server, p *Provider) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		enough := errors.New("enough")
		var err error
		for _, err = range p.ChatStream(ctx, whyChat) {
			cancel(enough)
		}
		if !errors.Is(err, holdfast.ErrCanceled) || !errors.Is(err, enough) || errors.Is(err, holdfast.ErrConnection) {
			t.Errorf("%v; want ErrCanceled with its cause", err)
		}
	}, fault.Rule{Fault: fault.Fault{Drip: &fault.Drip{Bytes: 100, Every: time.Second}}})
}
