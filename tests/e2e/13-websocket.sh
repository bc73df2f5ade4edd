#!/usr/bin/env bash
# A WebSocket through the gateway: upgrade, then messages both ways, small and large.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
read -r WS < <(ports 1)
background ws "$PYTHON" "$E2E_DIR/peers/websocket.py" serve "$WS"
connector_start c "ws=127.0.0.1:$WS"
deploy gw1 3001 0 "$(name_workload chat "tunnel:$CONNECTOR_PUB/ws")" >/dev/null
wait_for 15 "$PYTHON" "$E2E_DIR/peers/websocket.py" talk "${HTTP[gw1]}" chat.gw1.localhost 1 10
"$PYTHON" "$E2E_DIR/peers/websocket.py" talk "${HTTP[gw1]}" chat.gw1.localhost 200 60000
