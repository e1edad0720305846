package fault_test

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

func ExampleParse() {
	plan, err := fault.Parse([]byte(`{
		"version": 1, "seed": 7,
		"pace": [{"latency": {"fixed": "8ms"}}],
		"rules": [
			{"nth": "1-2", "fault": {"status": 503, "retry_after": "2s"}},
			{"when": {"from": "5s", "until": "10s"}, "fault": {"reset": "before_answer"}}
		]
	}`))
	fmt.Println(len(plan.Rules), err)
	// Output: 2 <nil>
}

// Every problem is reported at once, with its place.
func ExampleParse_problems() {
	_, err := fault.Parse([]byte(`{"rules": [
		{"fault": {"status": 99}},
		{"nht": "1-2", "fault": {"hang": "before_answer"}}
	]}`))
	fmt.Println(err)
	// Output:
	// fault plan: 2 problems
	//   rules[1].nht: unknown key; did you mean nth?
	//   rules[0].fault.status: 99 must be 200 to 599
}

// A machine decides without a server.
func ExampleMachine_Next() {
	machine, err := fault.Plan{Rules: []fault.Rule{
		{Fault: fault.Fault{Statuses: []int{503, 503, 200}}},
	}}.Compile()
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 4 {
		now := time.Duration(i) * time.Second
		d := machine.Next(now, fault.Request{Method: "GET", Path: "/"})
		fmt.Println(now, d.IDs)
	}
	// Output:
	// 0s [http.status]
	// 1s [http.status]
	// 2s []
	// 3s []
}

func ExampleCatalog() {
	for _, entry := range fault.Catalog()[:3] {
		fmt.Println(entry.ID, "-", entry.Purpose)
	}
	// Output:
	// http.status - a service that answers, but with an error
	// http.retry_after - a service that says when to come back
	// http.hang - a service that takes the request and never answers
}

// A load works without a server: two workers and a queue of one.
func ExampleCapacity_Load() {
	load := fault.Capacity{Workers: 2, Queue: 1, ServiceTime: 20 * time.Millisecond}.Load()
	for range 4 {
		fmt.Println(load.Arrive())
	}
	fmt.Println(load.End(1)) // starts the third
	// Output:
	// {1 false 20ms}
	// {2 false 20ms}
	// {3 true 0s}
	// {0 false 0s}
	// {3 20ms} true
}

func ExampleMachine_NextConnection() {
	machine, err := fault.Plan{Connections: []fault.ConnRule{
		{Name: "the second is late", Nth: "2", Fault: fault.ConnFault{Latency: &fault.Latency{Fixed: time.Second}}},
		{Name: "flapping", When: fault.Window{From: 10 * time.Second}, Repeat: fault.Repeat{Every: 10 * time.Second, For: 2 * time.Second},
			Fault: fault.ConnFault{Refuse: true}},
	}}.Compile()
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		d := machine.NextConnection(0)
		fmt.Println(d.IDs, d.Delay)
	}
	fmt.Println(machine.Refusing(0))
	fmt.Println(machine.Refusing(10 * time.Second))
	// Output:
	// [] 0s
	// [conn.slow_accept] 1s
	// false 10s
	// true 12s
}
