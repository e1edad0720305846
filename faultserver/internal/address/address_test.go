package address

import "testing"

func TestToDial(t *testing.T) {
	for listening, want := range map[string]string{
		"0.0.0.0:8080":        "127.0.0.1:8080",
		"[::]:8080":           "127.0.0.1:8080",
		"127.0.0.1:8080":      "127.0.0.1:8080",
		"[::1]:8080":          "[::1]:8080",
		"192.0.2.7:8080":      "192.0.2.7:8080",
		"faultserver.test:80": "faultserver.test:80",
	} {
		if got := ToDial(listening); got != want {
			t.Errorf("%s: %s, want %s", listening, got, want)
		}
	}
}
