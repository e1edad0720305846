// Package admin is the HTTP interface that controls a fault server while it runs.
package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/plans"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/record"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/listen"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// Listener serves the interface on a loopback address. Requests need its token.
type Listener struct {
	Token string

	digest  [sha256.Size]byte // of the token
	server  Server
	tracker *record.Tracker
	flags   plans.Flags // of the server
	socket  net.Listener
	http    *http.Server
	serving sync.WaitGroup
}

// Server is the server that the interface controls.
type Server interface {
	Plan() fault.Plan
	SetPlan(fault.Plan) error
	Effects() faultserver.Effects
}

// Limits of requests and answers.
const (
	pageSize  = 1000 // attempts
	timeout   = 10 * time.Second
	maxHeader = 16 << 10
)

// New listens at an address. It serves after Start. Without a token it generates one.
func New(address, token string, flags plans.Flags) (*Listener, error) {
	if token == "" {
		token = rand.Text()
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	if !listen.IsLoopback(listener.Addr().String()) { // localhost may have another address
		listener.Close()
		return nil, fmt.Errorf("%s is not on loopback", listener.Addr())
	}
	l := &Listener{Token: token, digest: sha256.Sum256([]byte(token)), flags: flags, socket: listener}
	l.http = &http.Server{
		Handler:     http.HandlerFunc(l.serve),
		ReadTimeout: timeout, WriteTimeout: timeout, IdleTimeout: timeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       log.New(io.Discard, "", 0), // errors of callers are not of interest
	}
	return l, nil
}

// Start serves requests about a server and its record. It does nothing if the Listener is
// nil.
func (l *Listener) Start(server Server, tracker *record.Tracker) {
	if l != nil {
		l.server, l.tracker = server, tracker
		l.serving.Go(func() { l.http.Serve(l.socket) }) // ends with ErrServerClosed
	}
}

// URL is the address of the interface, without a path.
func (l *Listener) URL() string { return "http://" + l.socket.Addr().String() }

// Close waits a second for the requests in flight. It does nothing if the Listener is nil.
func (l *Listener) Close() {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if l.http.Shutdown(ctx) != nil {
		l.http.Close()
	}
	l.socket.Close() // if Start was not called
	l.serving.Wait()
}

// ValidToken reports whether a token can be sent in a header, and is long enough to be
// secret.
func ValidToken(token string) bool {
	invalid := func(c rune) bool { return c <= ' ' || c > '~' }
	return len(token) >= 16 && len(token) <= 256 && strings.IndexFunc(token, invalid) < 0
}

// admits reports whether a request has the token. It compares digests, so that its duration
// depends neither on the token nor on its length.
func (l *Listener) admits(r *http.Request) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	digest := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(digest[:], l.digest[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}
