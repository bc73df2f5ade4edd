#!/usr/bin/env bash
# The power goes while contracts come in: agent, redis-server and gateway end at once, and their disk forgets what was not synced. What
# was answered is in the agent's store, what was shown as served is in the gateway's file, and started again the node serves it all.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/life_lib.sh"

[ -z "${NW_SANITIZED:-}" ] || { echo "a sanitizer wants to be loaded first" && exit "$SKIP"; }
CUTS=${NW_POWER_CUTS:-10}
keys
gateway_config cut
: >"$TMP/cut/arm"
contracts $((CUTS * 3)) cut
say "the power goes $CUTS times"
"$PYTHON" "$E2E_DIR/peers/power_cut.py" "$TMP" "$CUTS" "$BIN/../tests/peers/platter.so"
