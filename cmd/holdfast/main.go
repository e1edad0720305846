// Command holdfast shows what the library holdfast does, and serves the faults
// that it is made for.
//
//	holdfast call      one call, in the manner of curl
//	holdfast demo      a service fails and recovers; a client holds
//	holdfast embed     embeddings of any number of texts, and none paid for twice
//	holdfast faults    serves a plan of faults, for whatever client is to be tried
//	holdfast config    says which settings of the providers count, and where they are from
//	holdfast conformance   judges any client, in any language, by the rules that holdfast is judged by
//	holdfast version   says which build this is, and what went into it
//
// It exits with 0, or 1 for a failure, 2 for an argument that makes no sense, 3
// for a file or a setting that does not hold, 130 if it was interrupted; call has
// some more, which its help lists.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/call"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/config"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/conformance"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/embed"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/root"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/version"
)

func main() { root.Main(newRoot()) }

func newRoot() *cobra.Command {
	return root.New(version.Current().String(),
		call.NewCommand(os.LookupEnv),
		config.NewCommand(os.LookupEnv),
		conformance.NewCommand(),
		demo.NewCommand(),
		embed.NewCommand(os.LookupEnv),
		newFaults(),
		version.NewCommand(),
	)
}
