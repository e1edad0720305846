package faults

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/admin"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/plans"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/record"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/listen"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
)

// server serves a plan, over HTTP/1.1 or HTTP/2.
type server interface {
	record.Server
	URL() string
	Addr() string
	Certificate() *x509.Certificate
	SetPlan(fault.Plan) error
	Close() error
}

// serve serves the plan until ctx ends. If one of the listeners or files cannot be opened,
// it closes the others, prints nothing, and leaves the files as they were.
func (o *options) serve(ctx context.Context, stdout, stderr io.Writer, plan fault.Plan) (err error) {
	var undo []func()
	defer func() {
		for _, f := range slices.Backward(undo) {
			f()
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
		undo = append(undo, out.Abandon)
		opened[file.flag] = out
	}
	server, err := o.listenAndServe(plan)
	if invalid := (*fault.Error)(nil); errors.As(err, &invalid) {
		return exit.Errorf(exit.Config, "--plan %s: %w", o.plan, invalid)
	}
	if err != nil {
		return exit.Errorf(exit.Failure, "--listen %s: %w", o.listen, exit.Reason(err))
	}
	undo = append(undo, func() { server.Close() })

	var control *admin.Listener
	if o.admin != "" {
		if control, err = admin.New(o.admin, o.adminToken, o.flags()); err != nil {
			return exit.Errorf(exit.Failure, "--admin %s: %w", o.admin, exit.Reason(err))
		}
		undo = append(undo, control.Close)
	}
	if out := opened["--tls-ca"]; out != nil {
		if err := writeCA(out, server); err != nil {
			return exit.Errorf(exit.Config, "--tls-ca %s: %w", o.tlsCA, exit.Reason(err))
		}
	}
	tracker := record.NewTracker(server)
	var recorder *record.Recorder
	if out := opened["--record"]; out != nil {
		if err := out.Truncate(); err != nil {
			return exit.Errorf(exit.Config, "--record %s: %w", o.record, exit.Reason(err))
		}
		recorder = record.NewRecorder(out)
		tracker.OnSettled = recorder.Add
	}
	undo = nil

	control.Start(server, tracker)
	o.announce(stdout, stderr, server, control, plan)
	o.watch(ctx, tracker, recorder, newLive(stdout))
	control.Close()
	err = server.Close()
	tracker.Close()
	fmt.Fprintln(stdout, tracker.Summary())
	if recorder != nil {
		err = errors.Join(err, recorder.Close(tracker.Summary().Missed))
	}
	if err != nil {
		return exit.With(exit.Failure, err)
	}
	return nil
}

// listenAndServe starts the server that the flags describe.
func (o *options) listenAndServe(plan fault.Plan) (server, error) {
	backend, given := backends[o.backend]
	if o.h2 {
		opts := []h2fault.Option{h2fault.Listen(o.listen), h2fault.As(fault.Provider(o.as)), h2fault.Keep(record.Kept)}
		if given {
			opts = append(opts, h2fault.Backend(backend))
		}
		if o.tls {
			opts = append(opts, h2fault.TLS())
		}
		return h2fault.New(plan, opts...)
	}
	opts := []faultserver.Option{faultserver.Listen(o.listen), faultserver.As(fault.Provider(o.as)), faultserver.Keep(record.Kept)}
	if given {
		opts = append(opts, faultserver.Backend(backend))
	}
	if o.tls {
		opts = append(opts, faultserver.TLS())
	}
	return faultserver.New(plan, opts...)
}

// announce prints the addresses and files. The URL is first.
func (o *options) announce(stdout, stderr io.Writer, server server, control *admin.Listener, plan fault.Plan) {
	switch {
	case listen.IsEvery(o.listen):
		_, port, _ := net.SplitHostPort(server.Addr())
		fmt.Fprintf(stderr, "holdfast: note: port %s of every address of this machine can be reached from other machines\n", port)
	case !listen.IsLoopback(server.Addr()):
		fmt.Fprintf(stderr, "holdfast: note: %s can be reached from other machines\n", server.Addr())
	}
	plan.As = cmp.Or(plan.As, fault.Provider(o.as))
	fmt.Fprintf(stdout, "%s follows %s: %s, seed %d · Ctrl-C ends it\n", server.URL(), o.plan, plans.Summary(plan), plan.Seed)
	if o.tlsCA != "" {
		fmt.Fprintf(stdout, "certificate authority in %s, as in curl --cacert %s %s\n", o.tlsCA, o.tlsCA, server.URL())
	}
	if o.admin == "" {
		return
	}
	fmt.Fprintf(stdout, "admin on %s/_holdfast/", control.URL())
	if o.adminToken == "" {
		fmt.Fprintf(stdout, " · token %s", control.Token)
	}
	fmt.Fprintln(stdout)
}

// watch updates the tracker and the live line until ctx ends or the record cannot be
// written.
func (o *options) watch(ctx context.Context, tracker *record.Tracker, recorder *record.Recorder, shown *live) {
	defer shown.line.Clear()
	var failed <-chan struct{} // never, without a record
	if recorder != nil {
		failed = recorder.Failed
	}
	ticker := time.NewTicker(record.LookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-failed:
			return
		case now := <-ticker.C:
			tracker.Look(now)
			shown.draw(now, tracker.Summary())
		}
	}
}

// writeCA writes the certificate authority that a client must trust.
func writeCA(out *files.Output, server server) error {
	if err := out.Truncate(); err != nil {
		return err
	}
	err := pem.Encode(out, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return errors.Join(err, out.Close())
}
