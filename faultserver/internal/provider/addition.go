package provider

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// Addition is what a provider adds to the answer of one request.
type Addition struct {
	// Header is sent beside the answer's own.
	Header http.Header
	// Refusal is the error of an API fault, and the form of an error status. Without a
	// Body there is none.
	Refusal Refusal

	api *API
	id  string // of the request
	err Error
}

// Add returns the provider's addition to an answer. number is that of the request,
// and body the request's. It removes a stream fault from the decision if the answer
// is not a stream.
func (a *API) Add(d *fault.Decision, answer Answer, body []byte, number uint64, now time.Time) Addition {
	id := "req_" + WorkOf(fmt.Sprint(number))
	add := Addition{Header: a.Headers(body, d.Quota, id, now), api: a, id: id}
	f := d.Fault
	if f == nil {
		return add
	}
	add.err = errorOf(d, id)
	switch {
	case f.API == fault.APIErrorIn200:
		add.Refusal = a.RefuseWith200(add.err, now)
	case f.API != "", f.Status >= 400:
		add.Refusal = a.Refuse(add.err, now)
	case f.Stream != "" && !IsStream(answer):
		spare(d)
	}
	return add
}

// Refuse makes the error of a status the refusal. Without a provider it does nothing.
func (add *Addition) Refuse(status int, now time.Time) {
	if add.api != nil {
		add.Refusal = add.api.Refuse(Error{Status: status, ID: add.id}, now)
	}
}

// Script returns the stream with the defect that the decision names.
func (add *Addition) Script(f *fault.Fault, answer Answer) Script {
	return add.api.Defective(f, answer, add.err)
}

// errorOf returns the error of a decision's fault.
func errorOf(d *fault.Decision, id string) Error {
	f := d.Fault
	e := Error{Kind: Kind(f.API), Wait: f.RetryAfter, Quota: d.Quota, ID: id}
	switch {
	case f.API == fault.APIErrorIn200 || f.Stream != "":
		e.Kind = Kind(f.Error)
		if e.Kind == "" {
			e.Kind = Overloaded
		}
	case f.Quota != nil:
		e.Kind, e.Status = RateLimit, f.Status
	case f.Status != 0:
		e.Status, e.Wait = f.Status, 0 // retry_after has its own form
	}
	return e
}

// spare removes a stream fault.
func spare(d *fault.Decision) {
	id := fault.ID("stream." + d.Fault.Stream)
	d.IDs = slices.DeleteFunc(slices.Clone(d.IDs), func(met fault.ID) bool { return met == id }) // the plan's list is shared
	if len(d.IDs) == 0 {
		d.Rule, d.N = -1, 0
	}
	d.Fault = nil
}
