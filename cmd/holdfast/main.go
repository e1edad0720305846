// Command holdfast is the command line of the library holdfast.
//
//	holdfast call         make one HTTP call
//	holdfast config       check or show settings
//	holdfast conformance  test an HTTP client against faults
//	holdfast demo         compare holdfast with an http.Client in an outage
//	holdfast embed        make embeddings of any number of texts
//	holdfast faults       serve a plan of faults
//	holdfast version      print the version of this program
//
// Its exit status is 0, 1 after a failure, 2 for an invalid argument, 3 for an invalid
// file or setting, and 130 after an interrupt. The help of call and embed lists others.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/call"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/config"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/conformance"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/embed"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults"
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
		faults.NewCommand(),
		version.NewCommand(),
	)
}
