# shellcheck shell=bash
# What the lint scripts share: sourced, never run. Each script takes the root to look at (default: this repository), prints
# "file:line: what is wrong" for every fault and exits 1 when there was any.
set -euo pipefail
export LC_ALL=C

ROOT=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
cd "$ROOT"
FAULTS=0

fault() {
    printf '%s\n' "$*"
    FAULTS=$((FAULTS + 1))
}

# files FOLDER... -- FIND-TEST...: paths from the root, sorted; folders that are not there are passed over.
files() {
    local folders=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        [ ! -e "$1" ] || folders+=("$1")
        shift
    done
    shift
    [ ${#folders[@]} -gt 0 ] || return 0
    find "${folders[@]}" \( -name 'build*' -o -name .git \) -prune -o -type f "$@" -print | sed 's|^\./||' | sort
}

product_sources() {
    files bus schemas modules node-agent -- -name '*.[ch]'
}

all_sources() {
    files bus schemas modules node-agent tests -- -name '*.[ch]'
}

# The comment a file starts with, up to its first line of code.
head_comment() {
    awk '/^[^\/ \t]/ {exit} {print}' "$1"
}

finish() {
    [ "$FAULTS" -eq 0 ] || { echo "$(basename "$0"): $FAULTS faults" && exit 1; }
}
