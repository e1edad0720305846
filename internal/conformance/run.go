package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// Runner tests contenders. The zero value has no HTTP/2.
type Runner struct {
	// H2 starts a service that speaks HTTP/2 over TLS. Nil omits the rules of HTTP/2.
	H2 func(faultserver.Service) (Server, error)
	// Listen is a fixed address of the service, host and port, for a contender
	// with a fixed target. Empty means a free port for each meeting.
	Listen string
	// Workers is the number of concurrent meetings. The default is 8, with Listen 1.
	Workers int
	// Patience extends the Terms' deadline and the Bound, for a contender that
	// cannot wait for less than a second. The default is none.
	Patience time.Duration

	pulse  *pulse
	gaveUp bool // a proxy may still work on a call; a proxy has one worker
}

// Limits of the runner.
const (
	// stuck is the time after the caller's deadline at which a call is abandoned.
	stuck = 3 * time.Second
	// leaveTime is the time in which a client's goroutines and sockets may end.
	leaveTime = 1500 * time.Millisecond
	// tries limits the meetings in which the fault does not strike, as two
	// concurrent calls may miss each other.
	tries = 5
	// maxStalls limits the meetings that are repeated because the machine stalled.
	maxStalls = 4
)

// Run tests each contender with each rule that applies to it and returns the
// rows, rule by rule. The error is one of the runner: ctx's, or a service that
// cannot be started.
func (r *Runner) Run(ctx context.Context, rules []Rule, contenders []Contender) ([]Row, error) {
	type job struct {
		rule      *Rule
		contender *Contender
		row       *Row
	}
	var jobs []job
	for i := range rules {
		for k := range contenders {
			if rule, c := &rules[i], &contenders[k]; r.asks(rule, c) {
				jobs = append(jobs, job{rule, c, new(Row)})
			}
		}
	}
	workers := r.Workers
	switch {
	case r.Listen != "":
		workers = 1
	case workers == 0:
		workers = 8
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for i := range contenders {
		if c := &contenders[i]; c.Proxy {
			if err := r.ready(ctx, c); err != nil {
				return nil, err
			}
		}
	}
	r.pulse = newPulse()
	defer r.pulse.stop()
	next := make(chan int)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for i := range next {
				j := &jobs[i]
				row, err := r.meet(ctx, j.rule, j.contender)
				if err != nil {
					cancel(fmt.Errorf("%s meets %s: %w", j.contender.Name, j.rule.ID(), err))
					continue
				}
				*j.row = row
			}
		})
	}
	for i := range jobs {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	rows := make([]Row, len(jobs))
	for i, j := range jobs {
		rows[i] = *j.row
	}
	return rows, nil
}

// asks reports whether the contender is tested with the rule. A separate process
// cannot be told another way to the service.
func (r *Runner) asks(rule *Rule, c *Contender) bool {
	return !(rule.H2 && r.H2 == nil) && !(rule.Lives && c.Program) && !(rule.Between != nil && c.isSeparate()) && (c.Asks == nil || c.Asks(rule))
}

// start starts a healthy service.
func (r *Runner) start(rule *Rule, w *witness) (Server, error) {
	if rule.H2 {
		return r.H2(w.serve)
	}
	opts := []faultserver.Option{faultserver.Backend(w.serve)}
	if r.Listen != "" {
		opts = append(opts, faultserver.Listen(r.Listen))
	}
	if rule.TLS {
		opts = append(opts, faultserver.TLS())
	}
	return faultserver.New(fault.Plan{}, opts...)
}

// meet tests one contender with one rule. A busy machine can make a client look
// wrong, but hardly ever right. So a wrong result counts only if the machine
// was not stalled, and only if two of three results are wrong.
func (r *Runner) meet(ctx context.Context, rule *Rule, c *Contender) (Row, error) {
	var row Row
	right, wrong, uncounted := 0, 0, 0
	for wrong < 2 && right < 2 {
		began := time.Now()
		var err error
		if row, err = r.meetOnce(ctx, rule, c); err != nil {
			return row, err
		}
		switch {
		case row.Right && wrong == 0:
			return row, nil
		case row.Right:
			right++
		case r.pulse.stalled(began) && uncounted < maxStalls:
			uncounted++
		default:
			wrong++
		}
	}
	return row, nil
}

