package mixedbread_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
)

// The service fails twice and then answers; the caller does not notice.
func Example() {
	service, err := faultserver.New(fault.Plan{Rules: []fault.Rule{
		{Fault: fault.Fault{Statuses: []int{503, 503, 200}}},
	}}, faultserver.Backend(faultserver.Embeddings))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.Close()

	cfg := mixedbread.Config("a key")
	cfg.BaseURL = service.URL() + "/v1"        // leave this out to ask the real one
	cfg.Retry.BaseDelay = 5 * time.Millisecond // and this: it is patient enough
	client, err := holdfast.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	vectors, err := mixedbread.New(client, "").Embed(context.Background(), []string{"rye", "spelt"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(vectors), "vectors after", len(service.Record()), "attempts")
	// Output:
	// 2 vectors after 3 attempts
}
