package main

// page is docs/conformance.md, but for what is measured.
const page = `# Conformance

What HTTP clients of Go do when the other side fails, each way of failing by itself, on real sockets. ` + "`make conformance`" + ` prints this table and writes this page and ` + "`internal/integration/out/conformance.json`" + `.

{date}, {go}: {versions}.

{rows}
## The rules

{rules}`
