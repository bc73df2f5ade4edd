#!/usr/bin/env bash
# A process killed in mid stream: nobody may take the cut for an end, neither the visitor nor the service.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
cat >"$TMP/cut.py" <<'PY'
import os, signal, socket, sys
port, pid, local = (int(a) for a in sys.argv[1:])
service = socket.create_server(("127.0.0.1", local))
service.settimeout(15)
visitor = socket.create_connection(("127.0.0.1", port), 15)
visitor.sendall(b"up")
inner, _ = service.accept()
inner.settimeout(15)
assert inner.recv(2) == b"up"
inner.sendall(b"down")
assert visitor.recv(4) == b"down"
os.kill(pid, signal.SIGKILL)
for name, sock in ("visitor", visitor), ("service", inner):
    try:
        sys.exit("the %s saw %r instead of a reset" % (name, sock.recv(1)))
    except ConnectionResetError:
        pass
PY
read -r LOCAL < <(ports 1)
connector_start c "flow=127.0.0.1:$LOCAL"
PORT=${TCP_FROM[gw1]}
deploy gw1 2401 0 "$(tcp_workload flow "$PORT" "tunnel:$CONNECTOR_PUB/flow")" >/dev/null
wait_for 15 online gw1 7-2401-flow

say "the connector is killed"
"$PYTHON" "$TMP/cut.py" "$PORT" "${CONNECTOR[c]}" "$LOCAL"

say "the gateway is killed"
connector_start c2 "flow=127.0.0.1:$LOCAL"
up_again() { grep -q "tunnel up" "$TMP/connector-c2.log"; }
wait_for 15 up_again
wait_for 15 online gw1 7-2401-flow
"$PYTHON" "$TMP/cut.py" "$PORT" "$(gateway_pid gw1)" "$LOCAL"
