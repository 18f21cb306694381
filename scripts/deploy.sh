#!/usr/bin/env bash
# Deploys what `make build` has built, and asks before anything is changed. The first time it asks for the parameters
# and keeps the answers in infra/STAGE.toml, which holds from then on: what is to be otherwise is changed there.
#
#   STAGE=…    which deployment: a name such as dev or prod
#   YES=1      do not ask: for machines
#   ARCH=…     what the functions are to run on, the first time (arm64); then the settings say it
#   PROFILE=…  which packages are meant (release): those of another profile are slower and are not deployed unasked
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

require_stage deploy
require_tools python3
settings=$PWD/infra/$STAGE.toml
first=''
[ -f "$settings" ] || first=1
if [ -z "$first" ] && [ "$(toml_parameter "$settings" Stage)" != "$STAGE" ]; then
    fail "infra/$STAGE.toml is of the stage '$(toml_parameter "$settings" Stage)': mend its parameter_overrides, or give the file that stage's name"
fi

# Only what is meant is deployed: of this tree, of this kind, whole.
for function in $(functions); do
    zip=target/lambda/$function/bootstrap.zip
    [ -f "$zip" ] || fail "$zip is missing: make build"
done
[ -f target/lambda/built ] || fail 'What the packages are of is not known: make build'
architecture=${ARCH:-arm64}
if [ -z "$first" ]; then
    architecture=$(toml_parameter "$settings" Architecture)
    architecture=${architecture:-arm64}
fi
built=$(manifest_value architecture)
[ "$built" = "$architecture" ] ||
    fail "The packages are for $built, and $STAGE is of $architecture: ARCH=$architecture make build"
built=$(manifest_value profile)
wanted=${PROFILE:-release}
[ "$built" = "$wanted" ] || fail "The packages are of the profile $built, not $wanted: PROFILE=$wanted make build"
built=$(manifest_value sources)
wanted=$(sources_state)
if [ "$built" != unknown ] && [ "$wanted" != unknown ] && [ "$built" != "$wanted" ]; then
    fail 'The packages were built of other sources than are checked out here: make build'
fi

environment=$(environment sam)
export SAM_CLI_TELEMETRY=0
stack=weir-$STAGE
# shellcheck disable=SC2046 # a word each
set -- $(where_is "$stack" "$settings")
[ "$#" = 3 ] || exit 1
say "$stack, account $1, region $2: $3"
keep=''
case $3 in
    # What a first deployment has made is kept when the rest of it fails, so that it can be gone on with: tables and
    # bucket would outlive its undoing, and stand in the way of the next try.
    NONE | REVIEW_IN_PROGRESS | CREATE_FAILED | UPDATE_FAILED) keep=1 ;;
    ROLLBACK_COMPLETE | ROLLBACK_FAILED | DELETE_FAILED)
        fail "A deployment that was undone has to be taken away first: make destroy STAGE=$STAGE, and then what it names as kept" ;;
    UPDATE_ROLLBACK_FAILED)
        fail "The last change could not be undone: put right what CloudFormation says, then aws cloudformation continue-update-rollback --stack-name $stack" ;;
    *_IN_PROGRESS) fail 'It is being changed: wait until that is done' ;;
esac
if [ -n "$first" ] && [ -z "$keep" ]; then
    fail "$stack is there, and infra/$STAGE.toml, which holds its parameters, is not: get it from whoever deployed it last"
fi
region=$2
set -- deploy --template-file infra/template.yaml --stack-name "$stack" --region "$region" --resolve-s3 \
    --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset --tags "project=weir stage=$STAGE"
if [ -n "$keep" ]; then
    set -- "$@" --disable-rollback
fi
if [ -n "${YES:-}" ]; then
    set -- "$@" --no-confirm-changeset
else
    set -- "$@" --confirm-changeset
fi
if [ -z "$first" ]; then
    exec "$environment/bin/sam" "$@" --config-file "$settings"
fi

say "The first deployment of $STAGE. Where nothing else is known, Enter takes what stands in brackets; let the answers be saved."
answers=$PWD/infra/$STAGE.new.toml
printf 'version = 0.1\n\n[default.deploy.parameters]\nparameter_overrides = "Stage=\\"%s\\" Architecture=\\"%s\\""\n' \
    "$STAGE" "$architecture" >"$answers"
# However it ends, what was answered is kept: the stack may be there by then.
keep_answers() {
    trap - EXIT INT TERM HUP
    if [ -n "$(toml_parameter "$answers" ThreeRiversUrl)" ]; then
        # From the second time on, a change that fails is undone.
        sed '/^disable_rollback = /d' "$answers" >"$settings"
        say "The answers are in infra/$STAGE.toml: keep it with the sources, as the next deployment goes by it."
        if [ "$(toml_parameter "$settings" Stage)" != "$STAGE" ] || [ "$(toml_value "$settings" stack_name)" != "$stack" ] ||
            [ "$(toml_value "$settings" region)" != "$region" ] ||
            [ "$(toml_parameter "$settings" Architecture)" != "$architecture" ]; then
            say "But they name another stage, stack, region or architecture than $STAGE, $stack, $region and $architecture, of" >&2
            say 'which the packages and the checks were: look at what was deployed, and put them right.' >&2
            code=1
        fi
    else
        say "No answers were saved: the next make deploy STAGE=$STAGE asks again." >&2
    fi
    rm -f "$answers"
    exit "$code"
}
# What is interrupted has not ended well.
code=1
trap keep_answers EXIT INT TERM HUP
if "$environment/bin/sam" "$@" --config-file "$answers" --guided; then code=0; else code=$?; fi
