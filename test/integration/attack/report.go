package main

import (
	"fmt"
	"strings"
	"time"
)

// document is docs/attacks.md.
func document(results []result, total time.Duration) string {
	var table, floods, commands strings.Builder
	broken := false
	for _, r := range results {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", r.name, r.tried, strings.ReplaceAll(r.outcome(), "|", "\\|"))
		fmt.Fprintf(&commands, "# %s\n%s\n", r.name, r.command)
		broken = broken || r.failed
		for _, f := range r.floods {
			fmt.Fprintf(&floods, "| %s |\n", strings.Join(f, " | "))
		}
	}
	text := strings.NewReplacer(
		"{date}", time.Now().UTC().Format(time.DateOnly), "{machine}", machine, "{total}", format(total),
		"{table}", table.String(), "{commands}", commands.String(),
	).Replace(page)
	if broken {
		text += "\n▼ marks a round in which a promise was broken.\n"
	}
	if floods.Len() > 0 {
		text += "\n## Floods\n\nThe first round of each kind. A flood that the client does not cut off ends after " + floodLimit + ". The lines are those that net/http writes to the standard log.\n\n| Frames | Connection | Taken | Log lines | Cut off |\n|---|---|---|---|---|\n" + floods.String()
	}
	return text
}

// format writes 20m0s as 20 minutes.
func format(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return d.String()
}

const floodLimit = "2 s or 8 MiB"

const page = `# Attacks

What running code tried against holdfast, how often, and what came of it. ` + "`make attack`" + ` runs the rounds and writes this page. It takes 20 minutes, is not part of CI, and fails if a promise of [SECURITY.md](../SECURITY.md) or of [embed.md](embed.md) is broken. ` + "`TIME=2m`" + ` makes it shorter, ` + "`ARGS='-only kill'`" + ` selects rounds.

{date}, {machine}, {total} in all.

| Round | What was tried | What came of it |
|---|---|---|
{table}
The command of each round:

` + "```" + `
{commands}` + "```" + `
`
