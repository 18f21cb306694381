#!/usr/bin/env bash
# Format, lints and documentation, each without a single warning.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

require_tools cargo cc
step 'format' cargo fmt --all --check
step 'lints' cargo clippy --workspace --all-targets --quiet -- -D warnings
RUSTDOCFLAGS='-D warnings' step 'documentation' cargo doc --workspace --no-deps --quiet
