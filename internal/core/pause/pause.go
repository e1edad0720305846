// Package pause remembers that a service asked for silence. One caller's 429
// with Retry-After then holds back all of them, instead of each finding out for
// itself; and when the silence is over they are let go over a tenth of its
// length, so that they do not arrive as one wave.
//
// It is a pure machine: the handle with the lock is in internal/shell.
package pause

import "time"

// spreadOver is the part of a silence over which those who waited are let go.
const spreadOver = 10

// Pause is the silence that one origin asked for. The zero value is none.
type Pause struct {
	until  time.Time
	length time.Duration
}

// Ask records that the service asked at now to be left alone for d. A silence
// that is already longer stands.
func (p *Pause) Ask(now time.Time, d time.Duration) {
	if until := now.Add(d); d > 0 && until.After(p.until) {
		p.until, p.length = until, d
	}
}

// Until gives the instant at which a caller that comes at now may send, with u
// as its chance in [0, 1), and false if it may send at once.
func (p *Pause) Until(now time.Time, u float64) (time.Time, bool) {
	if !now.Before(p.until) {
		return time.Time{}, false
	}
	return p.until.Add(time.Duration(u * float64(p.length/spreadOver))), true
}

// End gives the end of the last silence that was asked for, zero if none was.
func (p *Pause) End() time.Time { return p.until }
