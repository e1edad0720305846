package holdfast

import (
	"net/http"
	"slices"
	"sync"
)

// addedPool has maps for the headers that instruments add to first attempts: nearly every
// operation has one attempt.
var addedPool = sync.Pool{New: func() any { return http.Header{} }}

// mostAdded bounds the maps that are kept.
const mostAdded = 8

// newAdded returns an empty map for the headers of attempt n.
func newAdded(n int) http.Header {
	if n == 1 {
		return addedPool.Get().(http.Header)
	}
	return http.Header{}
}

// freeAdded takes back the map of a first attempt. Nothing refers to it any more.
func freeAdded(h http.Header) {
	if len(h) <= mostAdded {
		clear(h)
		addedPool.Put(h)
	}
}

// addHere adds the headers of instruments to the request of the operation itself, which saves
// a copy of the request for its first attempt. It does nothing if one of them replaces another
// header, or would go to another origin: then the attempt has a request of its own. Later
// attempts have requests of their own without these headers.
func (a *clientAttempt) addHere() error {
	h := a.call.request.Header
	for name := range a.added {
		key := http.CanonicalHeaderKey(name)
		if _, ok := h[key]; ok || slices.Contains(crossOriginHeaders, key) {
			return nil
		}
	}
	if err := checkHeaders("header", a.added); err != nil {
		return err
	}
	for name, values := range a.added {
		h[http.CanonicalHeaderKey(name)] = values
	}
	a.addedHere = true
	return nil
}
