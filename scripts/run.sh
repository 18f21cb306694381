#!/usr/bin/env bash
# Starts the whole system on this machine, settles a file and shows what became of it.
#
#   FILE=…   one's own settlement file instead of a made-up one; its sellers are made known
#   ONCE=1   end when the file is done, instead of staying up until Ctrl-C
#   DATA=…   where everything is kept (.weir)
#   PORT=…   where the API listens (8085, or any free one when that is taken)
#   FAULTS=… what the 3Rivers simulator does wrong, as JSON; {} for nothing
#   WAIT=…   for how many seconds at most the file is waited for (600)
#
# Ends with 0 when the file is done. A record in error is no failure of the run; for the made-up
# file, whose outcome is known, anything but exactly its one record in error is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

DATA=${DATA:-.weir}
FILE=${FILE:-}
ONCE=${ONCE:-}
WAIT=${WAIT:-600}
DEFAULT_FAULTS='{"latency":{"min_ms":5,"max_ms":40},"errors":{"429":0.02,"503":0.03},"retry_after_s":1,"cut_after_commit":0.01}'
FAULTS=${FAULTS:-$DEFAULT_FAULTS}

require_tools cargo cc curl
if [ -n "$FILE" ] && [ ! -r "$FILE" ]; then
    fail "FILE=$FILE cannot be read"
fi

say 'Building (the first time takes some minutes) …'
cargo build --quiet --package weir-local --package weir-cli --bins
weir_local=$(debug_dir)/weir-local
weir=$(debug_dir)/weir

mkdir -p "$DATA"
ready=$DATA/ready.json
log=$DATA/log
# Two systems on one folder would write over each other.
if [ -f "$DATA/pid" ] && kill -0 "$(cat "$DATA/pid")" 2>/dev/null; then
    fail "process $(cat "$DATA/pid") runs on $DATA already: end it first, or choose another DATA"
fi

# The port of one's choice must be free; the usual one is left to whoever has it.
listen=127.0.0.1:${PORT:-8085}
if [ -z "${PORT:-}" ] && (exec 3<>"/dev/tcp/127.0.0.1/8085") 2>/dev/null; then
    listen=127.0.0.1:0
fi

server=''
stop() {
    trap - EXIT INT TERM
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -f "$DATA/pid"
}
trap stop EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM

: >"$ready"
set -- serve --data "$DATA" --listen "$listen" --faults "$FAULTS"
if [ -n "$FILE" ]; then
    set -- "$@" --register-sellers-of "$FILE"
fi
"$weir_local" "$@" >"$ready" 2>"$log" &
server=$!
say "$server" >"$DATA/pid"
until grep -q '"ready":true' "$ready"; do
    if ! kill -0 "$server" 2>/dev/null; then
        tail -n 20 "$log" >&2
        fail "weir-local did not start; its log is $log"
    fi
    sleep 0.2
done
WEIR_API=$(json_text api <"$ready")
WEIR_API_KEY=$(json_text api_key <"$ready")
three_rivers=$(json_text three_rivers <"$ready")
export WEIR_API WEIR_API_KEY
say "Running: API $WEIR_API, 3Rivers simulator $three_rivers, data in $DATA, log in $log"
say "Faults of the simulator: $FAULTS"

sample=''
if [ -z "$FILE" ]; then
    sample=$DATA/sample.xml
    FILE=$sample
    say
    "$weir_local" sample --out "$sample"
fi

say
say "\$ weir submit $FILE --wait"
submitted=$DATA/submitted.txt
code=0
"$weir" submit "$FILE" --wait --timeout "$WAIT" >"$submitted" || code=$?
cat "$submitted"
file_id=$(sed -n 's/^File \([0-9a-f-]\{36\}\).*/\1/p' "$submitted" | head -n 1)
# 1 says that something is in error, which is an outcome; what is above says that there is none.
if [ "$code" -gt 1 ] || [ -z "$file_id" ]; then
    tail -n 5 "$log" >&2
    fail "The file is not done; the log is $log"
fi

summary=$(curl -sS --fail "$three_rivers/_sim/summary")
say
say "What 3Rivers has seen since $DATA was made: $summary"
status=$DATA/status.json
# Ends with 1 when something is in error.
"$weir" status "$file_id" --json >"$status" || [ "$?" = 1 ]

batch_id=$(sed -n 's/^ *"id": "\([^"]*\)".*/\1/p' "$status" | sed -n 2p)
base=$WEIR_API/v1/files/$file_id
say
say 'To look further:'
say "  curl -s -H 'Authorization: $WEIR_API_KEY' $base"
say "  curl -s -H 'Authorization: $WEIR_API_KEY' $base/batches"
if [ -n "$batch_id" ]; then
    say "  curl -s -H 'Authorization: $WEIR_API_KEY' '$base/batches/$batch_id/batchdetails?page_size=2'"
fi

if ! grep -q '^  "done": true' "$status"; then
    fail 'The file is not done.'
fi
case $summary in
    *'"duplicates":0'*) ;;
    *) fail 'Something was charged or refunded twice.' ;;
esac
if [ -n "$sample" ] && ! { grep -q '^    "error": 1,' "$status" && grep -q '^    "batches_in_error": 1,' "$status"; }; then
    fail 'The sample came to something else than its one record in error.'
fi

if [ -n "$ONCE" ] && [ "$ONCE" != 0 ]; then
    exit 0
fi
say
say 'Up until Ctrl-C. Another file, from another terminal:'
say "  WEIR_API=$WEIR_API WEIR_API_KEY=$WEIR_API_KEY $weir submit FILE --wait"
code=0
wait "$server" || code=$?
server=''
exit "$code"