// meetOnce repeats the meeting until the fault strikes, up to a limit.
func (r *Runner) meetOnce(ctx context.Context, rule *Rule, c *Contender) (Row, error) {
	for i := 1; ; i++ {
		if c.Proxy {
			if err := r.ready(ctx, c); err != nil {
				return Row{Fault: rule.ID(), Client: c.Name, Rule: rule.text(), Bounded: true, Why: err.Error()}, ctx.Err()
			}
		}
		m := meeting{Runner: r, rule: rule, contender: c, name: strconv.FormatInt(meetings.Add(1), 10)}
		err := m.hold(ctx)
		if errors.Is(err, errNotMet) && !m.lost && i < tries {
			continue
		}
		if err != nil && !errors.Is(err, errNotMet) {
			return Row{}, err
		}
		return m.judge(err), nil
	}
}

// meetings counts the meetings of all runners. The number is the label of a
// meeting's goroutines.
var meetings atomic.Int64

var errNotMet = errors.New("the fault did not strike")

// meeting is one test of one contender with one rule.
type meeting struct {
	*Runner
	rule      *Rule
	contender *Contender
	name      string // the label of its goroutines
	witness   witness
	log       sink
	server    Server
	route     route
	setup     Setup
	begun     time.Time

	calls     []Call
	answers   []Answer
	took      []time.Duration
	lost      bool // a call did not return
	record    []faultserver.Attempt
	opened    int // connections
	after     Answer
	afterCall Call
	reused    bool
	leaked    int   // requests that sent credentials to another origin
	told      int64 // attempts of the calls, by the client, if it tells
	tells     bool
	effects   faultserver.Effects
	left      leftover
}

type leftover struct {
	goroutines, descriptors           int
	knowsGoroutines, knowsDescriptors bool
}

// hold runs the meeting.
func (m *meeting) hold(ctx context.Context) error {
	s, err := m.start(m.rule, &m.witness)
	if err != nil {
		return err
	}
	defer s.Close()
	m.server = s
	roots, pem := authority(s)
	m.setup = Setup{BaseURL: s.URL(), Roots: roots, Authority: pem, Terms: Usual, Log: &m.log}
	m.setup.Terms.Deadline += m.Patience
	if m.rule.Attempt > 0 {
		m.setup.Terms.Attempt = m.rule.Attempt
	}
	m.setup.Terms.Breaker, m.setup.Terms.ConnAge = m.rule.Breaker, m.rule.ConnAge
	if m.route, err = m.build(); err != nil {
		return err
	}
	defer m.route.close()

	usual, err := m.life(ctx) // what a client without a fault leaves behind
	if err != nil {
		return err
	}
	client, err := m.contender.New(m.setup)
	if err != nil {
		return err
	}
	label(m.name, func() { err = m.route.prepare(ctx, m, client) })
	if err != nil {
		return err
	}
	if err := m.route.setPlan(m.rule.Plan); err != nil {
		return err
	}
	m.route.begin()
	m.witness.forget()
	before, toldBefore := m.route.connections(), m.attempts(client)
	m.begun = time.Now()
	label(m.name, func() { m.makeCalls(ctx, client) })
	m.record, m.opened = m.route.record(), m.route.connections()-before
	m.told = m.attempts(client) - toldBefore
	m.leaked = m.witness.leakedAfterFirst()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.recover(ctx, client); err != nil {
		return err
	}
	if m.contender.Proxy {
		m.gaveUp = m.gaveUpOn()
		if err := m.unexpected(); err != nil {
			return err
		}
	}
	if m.lost {
		return m.struck() // closing a running client may take as long
	}
	label(m.name, client.Close)
	m.left = m.count(m.name)
	// Connections and goroutines that the first client left are normal for this
	// client and not an effect of the fault.
	m.left.goroutines = max(0, m.left.goroutines-usual.goroutines)
	m.left.descriptors = max(0, m.left.descriptors-usual.descriptors)
	m.awaitWork()
	m.effects = s.Effects()
	return m.struck()
}

// life runs a client without a fault: one call, then Close.
func (m *meeting) life(ctx context.Context) (leftover, error) {
	if m.contender.isSeparate() {
		return leftover{}, nil
	}
	name := m.name + ".usual"
	client, err := m.contender.New(m.setup)
	if err != nil {
		return leftover{}, err
	}
	label(name, func() {
		ctx, cancel := context.WithTimeout(ctx, m.setup.Terms.Deadline)
		defer cancel()
		client.Do(ctx, newCall(&Rule{}, m.setup.BaseURL, "/usual"))
		client.Close()
	})
	return m.count(name), nil
}

