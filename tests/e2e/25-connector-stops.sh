#!/usr/bin/env bash
# SIGTERM of the connector: the present visitors may go on until drain-timeout, then they are cut, and the gateway is told: they
# do not hang until its resume window is over. A second SIGTERM does not wait. Who has got all of its answer as far as the
# connector is concerned, but reads it slowly from the gateway, gets it to the last byte.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
read -r TRICKLE < <(ports 1)
background trickle "$PYTHON" "$E2E_DIR/peers/trickle.py" "$TRICKLE"
cat >"$TMP/connector.conf" <<EOF
[connector]
key = $TMP/connector.key
twin = $TWIN
drain-timeout = 2s
[gateway gw1]
address = 127.0.0.1:${TUNNEL[gw1]}
public-key = ${PUB[gw1]}
[service web]
target = 127.0.0.1:$TRICKLE
EOF
deploy gw1 2501 0 "$(name_workload stream "tunnel:$CONNECTOR_PUB/web")" >/dev/null

# A visitor that never finishes; sets VISITOR.
begin() {
    background "connector-$1" netwall-connector --config "$TMP/connector.conf"
    CONNECTOR[$1]=$LAST
    wait_for 15 serves gw1 stream.gw1.localhost
    get gw1 stream.gw1.localhost /stream -N --max-time 30 >"$TMP/visitor-$1" 2>"$TMP/visitor-$1.err" &
    VISITOR=$!
    PIDS+=("$VISITOR")
    wait_for 10 grep -q tick "$TMP/visitor-$1"
}

# Both the connector and the visitor are gone, the visitor by a reset.
ended() { # ended NAME
    local rc=0
    wait "$VISITOR" || rc=$?
    [ "$rc" != 0 ] && [ "$rc" != 28 ] || fail "the visitor ended with $rc"
    rc=0
    wait "${CONNECTOR[$1]}" || rc=$?
    eq "$rc" 0 "the connector's status"
}

say "one SIGTERM: the visitor may go on for two seconds"
begin a
START=$(now_ms)
kill -TERM "${CONNECTOR[a]}"
SEEN=$(wc -l <"$TMP/visitor-a")
more() { [ "$(wc -l <"$TMP/visitor-a")" -gt $((SEEN + 5)) ]; }
wait_for 5 more
ended a
TOOK=$(($(now_ms) - START))
say "took $TOOK ms"
[ "$TOOK" -ge 1900 ] && [ "$TOOK" -lt 8000 ] || fail "ended after $TOOK ms"

say "two: it is cut"
begin b
START=$(now_ms)
kill -TERM "${CONNECTOR[b]}"
sleep 0.1
kill -TERM "${CONNECTOR[b]}"
ended b
TOOK=$(($(now_ms) - START))
say "took $TOOK ms"
[ "$TOOK" -lt 1900 ] || fail "ended after $TOOK ms"

say "a slow visitor that finished its side long ago gets the whole answer"
web_start site
dd if=/dev/urandom of="$TMP/site/big" bs=1M count=3 2>/dev/null
deploy gw1 2502 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/site")" >/dev/null
connector_start c "site=127.0.0.1:$WEB"
wait_for 15 serves gw1 site.gw1.localhost
"$PYTHON" - "${HTTP[gw1]}" "${CONNECTOR[c]}" >"$TMP/slow" <<'PY'
import os, signal, socket, sys, time
visitor = socket.socket()
visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
visitor.connect(("127.0.0.1", int(sys.argv[1])))
visitor.sendall(b"GET /big HTTP/1.0\r\nHost: site.gw1.localhost\r\n\r\n")
visitor.shutdown(socket.SHUT_WR)
answer = visitor.recv(16384)
os.kill(int(sys.argv[2]), signal.SIGTERM)
while piece := visitor.recv(16384):
    answer += piece
    time.sleep(0.005)
sys.stdout.buffer.write(answer.split(b"\r\n\r\n", 1)[1])
PY
cmp "$TMP/slow" "$TMP/site/big"
wait "${CONNECTOR[c]}" || fail "the connector's status"
