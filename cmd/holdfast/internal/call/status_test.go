package call

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// A server on loopback cannot cause this failure.
func TestStatusOf(t *testing.T) {
	err := &holdfast.Error{Err: &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}}
	if got := statusOf(err, false); got != exit.NoSuchHost {
		t.Errorf("exit status %d, want %d", got, exit.NoSuchHost)
	}
}

// The help lists every exit status once, in order.
func TestHelpListsStatuses(t *testing.T) {
	_, stdout, _ := runCall(t, "--help")
	last := -1
	for _, s := range statuses {
		if s.Status <= last || !strings.Contains(stdout, fmt.Sprintf("%5d  %s\n", s.Status, s.Meaning)) {
			t.Errorf("%d is not in its place", s.Status)
		}
		last = s.Status
	}
}
