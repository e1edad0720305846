#!/usr/bin/env bash
# Runs the fuzz targets of the root module, each for some time, and prints how often each was
# called: bash scripts/fuzz.sh 1m 'FuzzWait|FuzzStreamEnds'
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT

grep -rnoE --include='*_test.go' --exclude-dir=cmd '^func Fuzz[A-Za-z0-9]+' . | while IFS=: read -r file _ name; do
	name=${name#func }
	[[ $name =~ ^($2)$ ]] || continue
	# Go sometimes takes the end of the time for a failure (golang/go#75804).
	go test -run '^$' -fuzz "^$name$" -fuzztime "$1" -fuzzminimizetime 1s "$(dirname "$file")" > "$out" ||
		{ grep -q '^ *context deadline exceeded' "$out" && ! grep -q 'Failing input' "$out"; } || { cat "$out"; exit 1; }
	echo "$name: $(grep -o 'elapsed.*' "$out" | tail -n 1)"
done
