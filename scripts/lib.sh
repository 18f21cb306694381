# What the scripts share. Written for bash 3.2, which macOS has.
#
# Sourced, never run. Expects to be sourced from the repository's root.

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# The one command that brings a missing tool, on the kind of machine this is.
install_command() {
    if [ "$(uname -s)" = Darwin ]; then
        case $1 in
            cargo) say "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env" ;;
            cc) say 'xcode-select --install' ;;
            python3*) say 'brew install python' ;;
            *) say "brew install $1" ;;
        esac
    else
        case $1 in
            cargo) say "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env" ;;
            cc) say 'sudo apt-get install -y build-essential' ;;
            python3*) say 'sudo apt-get install -y python3-venv' ;;
            *) say "sudo apt-get install -y $1" ;;
        esac
    fi
}

# Ends the script, with a line for each, when one of the tools is missing, or cargo is one of them and too old.
require_tools() {
    local tool missing=0
    for tool in "$@"; do
        if ! command -v "$tool" >/dev/null 2>&1; then
            printf '%s is missing: %s\n' "$tool" "$(install_command "$tool")" >&2
            missing=1
        fi
    done
    [ "$missing" = 0 ] || exit 1
    case " $* " in
        *' cargo '*) ;;
        *) return 0 ;;
    esac
    local wanted had
    wanted=$(sed -n 's/^rust-version = "\([0-9]*\)\.\([0-9]*\)"/\1 \2/p' Cargo.toml)
    had=$(cargo --version | sed -n 's/^cargo \([0-9]*\)\.\([0-9]*\)\..*/\1 \2/p')
    # shellcheck disable=SC2086 # two words each
    set -- $wanted $had
    if [ "$#" = 4 ] && { [ "$3" -lt "$1" ] || { [ "$3" = "$1" ] && [ "$4" -lt "$2" ]; }; }; then
        fail "cargo $3.$4 is too old, $1.$2 is needed: $(install_command cargo)"
    fi
}

# Where cargo puts what it builds with the dev profile.
debug_dir() { say "${CARGO_TARGET_DIR:-target}/debug"; }

# The value of a text field of a one-line JSON object on standard input.
json_text() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# Runs a step, and says how long it took.
step() {
    local name=$1 begun=$SECONDS
    shift
    printf '\n== %s: %s\n' "$name" "$*"
    "$@"
    printf '== %s: %s s\n' "$name" "$((SECONDS - begun))"
}

# Makes the Python environment of scripts/requirements-NAME.txt, unless it is there as it is written down, and prints
# where it is.
environment() {
    local name=$1 folder
    folder=$(cd "${CARGO_TARGET_DIR:-target}" 2>/dev/null && pwd || true)
    if [ -z "$folder" ]; then
        mkdir -p "${CARGO_TARGET_DIR:-target}"
        folder=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
    fi
    folder=$folder/venv-$name
    if ! cmp -s "scripts/requirements-$name.txt" "$folder/requirements.txt"; then
        if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
            fail "python3 with venv is missing: $(install_command python3-venv)"
        fi
        rm -rf "$folder"
        # In a substitution bash does not end at what fails.
        python3 -m venv "$folder" &&
            "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps \
                --requirement "scripts/requirements-$name.txt" >&2 &&
            cp "scripts/requirements-$name.txt" "$folder/requirements.txt" ||
            fail "The Python packages of scripts/requirements-$name.txt could not be installed: try again"
    fi
    say "$folder"
}

# The functions: a folder each.
functions() { find functions -mindepth 2 -maxdepth 2 -name Cargo.toml | cut -d/ -f2 | LC_ALL=C sort; }

# How large the package of a function may be; bench/src/zips.rs aims at the same.
package_bytes_max() {
    case $1 in
        *) say 4000000 ;;
    esac
}

# Which stage is meant: STAGE, as the template takes it.
require_stage() {
    STAGE=${STAGE:-}
    [ -n "$STAGE" ] || fail "Say which deployment: make $1 STAGE=dev"
    case $STAGE in
        *details* | [!a-z]* | *[!a-z0-9]* | ?????????????*)
            fail "STAGE=$STAGE: 1 to 12 small letters and digits, a letter first, without the word details" ;;
    esac
}

# The value of a text of a TOML file: its name alone says which.
toml_value() {
    if [ -f "$1" ]; then
        sed -n "s/^$2 = \"\(.*\)\"\$/\1/p" "$1" | head -n 1
    fi
}

# The value of a parameter of the template, as SAM has saved it.
toml_parameter() {
    toml_value "$1" parameter_overrides | sed 's/\\"/"/g' | sed -n "s/^\(.* \)\{0,1\}$2=\"\([^\"]*\)\".*/\2/p"
}

# Account, region and status of a stack, for the region and the profile that its settings name, or else the shell's.
where_is() {
    "$(environment sam)/bin/python" scripts/stack.py "$1" \
        --region "$(toml_value "$2" region)" --profile "$(toml_value "$2" profile)"
}

# What the packages are made of, as one word: the same for the same files, committed or not.
sources_state() {
    local sources='Cargo.toml Cargo.lock rust-toolchain.toml common docs/error-codes.md functions' folder
    if ! git rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
        say unknown
        return
    fi
    folder=$(mktemp -d)
    # shellcheck disable=SC2086 # a word each
    (
        # An index of its own: what is staged stays as it is.
        export GIT_INDEX_FILE=$folder/index
        git read-tree HEAD
        git add --all -- $sources
        git ls-files --stage -- $sources | git hash-object --stdin
    )
    rm -rf "$folder"
}

# What `make build` has noted of the packages in target/lambda.
manifest_value() { sed -n "s/^$1 //p" target/lambda/built; }
