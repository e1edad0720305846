package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/plans"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/record"
	"github.com/holdfast-go/holdfast/fault"
)

// problem is the error of a request. It never contains the token.
type problem struct {
	status   int
	Text     string        `json:"error"`
	Problems []planProblem `json:"problems,omitempty"` // of a plan
}

func (p *problem) Error() string { return p.Text }

// planProblem is a problem of a plan.
type planProblem struct {
	Path    string `json:"path"`
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"` // of YAML
	Column  int    `json:"column,omitempty"`
}

// serve answers a request with JSON.
func (l *Listener) serve(w http.ResponseWriter, r *http.Request) {
	answer, err := l.answer(w, r)
	status := http.StatusOK
	if problem := (*problem)(nil); errors.As(err, &problem) {
		answer, status = problem, problem.status
	}
	body, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		panic("holdfast: an answer that is not JSON: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // an error means that the caller has left
}

// routes are the handlers by path and method.
var routes = map[string]map[string]func(*Listener, http.ResponseWriter, *http.Request) (any, error){
	"/_holdfast/plan":    {http.MethodGet: (*Listener).getPlan, http.MethodPut: (*Listener).putPlan},
	"/_holdfast/record":  {http.MethodGet: (*Listener).getRecord},
	"/_holdfast/effects": {http.MethodGet: (*Listener).getEffects},
	"/_holdfast/begin":   {http.MethodPost: (*Listener).postBegin},
}

// answer returns a value for JSON. An error is a *problem.
func (l *Listener) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	if !l.admits(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="holdfast faults"`)
		w.Header().Set("Connection", "close") // do not read a body without the token
		return nil, &problem{status: http.StatusUnauthorized, Text: "the token is missing or wrong: send it as Authorization: Bearer TOKEN"}
	}
	methods, known := routes[r.URL.Path]
	if !known {
		return nil, &problem{status: http.StatusNotFound, Text: "there are /_holdfast/plan, /_holdfast/record, /_holdfast/effects and /_holdfast/begin"}
	}
	handler, allowed := methods[r.Method]
	if !allowed {
		var names []string
		for _, name := range []string{http.MethodGet, http.MethodPut, http.MethodPost} {
			if methods[name] != nil {
				names = append(names, name)
			}
		}
		w.Header().Set("Allow", strings.Join(names, ", "))
		return nil, &problem{status: http.StatusMethodNotAllowed, Text: r.URL.Path + " takes " + strings.Join(names, " and ")}
	}
	return handler(l, w, r)
}

// getPlan returns the plan.
func (l *Listener) getPlan(http.ResponseWriter, *http.Request) (any, error) {
	return l.server.Plan(), nil
}

// putPlan replaces the plan, or changes nothing, and returns the plan.
func (l *Listener) putPlan(w http.ResponseWriter, r *http.Request) (any, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, fault.MaxPlanBytes))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &problem{status: http.StatusRequestEntityTooLarge, Text: fmt.Sprintf("the plan has more than %d bytes", fault.MaxPlanBytes)}
	} else if err != nil {
		return nil, &problem{status: http.StatusBadRequest, Text: "the plan is incomplete"}
	}
	read := fault.Parse
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); strings.HasSuffix(kind, "/yaml") || strings.HasSuffix(kind, "/x-yaml") {
		read = plans.ParseYAML
	}
	plan, err := read(data)
	if err == nil {
		err = plans.CheckServer(plan, l.flags)
	}
	if err == nil {
		err = l.server.SetPlan(plan)
	}
	if err != nil {
		return nil, invalidPlan(err)
	}
	return l.server.Plan(), nil
}

// invalidPlan lists the problems of a plan with their paths.
func invalidPlan(err error) error {
	invalid := &problem{status: http.StatusUnprocessableEntity, Text: "the plan is invalid; the previous plan stays in force"}
	var inYAML *plans.YAMLError
	var inJSON *fault.Error
	switch {
	case errors.As(err, &inYAML):
		for _, p := range inYAML.Problems {
			invalid.Problems = append(invalid.Problems, planProblem{p.Path, p.Message, p.Line, p.Column})
		}
	case errors.As(err, &inJSON):
		for _, p := range inJSON.Problems {
			invalid.Problems = append(invalid.Problems, planProblem{Path: p.Path, Message: p.Message})
		}
	default:
		invalid.Problems = []planProblem{{Message: err.Error()}}
	}
	return invalid
}

// getRecord returns a page of the record, with the query for the next page.
func (l *Listener) getRecord(_ http.ResponseWriter, r *http.Request) (any, error) {
	after := 0
	for name, values := range r.URL.Query() {
		n, err := strconv.Atoi(values[0])
		if name != "after" || len(values) > 1 || err != nil || n < 0 {
			return nil, &problem{status: http.StatusBadRequest, Text: "the query may have after=N once: the number of the last known attempt, from 0"}
		}
		after = n
	}
	run, lines, gone := l.tracker.Page(after, pageSize)
	page := struct {
		Run      int           `json:"run"`
		Gone     int           `json:"gone"` // attempts after after that are no longer kept
		Next     int           `json:"next"` // the value of after for the next page
		Attempts []record.Line `json:"attempts"`
	}{run, gone, after, append([]record.Line{}, lines...)}
	if n := len(lines); n > 0 {
		page.Next = lines[n-1].Number
	}
	return page, nil
}

// getEffects returns the counts of the work done.
func (l *Listener) getEffects(http.ResponseWriter, *http.Request) (any, error) {
	e := l.server.Effects()
	return struct {
		Done       int `json:"done"`
		Duplicates int `json:"duplicates"`
		Resent     int `json:"resent"`
		Untracked  int `json:"untracked"`
	}{e.Done, e.Duplicates, e.Resent, e.Untracked}, nil
}

// postBegin restarts the clock of the plan, the counts, the record and the effects.
func (l *Listener) postBegin(http.ResponseWriter, *http.Request) (any, error) {
	return struct {
		Run int `json:"run"`
	}{l.tracker.Begin()}, nil
}
