package demo

import (
	"bytes"
	"testing"
)

func TestTable(t *testing.T) {
	var out bytes.Buffer
	writeTable(&out, passing())
	want := `                         bare http.Client  http.Client in a loop          holdfast
  calls                            12,000                 12,000            12,000
    late starts                         0                      2                 0
  answered                          7,836   65 %           8,596   72 %      8,644   72 %
  rejected at once                      –                      –             3,181  in 21 µs
  failed                            4,164   35 %           3,404   28 %        175    1 %
  requests sent                    12,000                 23,462             9,665
    of these in the outage          3,121                 12,282               380
  work done                         9,382                 11,407             8,768
    though reported as failed       1,546                  2,811               124
    done twice                          0                  3,284                 0  of 123 sent again
  answers within, half of them     9.4 ms                 9.7 ms            9.6 ms
  answers within, 99 in 100         18 ms                 190 ms               1 s
  connections opened                3,147                 12,314               412
`
	if got := out.String(); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}
