#!/usr/bin/env bash
# Takes a deployment away, but for what it has kept: tables, bucket and secret stay, and are named in the end.
#
#   STAGE=…   which deployment
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

STAGE=${STAGE:-}
[ -n "$STAGE" ] || fail 'Say which deployment: make destroy STAGE=dev'
printf 'This ends the service of weir-%s. Type the name of the stage to go on: ' "$STAGE"
read -r answer
[ "$answer" = "$STAGE" ] || fail 'Nothing was changed.'
environment=$(environment sam)
export SAM_CLI_TELEMETRY=0
"$environment/bin/sam" delete --stack-name "weir-$STAGE" --no-prompts
say "Kept: the tables weir-$STAGE-*, the bucket weir-$STAGE-files-*, the secret weir-$STAGE-three-rivers-keys."
say 'docs/deployment.md says how they are taken on by another deployment, or deleted.'
