# The commands of this repository; make alone lists them.

# One line, one list: test/house reads it. tools is not in it, it has no code.
MODULES := . cmd/holdfast benchmarks faultserver/h2fault provider/bedrock test/integration
# Where goroutines meet in memory, and what takes long there with one of them: the
# last two are one call after the other, and more than half of the root's time.
RACED   := . ./internal/core/... ./internal/striped ./internal/world ./internal/lazyctx ./internal/virtual ./internal/engine ./internal/latency
ALONE   := TestFileAtAnOffset|TestEnumerate|TestManyCallers|TestStreamAllocations|NoSecretGetsOut
COUNT   := 20
# Every line of these is tested, and nearly every one of the root.
COVERED := ./internal/core/... ./internal/striped ./internal/world ./internal/virtual ./internal/outcome ./internal/latency ./internal/spelling

# A workspace selects one set of versions for all modules. Here each is built
# with the versions of its own go.mod, as those who use it get it.
export GOWORK := off

# $(call each,COMMAND) runs COMMAND for every module $$m, to the end, and fails
# with the names of those where it failed.
each = failed=; for m in $(MODULES); do $(1) || failed="$$failed $$m"; done; \
	test -z "$$failed" || { echo "failed in:$$failed" >&2; exit 1; }

.PHONY: help demo test bench sdks conformance outage lint cover mutate race release-check clean go gcc curl node npm mixedbread-sdk postgres httpx

help: ## list these commands
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  make %-13s  %s\n", $$1, $$2 }' Makefile

demo: go ## a service fails and recovers; a client holds (ARGS=--json for numbers)
	@go -C cmd/holdfast run . demo $(ARGS)

# The handles and contexts hold the locks and atomics and build fast, so they
# are run once more under the race detector here; make race does it thoroughly.
test: go gcc curl httpx mixedbread-sdk postgres ## build and test every module; installs what that needs
	@$(call each,go -C $$m build -o /dev/null ./... && go -C $$m test ./...)
	@echo "again under the race detector:" && go test -race ./internal/world ./internal/lazyctx ./internal/virtual ./internal/engine

bench: go ## compare with the rivals, in pairs (ARGS='-only breaker'); all of it goes into docs/benchmarks.md
	@go -C benchmarks run . -page ../docs/benchmarks.md $(ARGS)

sdks: go ## real SDKs in a dozen scenarios: bare, as shipped, and through holdfast
	@go -C test/integration test -count=1 -run TestSDKs -args -table

conformance: go ## holdfast and the other clients meet every fault; writes docs/conformance.md
	@cd test/integration && go run ./conformance -page ../../docs/conformance.md $(ARGS)

outage: go ## one outage through holdfast and the other clients; writes docs/outage.md, in half an hour (ARGS='-runs 2')
	@cd test/integration && go run ./outage -page ../../docs/outage.md $(ARGS)

lint: go ## gofmt, go vet and staticcheck, every module
	@test -z "$$(gofmt -l .)" || { echo "gofmt -w these:" >&2; gofmt -l . >&2; exit 1; }
	@check=$$(go -C tools tool -n staticcheck) && \
		$(call each,(cd $$m && go vet ./... && "$$check" ./...))

cover: go ## statements that tests reach: the machines' 100 %, the root's 95 %
	@go test -cover . $(COVERED) | awk ' \
		/coverage:/ { for (i = 1; i < NF; i++) if ($$i == "coverage:") got = $$(i + 1) + 0; \
			least = $$2 ~ /\/internal\// ? 100 : 95; \
			printf "%5.1f %% of at least %3d  %s\n", got, least, $$2; n++; if (got < least) low = 1; next } \
		{ print } /FAIL/ { low = 1 } END { exit low || n < 2 }'

mutate: go ## change one operator at a time in the machines and parsers; the tests must notice 90 % of the changes
	@gremlins=$$(go -C tools tool -n gremlins) && go run ./test/house/mutate -gremlins "$$gremlins"

race: go gcc ## the racy floors under the race detector, for a quarter of an hour (COUNT=1 for less)
	@go test -race -count=$(COUNT) -cpu 1,2,8 -timeout 60m -skip '$(ALONE)' $(RACED)
	@go test -race -timeout 60m -run '$(ALONE)' $(RACED)

release-check: go ## rehearse a release from the last commit (VERSION=v0.1.0)
	@bash scripts/release-check.sh "$(VERSION)"

clean: ## remove what these commands leave in the tree
	@rm -rf benchmarks/out test/integration/out

mixedbread-sdk: node npm # which install it
go gcc curl httpx node npm mixedbread-sdk postgres:
	@bash scripts/need.sh $@
