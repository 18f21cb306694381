#!/usr/bin/env bash
# Holds the running API against its own document: schemathesis reads /openapi.json and asks each
# operation for what it describes, and for what it does not.
#
# Builds nothing: weir-local and weir must be there. Everything is kept in a folder of its own that
# is removed in the end, and nothing but 127.0.0.1 is asked, but for the packages, once.
#
#   SEED=…      what the questions are drawn from (1)
#   EXAMPLES=…  how many are drawn for each operation (10)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

require_tools cargo curl python3
SEED=${SEED:-1}
EXAMPLES=${EXAMPLES:-10}

for binary in weir-local weir; do
    [ -x "$(debug_dir)/$binary" ] || fail "$(debug_dir)/$binary is missing: cargo build --package weir-local --package weir-cli --bins"
done

venv=${CARGO_TARGET_DIR:-target}/venv
if ! cmp -s scripts/requirements.txt "$venv/requirements.txt"; then
    if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
        fail "python3 with venv is missing: $(install_command python3-venv)"
    fi
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement scripts/requirements.txt
    cp scripts/requirements.txt "$venv/requirements.txt"
fi

folder=$(mktemp -d)
server=''
stop() {
    trap - EXIT INT TERM
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap stop EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM

ready=$folder/ready.json
: >"$ready"
"$(debug_dir)/weir-local" serve --data "$folder/data" --listen 127.0.0.1:0 >"$ready" 2>"$folder/log" &
server=$!
until grep -q '"ready":true' "$ready"; do
    if ! kill -0 "$server" 2>/dev/null; then
        tail -n 20 "$folder/log" >&2
        fail 'weir-local did not start.'
    fi
    sleep 0.2
done
WEIR_API=$(json_text api <"$ready")
WEIR_API_KEY=$(json_text api_key <"$ready")
export WEIR_API WEIR_API_KEY

# So that there is something to ask for. A record in error, which it has one of, ends it with 1.
"$(debug_dir)/weir-local" sample --seed 1 --batches 2 --records 20 --out "$folder/sample.xml" >/dev/null
"$(debug_dir)/weir" submit "$folder/sample.xml" --wait --timeout 120 >"$folder/submitted" 2>&1 || [ "$?" = 1 ]

# What stands in a field of a list's first row.
first() {
    local field=${2:-id}
    curl -sS --fail -H "Authorization: $WEIR_API_KEY" "$WEIR_API$1?page_size=1&fields=$field" | json_text "$field"
}

# Ids that exist: drawn ones lead nowhere.
log=/v1/batchdetaillogs
known=$folder/known.toml
cat >"$known" <<EOF
[parameters]
"path.client_id" = "$(first /v1/clients)"
"path.program_id" = "$(first /v1/programs)"
"path.customer_id" = "$(first /v1/customers)"
"path.seller_id" = "$(first $log seller_id)"
"path.file_id" = "$(first $log file_id)"
"path.batch_id" = "$(first $log batch_id)"
"path.batch_detail_id" = "$(first $log batch_detail_id)"
"path.batch_detail_log_id" = "$(first $log)"
"path.batch_detail_history_id" = "$(first "/v1/files/$(first $log file_id)/batches/$(first $log batch_id)/details/$(first $log batch_detail_id)/history")"
"path.report_id" = "$(first /v1/reports)"
EOF
: >"$folder/drawn.toml"

# Every check of an answer. The others follow what a request made or deleted, which a GET does not.
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
checks=$checks,response_headers_conformance,negative_data_rejection,positive_data_acceptance
export SCHEMATHESIS_HOOKS=schemathesis_hooks PYTHONPATH=$PWD/scripts PYTHONDONTWRITEBYTECODE=1
schemathesis=$(cd "$venv/bin" && pwd)/schemathesis
# It keeps what it has found where it runs.
cd "$folder"
for ids in drawn known; do
    # What has no id in its path would be asked the same again.
    others=()
    [ "$ids" = drawn ] || others=(--exclude-path-regex '^[^{]*$')
    say "schemathesis with $ids ids, seed $SEED"
    "$schemathesis" --config-file "$folder/$ids.toml" run "$WEIR_API/openapi.json" \
        --header "Authorization: $WEIR_API_KEY" --include-method GET ${others[@]+"${others[@]}"} --checks "$checks" \
        --phases examples,coverage,fuzzing --max-examples "$EXAMPLES" --seed "$SEED" \
        --generation-database none --workers 2 --warnings off --no-color >"$folder/report" 2>&1 ||
        { cat "$folder/report" >&2; fail "schemathesis found something; again with SEED=$SEED bash scripts/schemathesis.sh"; }
    tail -n 1 "$folder/report"
done