// makeCalls makes the rule's calls and abandons one that does not return.
func (m *meeting) makeCalls(ctx context.Context, client Client) {
	n := max(1, m.rule.Calls)
	m.answers, m.took = make([]Answer, n), make([]time.Duration, n)
	for i := range n {
		m.calls = append(m.calls, newCall(m.rule, m.setup.BaseURL, fmt.Sprintf("%s/%d", work, i+1)))
	}
	ctx, cancel := context.WithTimeout(ctx, m.setup.Terms.Deadline)
	defer cancel()
	type ended struct {
		i      int
		answer Answer
		took   time.Duration
	}
	ends := make(chan ended, n) // an abandoned call may still end
	var last time.Time
	begin := func(i int) {
		time.Sleep(time.Until(last.Add(m.rule.Every)))
		last = time.Now()
		m.route.before(i)
		go func() {
			began := time.Now()
			answer := client.Do(ctx, m.calls[i])
			ends <- ended{i, answer, time.Since(began)}
		}()
	}
	patience := time.NewTimer(m.setup.Terms.Deadline + stuck)
	defer patience.Stop()
	await := func() bool {
		select {
		case e := <-ends:
			m.answers[e.i], m.took[e.i] = e.answer, e.took
			return true
		case <-patience.C:
			m.lost = true
			return false
		}
	}
	if m.rule.AtOnce {
		for i := range n {
			begin(i)
		}
		for range n {
			if !await() {
				return
			}
		}
		return
	}
	for i := range n {
		begin(i)
		if !await() {
			return
		}
	}
}

// recover makes the service healthy and makes one more call.
func (m *meeting) recover(ctx context.Context, client Client) error {
	if err := m.route.heal(); err != nil {
		return err
	}
	if m.rule.Fault == fault.IDRefuse {
		settle(time.Second, func() bool { // until the server listens again
			c, err := net.Dial("tcp", m.server.Addr())
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	before := m.route.connections()
	m.afterCall = newCall(&Rule{}, m.setup.BaseURL, "/after")
	label(m.name, func() {
		ctx, cancel := context.WithTimeout(ctx, m.setup.Terms.Deadline)
		defer cancel()
		m.after = client.Do(ctx, m.afterCall)
	})
	m.reused = m.route.connections() == before && before > 0
	return ctx.Err()
}

// count waits until nothing is left, up to a limit, and returns what is left. To
// count sockets takes longer, so it begins after the goroutines.
func (m *meeting) count(name string) leftover {
	var l leftover
	if m.contender.isSeparate() {
		return l
	}
	l.knowsGoroutines = true
	since := time.Now()
	settle(leaveTime, func() bool {
		l.goroutines = goroutines(name, since)
		return l.goroutines == 0
	})
	settle(leaveTime-time.Since(since), func() bool {
		l.descriptors, l.knowsDescriptors = descriptors(m.route.addrs(), since)
		return l.descriptors == 0
	})
	return l
}

// awaitWork waits until the service has finished its work for callers that have
// left.
func (m *meeting) awaitWork() {
	var last time.Duration
	for _, a := range m.record {
		last = max(last, a.At+a.Delay)
	}
	if wait := time.Until(m.begun.Add(last + 50*time.Millisecond)); wait > 0 {
		time.Sleep(wait)
	}
}

// struck returns an error if the client did not meet the fault.
func (m *meeting) struck() error {
	if m.route.struck(m) {
		return nil
	}
	return errNotMet
}

// attempts returns the number of attempts that the client tells so far, and notes
// whether it tells.
func (m *meeting) attempts(client Client) (n int64) {
	if c, ok := client.(Counter); ok {
		n, m.tells = c.Attempts()
	}
	return n
}

// scheme returns the beginning of the service's URL, up to the host.
func (m *meeting) scheme() string {
	scheme, _, _ := strings.Cut(m.server.URL(), "://")
	return scheme + "://"
}

// isShared reports three faults of HTTP/2 that have another name in package fault.
func (m *meeting) isShared(a faultserver.Attempt) bool {
	return m.rule.H2 && len(a.Faults) > 0 && strings.HasPrefix(string(m.rule.Fault), "h2.")
}
