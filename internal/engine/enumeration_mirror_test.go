package engine

import (
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/fifo"
)

// The fields of the machines are not exported. An enumeration needs them to tell
// states apart, and to see that a step changed nothing. So it reads them through
// mirrors: structs with the same fields at the same offsets.

type breakerMirror struct {
	cfg         breaker.Config
	state       breaker.State
	epoch       uint64
	failures    int
	successes   int
	openedAt    time.Time
	retryAt     time.Time
	lastFailure time.Time
	probes      []probeMirror
}

type probeMirror struct {
	generation uint64
	expires    time.Time
}

type ticketMirror struct {
	epoch      uint64
	generation uint64
	probe      uint16
}

type bulkheadMirror struct {
	cfg   bulkhead.Config
	last  bulkhead.Ticket
	queue fifo.Queue[bulkhead.Ticket]
}

func look(b *breaker.Breaker) *breakerMirror            { return (*breakerMirror)(unsafe.Pointer(b)) }
func lookTicket(t *breaker.Ticket) *ticketMirror        { return (*ticketMirror)(unsafe.Pointer(t)) }
func lookBulkhead(b *bulkhead.Bulkhead) *bulkheadMirror { return (*bulkheadMirror)(unsafe.Pointer(b)) }

// A field that is added to a machine must be added to its mirror and to the key of
// its model.
func TestMirrors(t *testing.T) {
	sameFields(t, reflect.TypeFor[breaker.Breaker](), reflect.TypeFor[breakerMirror]())
	sameFields(t, reflect.TypeFor[breaker.Ticket](), reflect.TypeFor[ticketMirror]())
	sameFields(t, reflect.TypeFor[bulkhead.Bulkhead](), reflect.TypeFor[bulkheadMirror]())
}

func sameFields(t *testing.T, real, mirror reflect.Type) {
	t.Helper()
	if real.NumField() != mirror.NumField() {
		t.Fatalf("%v has %d fields, %v has %d", real, real.NumField(), mirror, mirror.NumField())
	}
	for i := range real.NumField() {
		r, m := real.Field(i), mirror.Field(i)
		if r.Name != m.Name || r.Offset != m.Offset {
			t.Errorf("%v.%s is %v.%s", real, r.Name, mirror, m.Name)
		}
		if r.Type.Kind() == reflect.Slice && r.Type != m.Type {
			sameFields(t, r.Type.Elem(), m.Type.Elem())
		} else if r.Type != m.Type {
			t.Errorf("%v.%s is a %v, its mirror a %v", real, r.Name, r.Type, m.Type)
		}
	}
}
