// Package version is the command holdfast version.
package version

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// NewCommand makes the command.
func NewCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program and its modules",
		Long: `Prints the version of this program, the version of Go and the platform. With --json
it also prints the commit, if it is known, and all modules with their checksums.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("version takes no arguments; got %s", format.Plural(len(args), "argument"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return write(cmd.OutOrStdout(), Current(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything that is known, as one JSON object")
	return cmd
}

func write(w io.Writer, b Build, asJSON bool) error {
	if !asJSON {
		_, err := fmt.Fprintln(w, "holdfast", b)
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(b)
}
