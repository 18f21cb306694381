#!/usr/bin/env bash
# Format, lints and documentation, each without a single warning.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

require_tools cargo cc python3
step 'format' cargo fmt --all --check
step 'lints' cargo clippy --workspace --all-targets --quiet -- -D warnings
sam=$(environment sam)
step 'the template' "$sam/bin/cfn-lint" infra/template.yaml
SAM_CLI_TELEMETRY=0 step 'the template, as sam reads it' "$sam/bin/sam" validate --lint --template-file infra/template.yaml --region us-east-1
RUSTDOCFLAGS='-D warnings' step 'documentation' cargo doc --workspace --no-deps --quiet
