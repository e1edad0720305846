# The commands of this repository. make without a target lists them.

# Keep the list on one line: test/house reads it. tools has no code and is not in it.
MODULES := . cmd/holdfast benchmarks faultserver/h2fault otelholdfast promholdfast provider/bedrock test/integration test/rivals
# The packages in which goroutines share memory, and their slow tests, which use few
# goroutines: make race runs those once.
RACED   := . ./internal/core/... ./internal/striped ./internal/world ./internal/lazyctx ./internal/virtual ./internal/engine ./internal/latency
ALONE   := TestFileAtAnOffset|TestEnumerate|TestManyCallers|TestStreamAllocations|NoSecretGetsOut
COUNT   := 20
TIME    := 1m
ONLY    := .*
# Packages with a test for every line.
COVERED := ./internal/core/... ./internal/fifo ./internal/striped ./internal/world ./internal/virtual ./internal/outcome ./internal/latency ./internal/spelling ./internal/setting

# A workspace selects one set of versions for all modules. The commands build each
# module with the versions of its own go.mod, as users do.
export GOWORK := off

# $(call each,COMMAND) runs COMMAND for every module $$m, and then fails with the
# names of the modules in which it failed.
each = failed=; for m in $(MODULES); do $(1) || failed="$$failed $$m"; done; \
	test -z "$$failed" || { echo "failed in:$$failed" >&2; exit 1; }

.PHONY: help demo test bench sdks conformance outage attack stalepool surplus suites screenshots lint cover mutate fuzz race release-check clean go gcc curl node npm mixedbread-sdk postgres httpx chromium

help: ## list these commands
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  make %-13s  %s\n", $$1, $$2 }' Makefile

demo: go ## a service fails and recovers, and a client survives it (ARGS=--json for numbers)
	@go -C cmd/holdfast run . demo $(ARGS)

# These packages have the locks and atomics of the machines and build fast, so their
# tests also run under the race detector here. make race runs more of them.
test: go gcc curl httpx mixedbread-sdk postgres chromium ## build and test every module; installs programs that the tests need
	@$(call each,go -C $$m build -o /dev/null ./... && go -C $$m test ./...)
	@echo "again under the race detector:" && go test -race ./internal/world ./internal/lazyctx ./internal/virtual ./internal/engine

bench: go ## compare with the rivals, in pairs (ARGS='-only breaker'); a full run goes into docs/benchmarks.md
	@go -C benchmarks run . -page ../docs/benchmarks.md $(ARGS)

sdks: go ## real SDKs in a dozen scenarios: bare, as shipped, and through holdfast
	@go -C test/integration test -count=1 -run TestSDKs -args -table

conformance: go ## test holdfast and other clients against every fault; writes docs/conformance.md
	@cd test/integration && go run ./conformance -page ../../docs/conformance.md $(ARGS)

outage: go ## holdfast and other clients in one outage; writes docs/outage.md; half an hour (ARGS='-runs 2')
	@cd test/integration && go run ./outage -page ../../docs/outage.md $(ARGS)

attack: go gcc ## attack holdfast with stress, kills, floods and fuzz; writes docs/attacks.md; 20 minutes (TIME=2m, ARGS="-only kill")
	@cd test/integration && go run ./attack -time $(if $(filter file,$(origin TIME)),20m,$(TIME)) -page ../../docs/attacks.md $(ARGS)

stalepool: go ## pools of holdfast and other clients go stale; writes docs/stalepool.md; three minutes (ARGS=-tolerate)
	@cd test/integration && go run ./stalepool -page ../../docs/stalepool.md $(ARGS)

surplus: go ## count answers of another user when a service sends more than it announces; writes docs/surplus.md; two minutes
	@cd test/integration && go run ./surplus -page ../../docs/surplus.md $(ARGS)

suites: go ## the tests of other people's modules, bare and through holdfast; writes docs/suites.md; a quarter of an hour
	@cd test/integration && go run ./suites -page ../../docs/suites.md $(ARGS)

screenshots: go chromium ## pictures of the live page, into docs/images
	@go -C test/integration test -count=1 -run TestPage -args -screenshots ../../docs/images

lint: go ## gofmt, go vet and staticcheck on every module
	@test -z "$$(gofmt -l .)" || { echo "gofmt -w these:" >&2; gofmt -l . >&2; exit 1; }
	@check=$$(go -C tools tool -n staticcheck) && \
		$(call each,(cd $$m && go vet ./... && "$$check" ./...))

cover: go ## test coverage: at least 100 % for the machines, 95 % for the root
	@go test -cover . $(COVERED) | awk ' \
		/coverage:/ { for (i = 1; i < NF; i++) if ($$i == "coverage:") got = $$(i + 1) + 0; \
			least = $$2 ~ /\/internal\// ? 100 : 95; \
			printf "%5.1f %% of at least %3d  %s\n", got, least, $$2; n++; if (got < least) low = 1; next } \
		{ print } /FAIL/ { low = 1 } END { exit low || n < 2 }'

mutate: go ## change one operator at a time in the machines and parsers; the tests must notice 90 % of the changes
	@gremlins=$$(go -C tools tool -n gremlins) && go run ./test/house/mutate -gremlins "$$gremlins"

fuzz: go ## run the fuzz targets of every module, each for TIME=1m, and add up their calls (ONLY='FuzzWait|FuzzStreamEnds' for some)
	@bash scripts/fuzz.sh "$(TIME)" "$(ONLY)"

# The memory of the race detector grows with each pass in a process, to 5 GB after 20.
race: go gcc ## packages with shared memory under the race detector, a quarter of an hour (COUNT=1 for less)
	@for pass in $$(seq $(COUNT)); do for cpus in 1 2 8; do echo "pass $$pass of $(COUNT), $$cpus CPUs"; \
		go test -race -count=1 -cpu $$cpus -timeout 60m -skip '$(ALONE)' $(RACED) || exit 1; done; done
	@go test -race -count=1 -timeout 60m -run '$(ALONE)' $(RACED)

release-check: go ## rehearse a release from the last commit (VERSION=v0.1.0)
	@bash scripts/release-check.sh "$(VERSION)"

clean: ## remove files that these commands write
	@rm -rf benchmarks/out test/integration/out

mixedbread-sdk: node npm # they install it
go gcc curl httpx node npm mixedbread-sdk postgres chromium:
	@bash scripts/need.sh $@
