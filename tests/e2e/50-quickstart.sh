#!/usr/bin/env bash
# The README's first command from a clean clone, twice in a row: it exits 0 and leaves nothing behind.
. "$(dirname "$0")/lib.sh"

SOURCE=${NW_SOURCE_DIR:-$E2E_DIR/../..}
git -C "$SOURCE" rev-parse --git-dir >/dev/null 2>&1 || { echo "not a git checkout"; exit "$SKIP"; }
git clone -q "$SOURCE" "$TMP/clone"
cd "$TMP/clone" || exit 1
for turn in 1 2; do
    ./deploy/quickstart --check >"$TMP/quickstart-$turn.log" 2>&1 || fail "turn $turn"
    if pgrep -f -- "$TMP/clone/build" >/dev/null; then fail "processes left: $(pgrep -af "$TMP/clone/build")"; fi
done
grep -q 'hello' "$TMP/quickstart-2.log" || fail "the page is not shown"
eq "$(git status --porcelain)" "" "the checkout stays clean"
