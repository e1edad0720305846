package holdfast

import (
	"testing"
	"unsafe"
)

// A call is one piece of memory, and one more byte than this would cost 256: the next size
// class of Go's allocator.
func TestClientCallFitsItsSizeClass(t *testing.T) {
	if size := unsafe.Sizeof(clientCall{}); size > 1792 {
		t.Errorf("a call has %d bytes, want at most 1792", size)
	}
}
