#!/usr/bin/env bash
# Runs the fuzz targets of every module, each for some time, and prints how often each was
# called, and at the end the sum: bash scripts/fuzz.sh 1m 'FuzzWait|FuzzStreamEnds'
set -euo pipefail
export GOWORK=off
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT

sum=0 targets=0
while IFS=: read -r file _ name; do
	name=${name#func }
	[[ $name =~ ^($2)$ ]] || continue
	# Go sometimes takes the end of the time for a failure (golang/go#75804).
	go -C "$(dirname "$file")" test -run '^$' -fuzz "^$name$" -fuzztime "$1" -fuzzminimizetime 1s . > "$out" ||
		{ grep -q '^ *context deadline exceeded' "$out" && ! grep -q 'Failing input' "$out"; } || { cat "$out"; exit 1; }
	last=$(grep -o 'elapsed.*execs: .*' "$out" | tail -n 1) || last="no execution after its corpus in this time"
	echo "$name: $last"
	execs=${last#*execs: } execs=${execs%% *}
	[[ $execs =~ ^[0-9]+$ ]] || execs=0
	sum=$((sum + execs)) targets=$((targets + 1))
done < <(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9]+' . | sort)
[ "$targets" -gt 0 ] || { echo "no fuzz target matches $2" >&2; exit 1; }
echo "$sum executions of $targets targets"
