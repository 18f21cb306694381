#!/usr/bin/env bash
# Deploys what `make build` has built, and asks before anything is changed. The first time it asks for the parameters
# and keeps the answers in infra/STAGE.toml, which holds from then on: what is to be otherwise is changed there.
#
#   STAGE=…   which deployment: a name such as dev or prod
#   YES=1     do not ask: for machines
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

STAGE=${STAGE:-}
[ -n "$STAGE" ] || fail 'Say which deployment: make deploy STAGE=dev'
for function in $(functions); do
    zip=target/lambda/$function/bootstrap.zip
    [ -f "$zip" ] || fail "$zip is missing: make build"
done
environment=$(environment sam)
export SAM_CLI_TELEMETRY=0
settings=$PWD/infra/$STAGE.toml
set -- deploy --template-file infra/template.yaml --config-file "$settings" --stack-name "weir-$STAGE" \
    --resolve-s3 --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset --tags "project=weir stage=$STAGE"
if [ ! -f "$settings" ]; then
    say "The first deployment of $STAGE: give $STAGE as Stage, and let the answers be saved."
    exec "$environment/bin/sam" "$@" --guided
fi
if [ -n "${YES:-}" ]; then
    set -- "$@" --no-confirm-changeset
else
    set -- "$@" --confirm-changeset
fi
exec "$environment/bin/sam" "$@"
