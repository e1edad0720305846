package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// admin is the way in while a server of faults runs: on a listener of its own, on
// loopback, for who knows the token.
type admin struct {
	token    string
	digest   [sha256.Size]byte
	journal  *journal
	tls, h2  bool // the server speaks them
	listener net.Listener
	http     *http.Server
	serving  sync.WaitGroup
}

// Bounds of what the admin endpoint takes and gives.
const (
	pageSize    = 1000 // attempts
	adminTime   = 10 * time.Second
	adminHeader = 16 << 10
)

// newAdmin listens, and serves from start on. Without a token it makes one.
func newAdmin(address, token string, tls, h2 bool) (*admin, error) {
	if token == "" {
		token = rand.Text()
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	if !loopback(listener.Addr().String()) { // whatever localhost means here
		listener.Close()
		return nil, fmt.Errorf("%s is not on loopback", listener.Addr())
	}
	a := &admin{token: token, digest: sha256.Sum256([]byte(token)), tls: tls, h2: h2, listener: listener}
	a.http = &http.Server{
		Handler:     http.HandlerFunc(a.serve),
		ReadTimeout: adminTime, WriteTimeout: adminTime, IdleTimeout: adminTime,
		MaxHeaderBytes: adminHeader,
		ErrorLog:       log.New(io.Discard, "", 0), // what goes wrong is the caller's
	}
	return a, nil
}

// start serves what there is to tell of the journal. It does nothing to nil.
func (a *admin) start(j *journal) {
	if a != nil {
		a.journal = j
		a.serving.Go(func() { a.http.Serve(a.listener) }) // ends with ErrServerClosed
	}
}

func (a *admin) url() string { return "http://" + a.listener.Addr().String() }

// close lets what is being served end, for a moment. It does nothing to nil.
func (a *admin) close() {
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.http.Shutdown(ctx) != nil {
		a.http.Close()
	}
	a.listener.Close() // if it was never started
	a.serving.Wait()
}

// goodToken says whether a token can stand in a header, and is long enough not to
// be guessed.
func goodToken(token string) bool {
	strange := func(c rune) bool { return c <= ' ' || c > '~' }
	return len(token) >= 16 && len(token) <= 256 && strings.IndexFunc(token, strange) < 0
}

// admits compares digests, so that the time it takes tells nothing of the token,
// its length included.
func (a *admin) admits(r *http.Request) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	digest := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(digest[:], a.digest[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// adminProblem is what is wrong with a request. It never holds the token.
type adminProblem struct {
	status   int
	Text     string          `json:"error"`
	Problems []problemObject `json:"problems,omitempty"` // of a plan
}

func (p *adminProblem) Error() string { return p.Text }

type problemObject struct {
	Path    string `json:"path"`
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"` // of YAML
	Column  int    `json:"column,omitempty"`
}

func (a *admin) serve(w http.ResponseWriter, r *http.Request) {
	answer, err := a.answer(w, r)
	status := http.StatusOK
	if problem := (*adminProblem)(nil); errors.As(err, &problem) {
		answer, status = problem, problem.status
	}
	body, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		panic("holdfast: an answer that is no JSON: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // a caller that has left is no concern of ours
}

// doors are what there is, by path and method.
var doors = map[string]map[string]func(*admin, http.ResponseWriter, *http.Request) (any, error){
	"/_holdfast/plan":    {http.MethodGet: (*admin).getPlan, http.MethodPut: (*admin).putPlan},
	"/_holdfast/record":  {http.MethodGet: (*admin).getRecord},
	"/_holdfast/effects": {http.MethodGet: (*admin).getEffects},
	"/_holdfast/begin":   {http.MethodPost: (*admin).postBegin},
}

// answer gives what is to be written as JSON; an error is an *adminProblem.
func (a *admin) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	if !a.admits(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="holdfast faults"`)
		w.Header().Set("Connection", "close") // and read no body of a stranger
		return nil, &adminProblem{status: http.StatusUnauthorized, Text: "the token is missing or wrong: send it as Authorization: Bearer TOKEN"}
	}
	methods, known := doors[r.URL.Path]
	if !known {
		return nil, &adminProblem{status: http.StatusNotFound, Text: "there are /_holdfast/plan, /_holdfast/record, /_holdfast/effects and /_holdfast/begin"}
	}
	open, allowed := methods[r.Method]
	if !allowed {
		var names []string
		for _, name := range []string{http.MethodGet, http.MethodPut, http.MethodPost} {
			if methods[name] != nil {
				names = append(names, name)
			}
		}
		w.Header().Set("Allow", strings.Join(names, ", "))
		return nil, &adminProblem{status: http.StatusMethodNotAllowed, Text: r.URL.Path + " takes " + strings.Join(names, " and ")}
	}
	return open(a, w, r)
}

func (a *admin) getPlan(http.ResponseWriter, *http.Request) (any, error) {
	return a.journal.server.Plan(), nil
}

// putPlan changes the plan, all of it or nothing, and answers with the new one.
func (a *admin) putPlan(w http.ResponseWriter, r *http.Request) (any, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, fault.MaxPlanBytes))
	if tooMuch := (*http.MaxBytesError)(nil); errors.As(err, &tooMuch) {
		return nil, &adminProblem{status: http.StatusRequestEntityTooLarge, Text: fmt.Sprintf("the plan has more than %d bytes", fault.MaxPlanBytes)}
	} else if err != nil {
		return nil, &adminProblem{status: http.StatusBadRequest, Text: "the plan did not arrive whole"}
	}
	read := fault.Parse
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); strings.HasSuffix(kind, "/yaml") || strings.HasSuffix(kind, "/x-yaml") {
		read = parseYAML
	}
	plan, err := read(data)
	if err == nil {
		err = followable(plan, a.tls, a.h2)
	}
	if err == nil {
		err = a.journal.server.SetPlan(plan)
	}
	if err != nil {
		return nil, refusedPlan(err)
	}
	return a.journal.server.Plan(), nil
}

// refusedPlan lists the problems of a plan with their paths.
func refusedPlan(err error) error {
	refused := &adminProblem{status: http.StatusUnprocessableEntity, Text: "the plan does not hold; the one before goes on"}
	var inYAML *yamlError
	var inJSON *fault.Error
	switch {
	case errors.As(err, &inYAML):
		for _, p := range inYAML.problems {
			refused.Problems = append(refused.Problems, problemObject{p.Path, p.Message, p.line, p.column})
		}
	case errors.As(err, &inJSON):
		for _, p := range inJSON.Problems {
			refused.Problems = append(refused.Problems, problemObject{Path: p.Path, Message: p.Message})
		}
	default:
		refused.Problems = []problemObject{{Message: err.Error()}}
	}
	return refused
}

// getRecord gives a page of the record. What to ask for next is in it.
func (a *admin) getRecord(_ http.ResponseWriter, r *http.Request) (any, error) {
	after := 0
	for name, values := range r.URL.Query() {
		n, err := strconv.Atoi(values[0])
		if name != "after" || len(values) > 1 || err != nil || n < 0 {
			return nil, &adminProblem{status: http.StatusBadRequest, Text: "the query may have after=N once: the number of the last attempt that is known, from 0"}
		}
		after = n
	}
	run, lines, gone := a.journal.page(after, pageSize)
	page := struct {
		Run      int    `json:"run"`
		Gone     int    `json:"gone"` // attempts behind after that are not kept any more
		Next     int    `json:"next"` // after of the next page
		Attempts []line `json:"attempts"`
	}{run, gone, after, append([]line{}, lines...)}
	if n := len(lines); n > 0 {
		page.Next = lines[n-1].number
	}
	return page, nil
}

func (a *admin) getEffects(http.ResponseWriter, *http.Request) (any, error) {
	e := a.journal.server.Effects()
	return struct {
		Done       int `json:"done"`
		Duplicates int `json:"duplicates"`
		Resent     int `json:"resent"`
		Untracked  int `json:"untracked"`
	}{e.Done, e.Duplicates, e.Resent, e.Untracked}, nil
}

// postBegin starts afresh: the plan's clock, the counts, the record, the effects.
func (a *admin) postBegin(http.ResponseWriter, *http.Request) (any, error) {
	return struct {
		Run int `json:"run"`
	}{a.journal.begin()}, nil
}
