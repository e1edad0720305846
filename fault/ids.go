package fault

// ID names a fault for good: in records, docs, tests and tables.
type ID string

// The ids. What each is for and how true it is stands in [Catalog].
const (
	IDStatus         ID = "http.status"
	IDRetryAfter     ID = "http.retry_after"
	IDHang           ID = "http.hang"
	IDReset          ID = "conn.rst_before_answer"
	IDClose          ID = "conn.fin_before_answer"
	IDBodyHang       ID = "body.hang"
	IDCutFIN         ID = "body.cut_fin"
	IDCutRST         ID = "body.cut_rst"
	IDLatency        ID = "time.latency"
	IDCommitThenDrop ID = "commit.then_drop"
)

// Entry describes one fault.
type Entry struct {
	ID ID
	// Purpose is what a client must withstand.
	Purpose string
	// Faithful is where faultserver's version equals the real thing, and where
	// it does not.
	Faithful string
}

// Catalog lists every fault there is. A fault that is not here does not exist;
// one that is here has a test that proves it on the wire.
func Catalog() []Entry {
	return []Entry{
		{IDStatus, "a service that answers, but with an error",
			"fully: an ordinary answer on a connection that stays open"},
		{IDRetryAfter, "a service that says when to come back",
			"fully; whole seconds only, rounded up, as the header's first form has it"},
		{IDHang, "a service that takes the request and never answers",
			"fully: the connection is open, acknowledges, and sends no byte"},
		{IDReset, "a process that dies, or a middlebox that forgets the connection",
			"a real RST on TCP (linger 0); in memory the reader is told ECONNRESET and no packet exists"},
		{IDClose, "a server that closes a connection instead of answering",
			"a real FIN on TCP; in memory an end of stream"},
		{IDBodyHang, "an answer that stops after its headers",
			"fully: Content-Length promises a body of which no byte is sent"},
		{IDCutFIN, "a server that dies politely within its answer",
			"a real FIN on TCP, after exactly the bytes named; in memory an end of stream"},
		{IDCutRST, "a server that dies within its answer",
			"a real RST on TCP; it may overtake bytes that the receiver had no room for yet, so that fewer than named arrive. In memory as for conn.rst_before_answer"},
		{IDLatency, "a slow service",
			"the wait is never shorter than planned; it ends as late as the machine's timers do. A caller that leaves does not end it: the service does its work all the same"},
		{IDCommitThenDrop, "work that was done although the caller got no answer",
			"fully: the effect is counted before the fault, which is named beside this one, strikes"},
	}
}

// ids names what a settled fault applies, in the order in which it happens.
func (f *Fault) ids() []ID {
	var ids []ID
	add := func(applies bool, id ID) {
		if applies {
			ids = append(ids, id)
		}
	}
	add(f.Latency != nil, IDLatency)
	add(f.Commit, IDCommitThenDrop)
	add(f.Status != 0, IDStatus)
	add(f.Status != 0 && f.RetryAfter > 0, IDRetryAfter)
	add(f.Hang == BeforeAnswer, IDHang)
	add(f.Hang == AfterHeaders, IDBodyHang)
	add(f.Reset != "", IDReset)
	add(f.Close != "", IDClose)
	add(f.Cut != nil && f.Cut.By != RST, IDCutFIN)
	add(f.Cut != nil && f.Cut.By == RST, IDCutRST)
	return ids
}
