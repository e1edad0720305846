package admin_test

import (
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/admin"
)

func TestValidToken(t *testing.T) {
	for token, want := range map[string]bool{
		"0123456789abcdef": true, "0123456789abcde": false, "": false, strings.Repeat("x", 256): true, strings.Repeat("x", 257): false,
		"0123456789 abcdef": false, "0123456789\nabcdef": false, "0123456789äbcdef": false,
	} {
		if got := admin.ValidToken(token); got != want {
			t.Errorf("ValidToken(%q) = %v", token, got)
		}
	}
}
