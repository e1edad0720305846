#!/usr/bin/env bash
# need.sh TOOL...: check that each tool works. Missing tools are installed: Debian's
# packages by apt-get, if run as root, and npm's packages in their folder. If a tool
# is still missing, the script names it and fails. No test is skipped.
set -euo pipefail

go_floor=1.26 # as in go.mod
node_floor=18 # the first with fetch; Debian 12 has it
sdk=$(dirname "$0")/../test/integration/testdata/mixedbread

# works TOOL: the tool exists and has the features that the tests need.
works() {
	case $1 in
	go)
		local have
		have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
		[[ $(printf '%s\n' "$go_floor" "${have#go}" | sort -V | head -n 1) == "$go_floor" ]]
		;;
	gcc) echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1 ;; # headers too: cgo needs them
	curl) [[ $(curl --version 2>/dev/null) == *HTTP2* ]] ;;
	node) [[ $(node --version 2>/dev/null) =~ ^v([0-9]+) ]] && ((BASH_REMATCH[1] >= node_floor)) ;;
	npm) npm --version >/dev/null 2>&1 ;;
	mixedbread-sdk) npm --prefix "$sdk" ls >/dev/null 2>&1 ;; # the version of its package-lock.json
	chromium) chromium --version >/dev/null 2>&1 ;;
	postgres) compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ;; # Debian keeps it off the PATH
	httpx) /usr/bin/python3 -c 'import httpx, tenacity' 2>/dev/null ;;
	*) echo "need.sh: unknown tool $1" >&2; exit 2 ;;
	esac
}

# packages TOOL: its Debian packages; none if they are too old.
packages() {
	case $1 in
	gcc) echo gcc libc6-dev ;;
	curl) echo curl ;;
	node) echo nodejs ;;
	npm) echo npm ;;
	chromium) echo chromium fonts-dejavu-core ;;
	postgres) echo postgresql ;;
	httpx) echo python3-httpx python3-tenacity ;;
	esac
}

install() {
	echo "installing $*" >&2
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

missing=0
for tool in "$@"; do
	works "$tool" && continue
	read -ra names <<<"$(packages "$tool")"
	if ((${#names[@]})) && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
		install "${names[@]}" >&2 || true # works checks the result
		works "$tool" && continue
	fi
	case $tool in
	mixedbread-sdk)
		echo "installing $tool" >&2
		npm --prefix "$sdk" ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 && works "$tool" && continue
		echo "missing: $tool (npm --prefix test/integration/testdata/mixedbread ci)" >&2
		;;
	go) echo "missing: Go $go_floor or newer, from https://go.dev/dl ($(command -v go >/dev/null && go version || echo "no go in PATH"))" >&2 ;;
	*) echo "missing: $tool (apt-get install ${names[*]})" >&2 ;;
	esac
	missing=1
done
exit "$missing"
