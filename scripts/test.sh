#!/usr/bin/env bash
# Every check and every test. The tests come last, so that the last lines say how they ended.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

require_tools cargo cc python3
if ! cargo nextest --version >/dev/null 2>&1; then
    say 'cargo-nextest is missing; building it takes some minutes, once.'
    step 'cargo-nextest' cargo install cargo-nextest --locked --version '^0.9'
fi
profile=default
if [ -n "${CI:-}" ]; then
    profile=ci
fi
begun=$SECONDS
bash scripts/lint.sh
step 'build the tests' cargo nextest run --workspace --no-run
step 'build the programs' cargo build --package weir-local --package weir-cli --package weir-simulator --bins
step 'the API against its document' bash scripts/schemathesis.sh
# The emulator runs the packages on this machine, as Lambda would.
if [ "$(uname -s)" = Linux ]; then
    step 'the deployed system' bash scripts/test-deployed.sh
fi
say
say "All that comes before the tests took $((SECONDS - begun)) s."
cargo nextest run --workspace --profile "$profile"
