package args

import (
	"testing"

	"github.com/spf13/cobra"
)

func TestSubcommand(t *testing.T) {
	top := &cobra.Command{Use: "top", Run: func(*cobra.Command, []string) {}}
	for _, name := range []string{"check", "show", "hidden"} {
		top.AddCommand(&cobra.Command{Use: name, Hidden: name == "hidden", Run: func(*cobra.Command, []string) {}})
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, ""},
		{[]string{"chekc"}, `unknown command "chekc"; did you mean check?`},
		{[]string{"providers.json"}, `unknown command "providers.json"; there are check and show`},
	} {
		got := ""
		if err := Subcommand(top, tt.args); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestNone(t *testing.T) {
	cmd := &cobra.Command{Use: "list"}
	if err := None(cmd, nil); err != nil {
		t.Error(err)
	}
	if err := None(cmd, []string{"x", "y"}); err == nil || err.Error() != `list takes no argument; got "x"` {
		t.Error(err)
	}
}

func TestFlagError(t *testing.T) {
	for arg, want := range map[string]string{
		"--quux":      "unknown flag: --quux; top --help lists the flags",
		"-qsecret":    "unknown flag: -q; top --help lists the flags",
		"--many=some": `--many "some": must be a whole number`,
		"--yes=some":  `--yes "some": must be true or false`,
		"--many":      "flag needs an argument: --many",
	} {
		cmd := &cobra.Command{Use: "top"}
		cmd.Flags().Int("many", 0, "")
		cmd.Flags().Bool("yes", false, "")
		if err := FlagError(cmd, cmd.ParseFlags([]string{arg})); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", arg, err, want)
		}
	}
}
