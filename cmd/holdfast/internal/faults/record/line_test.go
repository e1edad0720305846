package record

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/faultserver"
)

func TestLine(t *testing.T) {
	got, err := json.Marshal(Line{2, 7, faultserver.Attempt{
		At: 1234567 * time.Nanosecond, Connection: 3, Method: "POST", Path: "/v1/\"x\"\n", RequestID: "r", Operation: "o",
		Bytes: 12, Rule: -1, Delay: 1500 * time.Microsecond, Status: 200, Effect: true}})
	want := `{"run":2,"number":7,"at_ms":1.235,"connection":3,"method":"POST","path":"/v1/\"x\"\n","request_id":"r","operation":"o",` +
		`"bytes":12,"rule":-1,"n":0,"faults":[],"delay_ms":1.5,"status":200,"effect":true}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}
