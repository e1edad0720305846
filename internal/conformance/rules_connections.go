package conformance

import (
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// upload is larger than the buffers of a loopback connection.
const upload = 8 << 20

// connectionRules are about connections that fail and about requests that are
// not read.
var connectionRules = []Rule{
	{
		Fault: fault.IDRefuse, Plan: everyConnection(fault.ConnFault{Refuse: true}),
		Want:    Refused,
		Why:     "if no server listens, the call fails soon, and the next call reaches the service when it is back",
		Sources: []string{"curl(1), --retry-connrefused: to try again is the caller's choice"},
	},
	{
		Fault: fault.IDConnHang, Plan: onceConnection(fault.ConnFault{Hang: true}),
		Want: Answered, Least: 2, Most: 2,
		Why:     "a connection without any data is replaced at the limit",
		Sources: []string{transient, mayRepeat},
	},
	{
		Fault: fault.IDCloseOnAccept, Plan: onceConnection(fault.ConnFault{Close: true}),
		Want: Answered, Least: 2, Most: 2,
		Why:     "a connection that closes at once is replaced",
		Sources: []string{closedEarly},
	},
	{
		Fault: fault.IDResetOnAccept, Plan: onceConnection(fault.ConnFault{Reset: true}),
		Want: Answered, Least: 2, Most: 2,
		Why:     "a connection that is reset at once is replaced",
		Sources: []string{closedEarly},
	},
	{
		Fault: fault.IDSlowAccept, Plan: onceConnection(fault.ConnFault{Latency: &fault.Latency{Fixed: 150 * time.Millisecond}}),
		Want: Answered, Least: 1, Most: 1,
		Why:     "a late answer within the limit is not requested twice",
		Sources: []string{transient},
	},
	{
		Fault: fault.IDReset, Plan: once(fault.Fault{Reset: fault.BeforeAnswer}),
		Want: Answered, Least: 2, Most: 2,
		Why:     "a GET is retried after its connection was reset",
		Sources: []string{mayRepeat},
	},
	{
		Fault: fault.IDClose, Plan: once(fault.Fault{Close: fault.BeforeAnswer}),
		Want: Answered, Least: 2, Most: 2,
		Why:     "a GET without an answer is retried",
		Sources: []string{mayRepeat, closedEarly},
	},
	{
		Fault: fault.IDResetNext, Plan: once(fault.Fault{Reset: fault.NextRequest}),
		Calls: 2, Lives: true, Want: Answered, Least: 2, Most: 3,
		Why:     "a kept connection that is already gone fails no call",
		Sources: []string{closedEarly},
	},
	{
		Fault: fault.IDCloseNext, Plan: once(fault.Fault{Close: fault.NextRequest}),
		Calls: 2, Lives: true, Want: Answered, Least: 2, Most: 3,
		Why:     "a kept connection that closes at this moment fails no call",
		Sources: []string{closedEarly},
	},
	{
		Fault: "upload.stall", Plan: once(fault.Fault{Upload: fault.UploadStall}),
		Method: "PUT", Body: upload, Want: Answered, Least: 2, Most: 2,
		Why:     "an upload that the service does not read ends at the limit, and the whole body is sent again",
		Sources: []string{transient, mayRepeat},
	},
	{
		Fault: "upload.answered_early", Plan: always(fault.Fault{Upload: fault.UploadAnsweredEarly}),
		Method: "PUT", Body: upload, Want: Refused, Status: 413, Least: 1, Most: 1,
		Why:     "an answer before the end of the body is a valid answer: a 413 is not retried",
		Sources: []string{"RFC 9112, 9.5: a client that sees such an answer should cease to send", "RFC 9110, 15.5.14: 413"},
	},
}
