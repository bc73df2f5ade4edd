#!/usr/bin/env bash
# The tunnel's TCP connections are destroyed one after another, and all at once, by a relay in between: a download, an upload
# and a WebSocket go on, not one byte is lost or doubled, nobody is reset.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/busy.sh"

keys
gateway_start gw1
admit gw1
read -r RELAY < <(ports 1)
background relay "$PYTHON" "$E2E_DIR/peers/relay.py" "$RELAY" "${TUNNEL[gw1]}"
RELAY_PID=$LAST
TUNNEL[gw1]=$RELAY
busy_services
connector_start c "web=127.0.0.1:$HASHER" "ws=127.0.0.1:$WS"
busy_ready

busy_start
for _ in 1 2 3 4 5 6; do
    sleep 0.3
    kill -USR1 "$RELAY_PID"
done
for _ in 1 2 3; do
    sleep 1
    kill -USR2 "$RELAY_PID"
done
busy_check
wait_for 10 links_up 2
eq "$(bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json 'len(d)')" 1 "sessions"
say "$(grep -c 'link lost' "$TMP/connector-c.log") links lost, streams moved $(grep -c resumed "$TMP/connector-c.log") times"
grep -q resumed "$TMP/connector-c.log" || fail "nothing was resumed"
eq "$(grep -c 'given up\|no tunnel' "$TMP/connector-c.log" || true)" 0 "sessions given up"
