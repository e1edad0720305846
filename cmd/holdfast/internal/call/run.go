package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// run makes the call. It closes everything that it opens.
func (o *options) run(ctx context.Context, cfg holdfast.Config, address *url.URL, stdin io.Reader, stdout, stderr io.Writer) error {
	events := &eventLog{out: stderr, terminal: term.Of(stderr)}
	var opts []holdfast.Option
	if o.verbose {
		opts = append(opts, holdfast.WithObserver(events))
	}
	client, err := holdfast.New(cfg, opts...)
	if err != nil {
		return exit.With(exit.Config, errors.New(exit.Text(err)))
	}
	defer client.Close()

	out := &countingWriter{Writer: stdout}
	var file *files.Replacement
	if o.output != "" && o.output != "-" {
		if file, err = files.Replace(o.output); err != nil {
			return exit.Errorf(exit.Config, "-o %s: %w", o.output, err)
		}
		defer file.Abandon()
		out.Writer = file
	}
	req, err := o.request(ctx, address, cfg.Header, stdin)
	if err != nil {
		return exit.With(exit.Config, err)
	}
	var callOpts []holdfast.CallOption
	if o.key != "" && o.key != autoKey {
		callOpts = append(callOpts, holdfast.WithIdempotencyKey(o.key))
	}
	resp, err := client.Do(req, callOpts...)
	if err != nil {
		o.writeDeclined(err, stdout, stderr)
		return callError(err)
	}
	defer resp.Body.Close()
	if o.include {
		writeHead(out, resp.Proto+" "+resp.Status, resp.Header)
	}
	if _, err = io.Copy(out, resp.Body); err != nil && out.err == nil {
		return bodyError(err, out.written)
	}
	if o.include && len(resp.Trailer) > 0 {
		_, _ = io.WriteString(out, "\r\n")
		_ = resp.Trailer.Write(out)
	}
	if file != nil && out.err == nil {
		out.err = file.Commit()
	}
	if out.err != nil {
		return exit.Errorf(exit.WriteError, "writing the answer: %w", exit.Reason(out.err))
	}
	if o.verbose {
		events.write(time.Now(), "done: "+format.Plural(out.written, "byte")+" written")
	}
	return nil
}

// countingWriter counts bytes and keeps the first error. An error of io.Copy with
// err unset is an error of the reader.
type countingWriter struct {
	io.Writer
	written int
	err     error
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.written += n
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// writeDeclined writes the answer of a service that declined the call.
func (o *options) writeDeclined(err error, stdout, stderr io.Writer) {
	declined := statusError(err)
	if declined == nil {
		return
	}
	if o.include {
		writeHead(stdout, "HTTP "+declined.Error(), declined.Header)
	}
	_, _ = stdout.Write(declined.Body) // the error that is returned matters more
	if declined.Truncated {
		fmt.Fprintf(stderr, "holdfast: note: only the first %d bytes of the body of a failure are kept\n", len(declined.Body))
	}
}

func writeHead(w io.Writer, status string, header http.Header) {
	fmt.Fprintf(w, "%s\r\n", status)
	_ = header.Write(w)
	fmt.Fprint(w, "\r\n")
}
