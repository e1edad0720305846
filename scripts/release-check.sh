#!/usr/bin/env bash
# release-check.sh VERSION: rehearse a release of the last commit, in a clone that
# is thrown away (or kept: KEEP=DIR). It makes the tags of every module, lets the go
# command package them as a module proxy would, and then does what users do with
# nothing but those packages. docs/releases.md has the steps of a real one.
#
# PLANT=replace leaves the replace lines in; PLANT=require gives the root module a
# dependency; PLANT=version makes the command say another version. Each must fail.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:-}
root=github.com/holdfast-go/holdfast
semver='^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$'

say() { printf '%s\n' "$*"; }
die() { say "release-check: $*" >&2; exit 1; }

[[ $version =~ $semver ]] || die "VERSION is \"$version\": must be like v0.1.0"
[[ -z $(git status --porcelain) ]] || say "note: what is not committed is not rehearsed"
[[ -z $(git tag -l "$version") ]] || die "$version is a tag already"

tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp" && rm -rf "$tmp"' EXIT
clone=${KEEP:-$tmp/clone}
git clone -q . "$clone"
git -C "$clone" config user.name release
git -C "$clone" config user.email release@example.invalid
git -C "$clone" config advice.detachedHead false
git -C "$clone" checkout -q --detach # the nested modules' tags are on no branch

# The go command finds our modules in the clone, by git, as it would on GitHub;
# others in the cache of this machine, and only then on the network.
cache=$(go env GOMODCACHE)/cache/download
others="file://$cache,$(go env GOPROXY)"
export GIT_CONFIG_COUNT=2 \
	GIT_CONFIG_KEY_0=url.file://$clone.insteadOf GIT_CONFIG_VALUE_0=https://$root \
	GIT_CONFIG_KEY_1=protocol.file.allow GIT_CONFIG_VALUE_1=always
export GOWORK=off GOFLAGS=-mod=mod GOMODCACHE=$tmp/modules GOSUMDB=off GOTOOLCHAIN=local

# modules: the folders with a go.mod that users get, the root last.
modules() {
	git -C "$clone" ls-files '*go.mod' | sed 's|/*go.mod$||; s|^$|.|' | grep -vE '^(benchmarks|tools|test/.*)$'
}
tag() { # tag FOLDER
	local name=$version
	[[ $1 == . ]] || name=$1/$version
	git -C "$clone" tag "$name"
	say "tagged  $name"
}
# needs FOLDER: which others of the repository it requires, as folders.
needs() {
	go -C "$clone/$1" mod edit -json | grep -oE "\"Path\": \"$root[^\"]*\"" | cut -d'"' -f4 | sort -u |
		sed "s|^$root\$|.|; s|^$root/||" | grep -vxF "$1" || true
}

# release FOLDER: what a module of its own looks like when it is published.
release() {
	local path=$root/$1 other
	for other in $(needs "$1"); do
		[[ ${PLANT:-} == replace ]] && continue
		local of=$root/$other
		[[ $other == . ]] && of=$root
		go -C "$clone/$1" mod edit -dropreplace "$of" -require "$of@$version"
	done
	[[ ${PLANT:-} == replace ]] || ! go -C "$clone/$1" mod edit -json | grep -q '"Replace": \[' || die "$path still replaces something"
	GOPRIVATE=$root GOPROXY=$others go -C "$clone/$1" mod tidy >/dev/null 2>"$tmp/tidy" || die "$path: $(cat "$tmp/tidy")"
	git -C "$clone" commit -qam "Release $1/$version" --allow-empty
}

if [[ ${PLANT:-} == require ]]; then
	printf '\nrequire example.com/other v1.0.0\n' >>"$clone/go.mod"
	git -C "$clone" commit -qam "Plant"
fi
if grep -q '^require\|^replace' "$clone/go.mod"; then die "the root module requires or replaces something"; fi
tag .
todo=$(modules | grep -vx '\.')
while [[ -n $todo ]]; do
	later=
	for m in $todo; do
		if comm -12 <(needs "$m" | sort) <(tr ' ' '\n' <<<"$todo" | sort) | grep -q .; then
			later+=" $m"
			continue
		fi
		release "$m"
		tag "$m"
	done
	[[ $later != "$todo" ]] || die "these require each other: $todo"
	todo=${later# }
done

# What users see from here on are packages in a file-based proxy, made by the go
# command from the tags, and the others that releasing them has asked for.
for m in $(modules); do
	path=$root/$m
	[[ $m == . ]] && path=$root
	GOPRIVATE=$root GOPROXY=direct go -C "$tmp" mod download "$path@$version" || die "$path@$version cannot be packaged"
done
unset GIT_CONFIG_COUNT
export GOMODCACHE=$tmp/users GOPROXY=file://$tmp/modules/cache/download GOFLAGS=

# A user installs the command.
[[ ${PLANT:-} == version ]] && wrong=v9.9.9
GOBIN=$tmp/bin go -C "$tmp" install "$root/cmd/holdfast@$version" || die "the command cannot be installed"
told=$("$tmp/bin/holdfast" version --json)
grep -qF "\"version\": \"${wrong:-$version}\"" <<<"$told" || die "the command says $told"
grep -qF "\"path\": \"$root\"" <<<"$told" || die "the command does not know its holdfast: $told"
"$tmp/bin/holdfast" faults list >/dev/null || die "the command does not run"
say "works   go install $root/cmd/holdfast@$version"

# A user requires the library, and gets no other module.
mkdir "$tmp/dependant" && cd "$tmp/dependant"
cat >main.go <<'GO'
package main

import (
	"fmt"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/settings"
)

func main() {
	cfg := settings.LocalService()
	cfg.BaseURL = "http://localhost:1"
	client, err := holdfast.New(cfg)
	if err != nil {
		panic(err)
	}
	defer client.Close()
	fmt.Println(client.Stats().BreakerState)
}
GO
go mod init example.com/dependant 2>/dev/null
go get "$root@$version" >"$tmp/said" 2>&1 || die "the library cannot be required: $(cat "$tmp/said")"
[[ $(go run .) == closed ]] || die "a program with the library does not run"
foreign=$(grep -v "^$root v" go.sum || true)
[[ -z $foreign ]] || die "users of the library would get these modules, too: $foreign"
say "works   a program with the library: $(go list -m all | wc -l) modules, its own and $root"

# A user requires each of the other modules.
for m in $(modules | grep -vE '^(\.|cmd/.*)$'); do
	mkdir -p "$tmp/other/$m" && cd "$tmp/other/$m"
	go mod init example.com/other 2>/dev/null
	printf 'package other\n\nimport _ "%s"\n' "$root/$m" >other.go
	{ go get "$root/$m@$version" && go build ./...; } >"$tmp/said" 2>&1 || die "$root/$m cannot be used: $(cat "$tmp/said")"
	say "works   a program with $root/$m"
done

cd "$clone"
grep -q "^## \[${version#v}\]" CHANGELOG.md || say "note: CHANGELOG.md has no section [${version#v}] yet"
[[ -z ${KEEP:-} ]] || say "kept in $clone; to publish: git -C $clone push https://$root --tags"
