package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
)

// server is what serves a plan, over HTTP/1.1 or HTTP/2.
type server interface {
	URL() string
	Addr() string
	Certificate() *x509.Certificate
	Plan() fault.Plan
	SetPlan(fault.Plan) error
	Begin()
	Record() []faultserver.Attempt
	Dropped() int
	Effects() faultserver.Effects
	Connections() int
	Close() error
}

// listenAndServe makes the server that was asked for; it serves at once.
func (o *faults) listenAndServe(plan fault.Plan) (server, error) {
	backend := backends[o.backend]
	if o.h2 {
		opts := []h2fault.Option{h2fault.Listen(o.listen), h2fault.Backend(backend), h2fault.Keep(keep)}
		if o.tls {
			opts = append(opts, h2fault.TLS())
		}
		return h2fault.New(plan, opts...)
	}
	opts := []faultserver.Option{faultserver.Listen(o.listen), faultserver.Backend(backend), faultserver.Keep(keep)}
	if o.tls {
		opts = append(opts, faultserver.TLS())
	}
	return faultserver.New(plan, opts...)
}

// serve serves the plan until ctx ends. It prints nothing before all that was
// asked for is there; if one thing cannot be had, the others are taken back.
func (o *faults) serve(ctx context.Context, stdout, stderr io.Writer, plan fault.Plan) (err error) {
	var begun []func() // in order, to take back
	defer func() {
		for _, takeBack := range slices.Backward(begun) {
			takeBack()
		}
	}()
	opened := map[string]*files.Output{}
	for _, file := range []struct{ flag, path string }{{"--record", o.record}, {"--tls-ca", o.tlsCA}} {
		if file.path == "" {
			continue
		}
		out, err := files.OpenOutput(file.path)
		if err != nil {
			return exit.Errorf(exit.Config, "%s %s: %w", file.flag, file.path, err)
		}
		begun = append(begun, out.Abandon)
		opened[file.flag] = out
	}
	server, err := o.listenAndServe(plan)
	if malformed := (*fault.Error)(nil); errors.As(err, &malformed) {
		return exit.Errorf(exit.Config, "--plan %s: %w", o.plan, malformed)
	}
	if err != nil {
		return exit.Errorf(exit.Failure, "--listen %s: %w", o.listen, exit.Reason(err))
	}
	begun = append(begun, func() { server.Close() })

	var door *admin
	if o.admin != "" {
		if door, err = newAdmin(o.admin, o.adminToken, o.tls, o.h2); err != nil {
			return exit.Errorf(exit.Failure, "--admin %s: %w", o.admin, exit.Reason(err))
		}
		begun = append(begun, door.close)
	}
	if out := opened["--tls-ca"]; out != nil {
		if err := writeCA(out, server); err != nil {
			return exit.Errorf(exit.Config, "--tls-ca %s: %w", o.tlsCA, exit.Reason(err))
		}
	}
	j := newJournal(server)
	var rec *recorder
	if out := opened["--record"]; out != nil {
		if err := out.Truncate(); err != nil {
			return exit.Errorf(exit.Config, "--record %s: %w", o.record, exit.Reason(err))
		}
		rec = newRecorder(out)
		j.hand = rec.hand
	}
	begun = nil

	door.start(j)
	o.announce(stdout, stderr, server, door, plan)
	o.watch(ctx, j, rec, newLive(stdout))
	door.close()
	err = server.Close()
	j.close()
	fmt.Fprintln(stdout, j.sums())
	if rec != nil {
		err = errors.Join(err, rec.close(j.sums().missed))
	}
	if err != nil {
		return exit.With(exit.Failure, err)
	}
	return nil
}

// announce says where everything is. The URL comes first.
func (o *faults) announce(stdout, stderr io.Writer, server server, door *admin, plan fault.Plan) {
	if !loopback(server.Addr()) {
		fmt.Fprintf(stderr, "holdfast: note: %s can be reached from other machines\n", server.Addr())
	}
	fmt.Fprintf(stdout, "%s follows %s: %s, seed %d · Ctrl-C ends it\n", server.URL(), o.plan, size(plan), plan.Seed)
	if o.tlsCA != "" {
		fmt.Fprintf(stdout, "certificate authority in %s, as in curl --cacert %s %s\n", o.tlsCA, o.tlsCA, server.URL())
	}
	if o.admin == "" {
		return
	}
	fmt.Fprintf(stdout, "admin on %s/_holdfast/", door.url())
	if o.adminToken == "" {
		fmt.Fprintf(stdout, " · token %s", door.token)
	}
	fmt.Fprintln(stdout)
}

// size counts the rules of a plan.
func size(plan fault.Plan) string {
	said := format.Plural(len(plan.Rules), "rule")
	if n := len(plan.Connections); n > 0 {
		said += ", " + format.Plural(n, "connection rule")
	}
	if plan.Capacity != nil {
		said += ", a capacity"
	}
	return said
}

// watch follows the journal until ctx ends or the record cannot be written.
func (o *faults) watch(ctx context.Context, j *journal, rec *recorder, shown *live) {
	defer shown.line.Clear()
	var failed <-chan struct{} // never, without a record
	if rec != nil {
		failed = rec.failed
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-failed:
			return
		case now := <-ticker.C:
			j.look(now)
			shown.draw(now, j.sums())
		}
	}
}

// live is one line of counters that is written again and again, on a terminal;
// elsewhere it is nothing.
type live struct {
	line   term.Line
	began  time.Time
	speeds term.Rate
}

func newLive(out io.Writer) *live {
	return &live{line: term.Line{Out: out, Terminal: term.Of(out)}, began: time.Now()}
}

func (l *live) draw(now time.Time, s sums) {
	rate := l.speeds.Measure(now.Sub(l.began), int64(s.attempts))
	line := fmt.Sprintf("%s  %s, %s/s · %s struck · done twice %s",
		format.Elapsed(now.Sub(l.began)), format.Plural(s.attempts, "request"), format.Number(rate), format.Number(s.struck), format.Number(s.effects.Duplicates))
	l.line.Draw(line)
}

func (s sums) counts() string {
	return fmt.Sprintf("%s on %s · %s met a fault · work done %s, done twice %s",
		format.Plural(s.attempts, "request"), format.Plural(s.connections, "connection"), format.Number(s.struck),
		format.Number(s.effects.Done+s.effects.Untracked), format.Number(s.effects.Duplicates))
}

// String says what a server saw.
func (s sums) String() string {
	said := s.counts()
	if s.run > 1 {
		said = fmt.Sprintf("run %d: %s", s.run, said)
	}
	if len(s.met) == 0 {
		return said
	}
	var each []string
	for id, n := range s.met {
		each = append(each, fmt.Sprintf("%s %s", id, format.Number(n)))
	}
	slices.SortFunc(each, cmp.Compare)
	return strings.Replace(said, " met a fault", " met a fault ("+strings.Join(each, ", ")+")", 1)
}

// writeCA writes the authority that a client must trust.
func writeCA(out *files.Output, server server) error {
	if err := out.Truncate(); err != nil {
		return err
	}
	err := pem.Encode(out, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return errors.Join(err, out.Close())
}
