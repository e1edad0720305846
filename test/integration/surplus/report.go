package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// before are the figures of holdfast before its connections were watched: the same variants
// for three seconds each, on the machine of the first page.
var before = map[string]figures{
	"in the same packet":    {Calls: 16218, Wrong: 43},
	"in the next packet":    {Calls: 15094, Wrong: 93},
	"0.1 ms later":          {Calls: 17201, Wrong: 3749},
	"1 ms later":            {Calls: 15829, Wrong: 7735},
	"with the next request": {Calls: 22479, Wrong: 11091},
}

const beforeOf = "2026-11-30"

// document is the page of the docs.
func document(all []figures, each time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Answers of another user

Over HTTP/1.1 an answer belongs to a request by its place alone. A service, or something in between, that sends more than it announces can have the rest taken for the answer to the next request, of another user. This page counts such answers. %d users call one client for %s, as fast as they can. The service answers each request, and then sends a second answer, which is another user's. `+"`make surplus`"+` prints the figures and writes this page. It fails if a wrong answer is taken in a cell in which that can be prevented (**bold**).

%s, %s, %d CPUs. Each field has three figures: calls · answers of another user · failed calls. *Before* is holdfast of %s, without what follows.

`, users, each, time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), beforeOf)
	b.WriteString("| second answer | before |")
	for _, c := range contenders {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(contenders)) + "\n")
	for _, v := range variants {
		fmt.Fprintf(&b, "| %s | %s |", v.name, before[v.name])
		for _, c := range contenders {
			field := "–"
			for _, f := range all {
				if f.Variant == v.name && f.Client == c.name {
					field = f.String()
				}
			}
			if c.isSafe(v) {
				field = "**" + field + "**"
			}
			fmt.Fprintf(&b, " %s |", field)
		}
		b.WriteString("\n")
	}
	b.WriteString(`
## What holdfast does

- **An answer that is there before its request is written is not taken.** The connection knows the order of reads and writes, and looks at its socket before it writes. It is closed, nothing of the request is written, and the request is sent on another connection within the same attempt.
- **After that each connection has one request, for ten minutes.** What arrives after a request was written cannot be told from its answer by its place. So the service is not trusted with a second request on a connection. The wrong answers in the table came before that.
- **` + "`Config.CheckRequestID`" + `** wants the call's id in each answer. It helps in each row, if the service sends the id back.
- **` + "`Pool.MaxIdleConns: Off`" + `** helps in each row without the service's help, and so does HTTP/2, where each answer has the number of its request.

Of the connections of your own transport (` + "`WithTransport`" + `) less is known: holdfast looks at the socket when net/http hands a connection out, and finds an answer that begins before the request's headers are made. Those connections go on being used.
`)
	return b.String()
}

func (f figures) String() string { return fmt.Sprintf("%d · %d · %d", f.Calls, f.Wrong, f.Failed) }
