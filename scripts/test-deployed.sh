#!/usr/bin/env bash
# Deploys the template, unchanged, into an emulator on this machine, with the packages of every function, and sees each
# do its work through its real trigger.
#
# The packages are built for this machine with the profile `lambda-quick`: the same code as production's, without minutes of
# optimising. Everything is kept in a folder of its own that is removed in the end, all that is started is ended,
# and nothing but 127.0.0.1 is asked, but for the Python packages, once.
#
#   PACKAGES=…  a folder with packages to try instead, such as target/lambda
#   KEEP=1      leave the folder with every log
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

require_tools cargo cc python3
if [ "$(uname -s)" != Linux ]; then
    fail 'The emulator runs the packages on this machine, so this machine must be Linux.'
fi
case $(uname -m) in
    x86_64) arch=x86_64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "Lambda runs nothing of $(uname -m)" ;;
esac

packages=${PACKAGES:-${CARGO_TARGET_DIR:-target}/lambda-emulator}
if [ -z "${PACKAGES:-}" ]; then
    ARCH=$arch PROFILE=lambda-quick NATIVE=1 OUT=$packages bash scripts/build.sh
fi
cargo build --quiet --package weir-local --package weir-cli --package weir-simulator --bins
sam=$(environment sam)
emulator=$(environment emulator)

folder=$(mktemp -d)
driver=''
stop() {
    trap - EXIT INT TERM
    if [ -n "$driver" ] && kill -0 "$driver" 2>/dev/null; then
        # It ends what it has started.
        kill -TERM "$driver" 2>/dev/null || true
        wait "$driver" 2>/dev/null || true
    fi
    if [ -n "${KEEP:-}" ]; then say "Kept: $folder"; else rm -rf "$folder"; fi
}
trap stop EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM

# A place like the repository, where `make deploy` finds the packages that are tried, and keeps its settings.
mkdir -p "$folder/infra" "$folder/target"
cp infra/template.yaml "$folder/infra/"
cp -R Cargo.toml Makefile functions scripts "$folder/"
ln -s "$(cd "$packages" && pwd)" "$folder/target/lambda"
ln -s "$sam" "$folder/target/venv-sam"
"$emulator/bin/python" scripts/test_deployed.py --folder "$folder" --arch "$arch" \
    --bin "$(cd "$(debug_dir)" && pwd)" --python "$emulator/bin/python" &
driver=$!
code=0
wait "$driver" || code=$?
driver=''
exit "$code"
