package demo

import (
	"bytes"
	"testing"
)

func TestTable(t *testing.T) {
	var out bytes.Buffer
	writeTable(&out, passing())
	want := `                         bare http.Client            holdfast
  calls                            12,000              12,000
  answered                          7,836   65 %        8,644   72 %
  refused at once                       –               3,181  in 21 µs
  failed                            4,164   35 %          175    1 %
  requests sent                    12,000               9,665
    of these in the outage          3,121                 380
  work done                         9,382               8,768
    though reported as failed       1,546                 124
    done twice                          0                   0  of 123 sent again
  answers within, half of them     9.4 ms              9.6 ms
  answers within, 99 in 100         18 ms                 1 s
  connections opened                3,147                 412
`
	if got := out.String(); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}
