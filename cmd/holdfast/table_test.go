package main

import (
	"bytes"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	var out bytes.Buffer
	writeTable(&out, sound())
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

func TestVerdict(t *testing.T) {
	var out bytes.Buffer
	c := sound()
	writeVerdict(&out, terminal{}, c)
	c.Problems = []string{"duplicate_effects is 1: must be 0"}
	writeVerdict(&out, terminal{}, c)
	want := `  Holds: nothing was done twice, nothing leaked, the service was left alone while it was down.
  Does not hold:
    duplicate_effects is 1: must be 0
`
	if got := out.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12000: "12,000", 1234567: "1,234,567", -999: "-999", -1000: "-1,000"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ns", 850: "850 ns", 2 * time.Microsecond: "2 µs", 20_540: "21 µs", 9_949 * time.Microsecond: "9.9 ms",
		9_960 * time.Microsecond: "10 ms", 277 * ms: "277 ms", 999_600 * time.Microsecond: "1 s",
		1031 * ms: "1 s", 2100 * ms: "2.1 s", 15 * time.Second: "15 s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%d) = %q, want %q", d, got, want)
		}
	}
}
