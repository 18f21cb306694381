#!/usr/bin/env bash
# Takes a deployment away, but for what it has kept: tables, bucket and secret stay, and are named in the end.
#
#   STAGE=…   which deployment
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

require_stage destroy
require_tools python3
environment=$(environment sam)
export SAM_CLI_TELEMETRY=0
stack=weir-$STAGE
settings=infra/$STAGE.toml
# shellcheck disable=SC2046 # a word each
set -- $(where_is "$stack" "$settings")
[ "$#" = 3 ] || exit 1
account=$1 region=$2
[ "$3" != NONE ] || fail "There is no $stack in account $account, region $region: nothing was changed."
say "This ends the service of $stack in account $account, region $region ($3), with its API, its queues, what is on"
say 'them, and its logs. Files that are put into its bucket from then on are read by nobody.'
printf 'Type the name of the stage to go on: '
read -r answer
[ "$answer" = "$STAGE" ] || fail 'Nothing was changed.'
profile=$(toml_value "$settings" profile)
"$environment/bin/sam" delete --stack-name "$stack" --region "$region" ${profile:+--profile "$profile"} --no-prompts
# It ends well even where nothing was deleted.
# shellcheck disable=SC2046 # a word each
set -- $(where_is "$stack" "$settings")
[ "${3:-}" = NONE ] || fail "$stack is not gone but ${3:-unknown}: CloudFormation says what stands in the way."
say "Gone. Kept: the tables $stack-*, the bucket $stack-files-$account-$region, the secret $stack-three-rivers-keys."
say 'docs/deployment.md says how they are read, and how deleted.'
