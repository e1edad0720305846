package main

import "runtime"

// suite is the tests of a module, or of packages of the standard library.
type suite struct {
	Name     string
	Module   string // empty for the standard library
	Version  string
	Packages []string
	folders  []string // and files that are copied; nil for the whole module
	patches  []patch
	alone    string // an expression for tests that hang through holdfast: they run alone, with a short limit
	skip     string // an expression for tests that are left out
	why      string // they are
}

// suites are all suites.
func suites() []suite {
	everything := []string{"./..."}
	return []suite{
		{
			Name: "net/http", Version: runtime.Version(), Packages: []string{"net/http"},
			alone: "^(TestTransportAndServerSharedBodyRace|TestProxyWithInfiniteHeader|TestCancelRequestWhenSharingConnection|TestTransportProxy(Get)?ConnectHeader)$",
		},
		{
			Name: "net/http/httputil", Version: runtime.Version(), Packages: []string{"net/http/httputil"},
			patches: []patch{{
				file: "net/http/httputil/reverseproxy.go",
				old:  "res, err := transport.RoundTrip(outreq)",
				new:  "res, err := http.HoldfastThrough(transport).RoundTrip(outreq)",
			}},
		},
		{
			Name: "go-github", Module: "github.com/google/go-github/v68", Version: "v68.0.0", Packages: []string{"./github"},
		},
		{
			Name: "connect", Module: "connectrpc.com/connect", Version: "v1.21.1", Packages: []string{"."},
		},
		{
			Name: "resty v2", Module: "github.com/go-resty/resty/v2", Version: "v2.17.2", Packages: everything,
			skip: "^TestClientRetry(Get|Wait)", why: "tests of its own waits between retries take a minute.",
		},
		{
			Name: "resty v3", Module: "resty.dev/v3", Version: "v3.0.0-rc.4", Packages: everything,
		},
		{
			Name: "go-retryablehttp", Module: "github.com/hashicorp/go-retryablehttp", Version: "v0.7.8", Packages: everything,
			skip: "^TestRoundTripper_TransportFailureErrorHandling$", why: "one test waits for a name server.",
		},
		{
			Name: "MCP go-sdk", Module: "github.com/modelcontextprotocol/go-sdk", Version: "v1.8.0", Packages: []string{"./mcp", "./auth/...", "./oauthex/..."},
		},
		{
			Name: "minio-go", Module: "github.com/minio/minio-go/v7", Version: "v7.4.1", Packages: []string{".", "./pkg/credentials"},
			skip: "^Test200(Multipart|DeleteObjects)|^TestHealthCheck$", why: "tests of its own retries wait for a quarter of a minute each.",
		},
		{
			Name: "aws-sdk-go-v2", Module: "github.com/aws/aws-sdk-go-v2", Version: "v1.48.0", Packages: []string{"./aws/transport/http", "./aws/retry", "./aws/middleware", "./aws/signer/v4"},
		},
		{
			Name: "azcore", Module: "github.com/Azure/azure-sdk-for-go/sdk/azcore", Version: "v1.24.0", Packages: []string{"./runtime"},
			skip: "^Test(Loc|Op|New|Async)Poller|TooSlow$|PerTryTimeout$", why: "tests of pollers and of its own time limits wait for seconds.",
		},
		{
			Name: "elastic-transport-go", Module: "github.com/elastic/elastic-transport-go/v8", Version: "v8.11.0", Packages: everything,
			patches: []patch{{
				file: "elastictransport/elastictransport.go",
				old:  "return c.transport.RoundTrip(req)",
				new:  "return http.HoldfastThrough(c.transport).RoundTrip(req)",
			}},
		},
		{
			Name: "oauth2", Module: "golang.org/x/oauth2", Version: "v0.38.0", Packages: everything,
		},
		{
			Name: "coder/websocket", Module: "github.com/coder/websocket", Version: "v1.8.15", Packages: everything,
		},
		{
			Name: "go-containerregistry", Module: "github.com/google/go-containerregistry", Version: "v0.22.1", Packages: []string{"./pkg/v1/remote/...", "./pkg/registry/...", "./pkg/v1/google/..."},
		},
	}
}
