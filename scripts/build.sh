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

require_tools cargo cc python3
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
    # By package, so that no feature of a crate comes along that only the local system or the tests ask for.
    set -- "$@" --package "weir-$function" --bin "$function"
done
# Of what they are is said only when they are whole.
rm -f "$OUT/built"
sources=$(sources_state)
cargo lambda build --quiet "$@"

# shellcheck disable=SC2046 # a word each
"$environment/bin/python" scripts/pack.py $(functions | sed "s|.*|$OUT/&/bootstrap.zip|")

say
say "Packages for $ARCH, profile $PROFILE, in $OUT:"
too_large=
for function in $(functions); do
    size=$(wc -c <"$OUT/$function/bootstrap.zip")
    printf '%10d bytes  %s\n' "$size" "$function"
    if [ "$size" -gt "$(package_bytes_max "$function")" ]; then
        too_large="$too_large$function: $OUT/$function/bootstrap.zip has $((size)) bytes where $(package_bytes_max "$function") are allowed
"
    fi
done
# Others than those that are deployed may be as large as they are.
if [ -n "$too_large" ] && [ "$PROFILE" = release ]; then
    say "Too large, as a cold start fetches and unpacks the package:" >&2
    fail "$too_large"
fi
printf 'architecture %s\nprofile %s\nsources %s\n' "$ARCH" "$PROFILE${NATIVE:+-native}" "$sources" >"$OUT/built"
