package embed

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// Without --provider it is the only provider that the settings configure.
func TestDefaultProvider(t *testing.T) {
	server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{Nth: "1", Fault: fault.Fault{Status: 503}}}}, faultserver.Backend(faultserver.Ollama))
	settings := cmdtest.JSON(t, fmt.Sprintf(`{"providers": {"ollama": {"base_url": %q, "retry": {"base_delay": "1ms"}}}}`, server.URL()))
	var stdout, stderr bytes.Buffer
	status := program.Run(t.Context(), []string{"embed", "--config", settings, "--model", "nomic-embed-text", "rye", "oat"}, &stdout, &stderr)
	got := parseVectors(t, stdout.String())
	if status != 0 || len(got) != 2 || got[1].Model != "nomic-embed-text" || len(got[1].Embedding) == 0 || !strings.Contains(stderr.String(), "done 2 · failed 0 · attempts 2 · took ") {
		t.Errorf("exit status %d, stdout %q, stderr %q; want 2 embeddings after 2 attempts", status, &stdout, &stderr)
	}
}
