package call

import (
	"errors"
	"time"

	"github.com/holdfast-go/holdfast"
)

// durationFlag is a duration as a flag: zero if it was not given, holdfast.Off for
// "off" and "0".
type durationFlag time.Duration

// maxDuration is the longest duration that the library takes.
const maxDuration = durationFlag(365 * 24 * time.Hour)

// Set reads a value of the flag.
func (d *durationFlag) Set(s string) error {
	v, err := time.ParseDuration(s)
	switch {
	case s == "off" || err == nil && v == 0:
		*d = holdfast.Off
	case err != nil || v < 0 || durationFlag(v) > maxDuration:
		return errors.New("no such duration") // args.FlagError replaces this text
	default:
		*d = durationFlag(v)
	}
	return nil
}

// String is empty if the flag was not given.
func (d *durationFlag) String() string {
	switch *d {
	case 0:
		return ""
	case holdfast.Off:
		return "off"
	}
	return time.Duration(*d).String()
}

// Type is the name by which args.FlagError knows the flag.
func (d *durationFlag) Type() string { return "duration" }
