#!/usr/bin/env bash
# Builds the package of every function, as Lambda takes it.
#
#   ARCH=…     arm64 (as the template deploys them) or x86_64
#   PROFILE=…  release, or lambda-quick: built in minutes, larger and slower
#   OUT=…      where the packages go (target/lambda, where the template looks for them)
#   NATIVE=1   build with this machine's own compiler, for this machine alone: for the emulator
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

ARCH=${ARCH:-arm64}
PROFILE=${PROFILE:-release}
OUT=${OUT:-target/lambda}
NATIVE=${NATIVE:-}

require_tools cargo cc
case $ARCH in
    arm64) target=aarch64-unknown-linux-gnu flag=--arm64 ;;
    x86_64) target=x86_64-unknown-linux-gnu flag=--x86-64 ;;
    *) fail "ARCH=$ARCH: arm64 or x86_64" ;;
esac
environment=$(environment build)
export PATH=$environment/bin:$PATH
set -- --locked --profile "$PROFILE" --output-format zip --lambda-dir "$OUT"
if [ -n "$NATIVE" ]; then
    set -- "$@" --compiler cargo
else
    # Linked against an old enough C library, whatever this machine has.
    if command -v rustup >/dev/null 2>&1; then
        rustup target add "$target"
    fi
    set -- "$@" "$flag"
fi
for function in $(functions); do
    set -- "$@" --bin "$function"
done
cargo lambda build --quiet "$@"

say
say "Packages for $ARCH, profile $PROFILE, in $OUT:"
for function in $(functions); do
    printf '%10d bytes  %s\n' "$(wc -c <"$OUT/$function/bootstrap.zip")" "$function"
done
