#!/usr/bin/env bash
# Usage adds up to the byte over kill -9 of agent, redis, gateway and all of them, over an outage of the bus, a replaced
# process and a workload that left and came back; it never falls. Events of tunnels, workloads and modules.
. "$(dirname "$0")/lib.sh"

keys
gateway_config gw1
gateway_start gw1
admit gw1

# An echo service, not on the address that the node calls its own, and visitors who send N bytes and get them back.
read -r ECHO < <(ports 1)
cat >"$TMP/echo.py" <<'PY'
import socketserver, sys
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.2", int(sys.argv[1])), Echo).serve_forever()
PY
background echo "$PYTHON" "$TMP/echo.py" "$ECHO"
visit() { # visit N
    "$PYTHON" - "$PORT" "$1" <<'PY'
import socket, sys
port, n = int(sys.argv[1]), int(sys.argv[2])
with socket.create_connection(("127.0.0.1", port), 10) as s:
    for _ in range(n // 1000):
        s.sendall(b"x" * 1000)
        left = 1000
        while left:
            data = s.recv(left)
            assert data, "the echo ended"
            left -= len(data)
PY
    SUM=$((SUM + $1))
}
SUM=0 LAST_SEEN=0
PORT=${TCP_FROM[gw1]}
echo_listens() { "$PYTHON" -c "import socket; socket.create_connection(('127.0.0.2', $ECHO), 1)"; }
wait_for 10 echo_listens

closed() { ! listens; }

usage_is() { # usage_is N: what is published; it may never fall
    local rx
    rx=$(bus gw1 HGET netwall:usage 7-1-flow | json 'd["rx_bytes"] if d["rx_bytes"] == d["tx_bytes"] else -1') || return 1
    [ "$rx" -ge "$LAST_SEEN" ] || fail "usage fell from $LAST_SEEN to $rx"
    LAST_SEEN=$rx
    [ "$rx" = "$1" ]
}

say "events: a watcher sees the tunnel come, the stream has the rest"
background watch netwall --bus "${BUS[gw1]}" --json watch --once tunnel.up
WATCH=$LAST
deploy gw1 1 0 "$(tcp_workload flow "$PORT" "127.0.0.2:$ECHO")" >/dev/null
deploy gw1 2 0 "$(name_workload page "tunnel:$CONNECTOR_PUB/web")" >/dev/null
connector_start c "web=127.0.0.1:9"
wait_gone "$WATCH" 15 || fail "the watcher saw no tunnel.up"
eq "$(json 'd["key"]' <"$TMP/watch.log")" "$CONNECTOR_PUB"
event() { # event NAME EXPRESSION: the newest event of that name fulfils the expression over d
    bus gw1 XREVRANGE stream:events + - COUNT 50 | grep -F "\"event\":\"$1\"" | head -n 1 >"$TMP/event.json"
    [ "$(json "$2" <"$TMP/event.json")" = true ]
}
event tunnel.up "d['key'] == '$CONNECTOR_PUB'" || fail "tunnel.up: $(cat "$TMP/event.json")"
event workload.state "d['id'] == '7-2-page' and d['state'] == 'ok'" || fail "$(cat "$TMP/event.json")"
kill "${CONNECTOR[c]}"
wait_for 10 event tunnel.down "d['key'] == '$CONNECTOR_PUB' and d['why'] != ''"

say "usage is published, exact"
visit 100000
wait_for 15 usage_is "$SUM"

say "bus and agent are killed, visitors come, the gateway is killed: nothing is lost but the last seconds"
GATEWAY=$(gateway_pid gw1)
kill -KILL "${AGENT[gw1]}"
wait_gone "${AGENT[gw1]}" 10
visit 50000
on_disk() { grep -q "\"rx_bytes\":$SUM," "$TMP/gw1/state/gateway/usage"; }
wait_for 15 on_disk
kill -KILL "$GATEWAY"
gateway_start gw1
wait_for 15 usage_is "$SUM"
event module.state "d['name'] == 'gateway' and d['state'] == 'running'" || fail "$(cat "$TMP/event.json")"

say "everything is killed at once, twice"
visit 25000
wait_for 15 usage_is "$SUM"
for _ in 1 2; do
    kill -KILL "${AGENT[gw1]}" "$(gateway_pid gw1)"
    wait_gone "${AGENT[gw1]}" 10
    gateway_start gw1
    wait_for 15 usage_is "$SUM"
done

say "the gateway alone is killed, then replaced; a workload leaves and comes back"
kill -KILL "$(gateway_pid gw1)"
listens() { "$PYTHON" -c "import socket; socket.create_connection(('127.0.0.1', $PORT), 1)"; }
wait_for 15 listens
visit 5000
nw gw1 module restart gateway >/dev/null
visit 5000
wait_for 15 usage_is "$SUM"
eq "$(bus gw1 HGET netwall:usage 7-1-flow | json 'd["active"]')" 0
deploy gw1 1 1 "$(tcp_workload other $((PORT + 1)) "127.0.0.2:$ECHO")" >/dev/null
event workload.state "d['id'] in ('7-1-flow', '7-1-other')" || fail "$(cat "$TMP/event.json")"
wait_for 10 closed
deploy gw1 1 2 "$(tcp_workload flow "$PORT" "127.0.0.2:$ECHO")" >/dev/null
visit 7000
wait_for 15 usage_is "$SUM"

say "the stream of events has a cap"
bus gw1 EVAL 'for i = 1, 12000 do redis.call("XADD", "stream:events", "*", "body", "{}") end' 0 >/dev/null
deploy gw1 2 1 "$(name_workload page2 "tunnel:$CONNECTOR_PUB/web")" >/dev/null
capped() { [ "$(bus gw1 XLEN stream:events)" -le 10200 ]; }
wait_for 5 capped
