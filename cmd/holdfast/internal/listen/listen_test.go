package listen

import "testing"

func TestCheckAddress(t *testing.T) {
	for address, valid := range map[string]bool{
		"127.0.0.1:0": true, ":0": true, "localhost:65535": true, "[::1]:80": true,
		"": false, "8080": false, "127.0.0.1:70000": false, "127.0.0.1:http": false, "::1:80": false,
	} {
		if err := CheckAddress(address); (err == nil) != valid {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:0": true, "127.1.2.3:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true,
		"0.0.0.0:0": false, ":0": false, "192.0.2.1:80": false, "localhost:80": false,
	} {
		if got := IsLoopback(address); got != want {
			t.Errorf("IsLoopback(%q) = %v", address, got)
		}
	}
}

func TestIsEvery(t *testing.T) {
	for address, want := range map[string]bool{
		":0": true, "0.0.0.0:80": true, "[::]:80": true,
		"127.0.0.1:0": false, "[::1]:80": false, "localhost:80": false, "example.com:80": false, "80": false,
	} {
		if got := IsEvery(address); got != want {
			t.Errorf("IsEvery(%q) = %v", address, got)
		}
	}
}
