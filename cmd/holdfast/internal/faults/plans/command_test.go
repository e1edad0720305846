package plans

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/fault"
)

var program, schemaProgram = cmdtest.Of(NewCommand), cmdtest.Of(NewSchemaCommand)

func TestPlans(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := program.Run(t.Context(), []string{"plans"}, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("exit status %d, stderr %q", status, &stderr)
	}
	for _, b := range Builtins {
		if !strings.Contains(stdout.String(), b.Name+" ") {
			t.Errorf("%s is not listed in\n%s", b.Name, &stdout)
		}
	}
}

func TestSchema(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := schemaProgram.Run(t.Context(), []string{"schema"}, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("exit status %d, stderr %q", status, &stderr)
	}
	if !bytes.Equal(stdout.Bytes(), fault.Schema()) || !json.Valid(stdout.Bytes()) {
		t.Errorf("it printed %s", &stdout)
	}
}
