package exit

import (
	"fmt"
	"strings"
)

// The exit statuses other than 0. Those from NoSuchHost to BadCertificate have the
// numbers that curl gives them.
const (
	Failure        = 1
	Usage          = 2 // an argument is invalid
	Config         = 3 // a file or a setting is invalid
	NoSuchHost     = 6
	NotConnected   = 7
	PartialBody    = 18
	HTTPError      = 22 // status 400 or above
	WriteError     = 23
	TimedOut       = 28
	TLSError       = 35
	EmptyReply     = 52
	ReceiveError   = 56
	BadCertificate = 60
	TryAgain       = 75  // a failure that may pass; the number is that of sysexits.h
	Interrupted    = 130 // 128 and SIGINT, as shells report it
)

// Row is one line of a table of exit statuses.
type Row struct {
	Status  int
	Meaning string
}

// Table lists exit statuses for the help of a command.
func Table(title string, rows []Row) string {
	var b strings.Builder
	b.WriteString(title + ":")
	for _, r := range rows {
		fmt.Fprintf(&b, "\n  %3d  %s", r.Status, r.Meaning)
	}
	return b.String()
}
