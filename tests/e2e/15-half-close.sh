#!/usr/bin/env bash
# Half-close both ways: request, FIN, then the whole answer; and a service that ends first still gets the visitor's bytes.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
read -r LATE EARLY < <(ports 2)
background late "$PYTHON" "$E2E_DIR/peers/half_close.py" late "$LATE"
background early "$PYTHON" "$E2E_DIR/peers/half_close.py" early "$EARLY" "$TMP/received"
connector_start c "late=127.0.0.1:$LATE" "early=127.0.0.1:$EARLY"
deploy gw1 5001 0 "$(tcp_workload late 0 "tunnel:$CONNECTOR_PUB/late")" >"$TMP/late.json"
deploy gw1 5002 0 "$(tcp_workload early 0 "tunnel:$CONNECTOR_PUB/early")" >"$TMP/early.json"
PORT_LATE=$(json 'd["workloads"][0]["result"]["data"]["port"]' <"$TMP/late.json")
PORT_EARLY=$(json 'd["workloads"][0]["result"]["data"]["port"]' <"$TMP/early.json")

wait_for 15 online gw1 7-5001-late
wait_for 15 online gw1 7-5002-early

say "the answer comes whole after the visitor's FIN"
head -c 3000000 /dev/urandom >"$TMP/request"
WANT=$(sha256sum <"$TMP/request" | cut -d' ' -f1)
eq "$(nc -N -w 20 127.0.0.1 "$PORT_LATE" <"$TMP/request" | tail -c 64)" "$WANT"
eq "$(nc -N -w 20 127.0.0.1 "$PORT_LATE" <"$TMP/request" | wc -c)" 3000064 "length of the answer"

say "the service's FIN reaches the visitor while its own direction stays open"
"$PYTHON" - "$PORT_EARLY" <<'PY'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
s.settimeout(10)
data = b""
while True:
    piece = s.recv(100)
    if not piece:
        break
    data += piece
assert data == b"bye\n", data
s.sendall(b"x" * 1000000)
s.shutdown(socket.SHUT_WR)
PY
got_all() { [ "$(cat "$TMP/received" 2>/dev/null)" = 1000000 ]; }
wait_for 10 got_all
