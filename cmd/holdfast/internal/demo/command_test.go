package demo

import (
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

var program = cmdtest.Of(NewCommand)

func TestMain(m *testing.M) { program.Main(m) }

func TestWrongUse(t *testing.T) {
	program.Fails(t, exit.Usage, `demo takes no argument; got "quux"`, "demo", "quux")
	program.Fails(t, exit.Usage, "unknown flag: --jsn; holdfast demo --help lists the flags", "demo", "--jsn")
	program.Fails(t, exit.Usage, `--json "perhaps": must be true or false`, "demo", "--json=perhaps")
	program.Fails(t, exit.Usage, `--seed "-1": must be a whole number from 0`, "demo", "--seed", "-1")
	program.Fails(t, exit.Usage, "flag needs an argument: --seed", "demo", "--seed")
	program.Fails(t, exit.Usage, `--seconds "soon": must be a number`, "demo", "--seconds", "soon")
	program.Fails(t, exit.Usage, "--seconds 2.9: must be 3 to 60", "demo", "--seconds", "2.9")
	program.Fails(t, exit.Usage, "--seconds 61: must be 3 to 60", "demo", "--seconds", "61")
	program.Fails(t, exit.Usage, "--seconds NaN: must be 3 to 60", "demo", "--seconds", "NaN")
	program.Fails(t, exit.Usage, `--plant "weed": must be fresh-key`, "demo", "--plant", "weed")
}
