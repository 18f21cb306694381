# Every command that a person needs. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help run test lint fmt build deploy destroy test-deployed bench clean-data

# Where `make run` keeps everything.
DATA ?= .weir

help: ## This list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Start the system and settle a sample; FILE=… one's own file, ONCE=1 end when it is done
	@DATA='$(DATA)' FILE='$(FILE)' ONCE='$(ONCE)' bash scripts/run.sh

test: ## Every check and every test
	@bash scripts/test.sh

lint: ## Format, lints and documentation, without a warning
	@bash scripts/lint.sh

fmt: ## Format the code
	@cargo fmt --all

build: ## The packages for Lambda, in target/lambda; ARCH=x86_64, PROFILE=lambda-quick
	@ARCH='$(ARCH)' PROFILE='$(PROFILE)' bash scripts/build.sh

deploy: ## Deploy them: STAGE=dev; asks for the parameters the first time
	@STAGE='$(STAGE)' YES='$(YES)' bash scripts/deploy.sh

destroy: ## Take a deployment away, but for its data: STAGE=dev
	@STAGE='$(STAGE)' bash scripts/destroy.sh

test-deployed: ## Deploy into an emulator on this machine, and see every function work
	@bash scripts/test-deployed.sh

bench: ## Every benchmark; prints a table and writes target/bench.json
	@cargo run --quiet --profile bench-local --package weir-bench

clean-data: ## Forget everything that `make run` has kept
	@if [ -f '$(DATA)/pid' ] && kill -0 "$$(cat '$(DATA)/pid')" 2>/dev/null; then \
	    echo "process $$(cat '$(DATA)/pid') runs on $(DATA): end it first" >&2; exit 1; fi
	@if [ -e '$(DATA)' ] && [ ! -f '$(DATA)/ready.json' ]; then \
	    echo '$(DATA) is no folder of make run: it stays' >&2; exit 1; fi
	@rm -rf '$(DATA)'
