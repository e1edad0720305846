# The commands of this repository; make alone lists them.

# One line, one list: internal/tidy reads it. tools is not in it, it has no code.
MODULES := . cmd/holdfast benchmarks faultserver/h2fault internal/integration provider/bedrock
# Where goroutines meet in memory.
RACED   := . ./internal/shell/...

# A workspace selects one set of versions for all modules. Here each is built
# with the versions of its own go.mod, as those who use it get it.
export GOWORK := off

# $(call each,COMMAND) runs COMMAND for every module $$m, to the end, and fails
# with the names of those where it failed.
each = failed=; for m in $(MODULES); do $(1) || failed="$$failed $$m"; done; \
	test -z "$$failed" || { echo "failed in:$$failed" >&2; exit 1; }

.PHONY: help demo test bench lint race clean go gcc curl node npm mixedbread-sdk postgres

help: ## list these commands
	@awk -F ':[^#]*## ' '/^[a-z]+:.*## / { printf "  make %-6s  %s\n", $$1, $$2 }' Makefile

demo: go ## a service fails and recovers; a client holds (ARGS=--json for numbers)
	@go -C cmd/holdfast run . demo $(ARGS)

# The shells hold every lock and atomic of the library and build fast, so they
# are run once more under the race detector here; make race does it thoroughly.
test: go gcc curl mixedbread-sdk postgres ## build and test every module; installs what that needs
	@$(call each,go -C $$m build -o /dev/null ./... && go -C $$m test ./...)
	@echo "again under the race detector:" && go test -race ./internal/shell/...

bench: go ## compare with the rivals, in pairs (ARGS='-only breaker')
	@go -C benchmarks run . $(ARGS)

lint: go ## gofmt, go vet and staticcheck, every module
	@test -z "$$(gofmt -l .)" || { echo "gofmt -w these:" >&2; gofmt -l . >&2; exit 1; }
	@check=$$(go -C tools tool -n staticcheck) && \
		$(call each,(cd $$m && go vet ./... && "$$check" ./...))

race: go gcc ## the racy floors under the race detector, for minutes
	@go test -race -count=3 -cpu 1,2,8 $(RACED)

clean: ## remove what these commands leave in the tree
	@rm -rf benchmarks/out

mixedbread-sdk: node npm # which install it
go gcc curl node npm mixedbread-sdk postgres:
	@bash scripts/need.sh $@
