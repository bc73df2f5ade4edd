#!/usr/bin/env bash
# Agent and gateway end at each crash point, twenty times each, while contracts come in by list and stream. Afterwards everything that
# was asked for is answered once, served and applied once. NW_CRASH_TIMES and NW_CRASH_POINTS choose how often and where.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/life_lib.sh"

TIMES=${NW_CRASH_TIMES:-20}
read -r -a POINTS <<<"${NW_CRASH_POINTS:-entry-read verified mid-commit committed answered assigned applied saved reported noted}"

# The gateway is armed apart from its agent, by a file, and anew at each of its starts.
wrapper() { # wrapper FOLDER
    cat >"$1/gateway" <<EOF
#!/bin/sh
read -r point <"$1/arm"
[ -z "\$point" ] || export NETWALL_CRASH_AT="\$point"
exec "$BIN/netwall-gateway" "\$@"
EOF
    chmod +x "$1/gateway"
}

node_config() { # node_config NAME BUS: a node on a bus of its own prefix
    gateway_config "$1"
    wrapper "$TMP/$1"
    sed -i -e "s|^url = embedded|url = $2|" -e "s|^socket = .*|prefix = $1:|" -e "s|^exec = .*|exec = $TMP/$1/gateway|" "$TMP/$1/agent.conf"
}

keys
background redis redis-server --port 0 --unixsocket "$TMP/bus.sock" --save "" --appendonly no --dir "$TMP"
wait_for 10 redis-cli -s "$TMP/bus.sock" PING
for point in "${POINTS[@]}"; do
    node_config "$point" "unix://$TMP/bus.sock"
done
contracts 100 "${POINTS[@]}"
say "$TIMES times at each of ${#POINTS[@]} points"
"$PYTHON" "$E2E_DIR/peers/crash_points.py" "$TMP" "$TMP/bus.sock" "$TIMES" "${POINTS[@]}"
