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

// An argument beside a flag with a secret may be a part of it, and is not repeated.
func TestNoneBesideASecret(t *testing.T) {
	cmd := &cobra.Command{Use: "list"}
	cmd.Flags().String("key", "", "")
	Secret(cmd, "key")
	for _, given := range [][]string{{}, {"--key", "a"}} {
		if err := cmd.ParseFlags(given); err != nil {
			t.Fatal(err)
		}
		want := `list takes no argument; got "secret"`
		if len(given) > 0 {
			want = "list takes no argument; got 1: are quotes missing?"
		}
		if err := None(cmd, []string{"secret"}); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", given, err, want)
		}
	}
}

func TestFlagError(t *testing.T) {
	for arg, want := range map[string]string{
		"--quux":         "unknown flag: --quux; top --help lists the flags",
		"-qsecret":       "unknown flag: -q; top --help lists the flags",
		"--many=some":    `--many "some": must be a whole number`,
		"--yes=some":     `--yes "some": must be true or false`,
		"--many":         "flag needs an argument: --many",
		"--keysecret":    "unknown flag: --key…; top --help lists the flags",
		"--key-secret=x": "unknown flag: --key…; top --help lists the flags",
		"--ke=secret":    "unknown flag: --ke; top --help lists the flags",
		"--key=secret":   "--key: must be a whole number",
		"--manysecret":   "unknown flag: --manysecret; top --help lists the flags",
	} {
		cmd := &cobra.Command{Use: "top"}
		cmd.Flags().Int("many", 0, "")
		cmd.Flags().Bool("yes", false, "")
		cmd.Flags().Int("key", 0, "")
		Secret(cmd, "key")
		if err := FlagError(cmd, cmd.ParseFlags([]string{arg})); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", arg, err, want)
		}
	}
}
