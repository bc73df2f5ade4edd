#!/usr/bin/env bash
# TCP ports: redis-cli through an exposure, and a server-first protocol (SMTP banner) where nobody may peek.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
read -r REDIS SMTP < <(ports 2)
background redis redis-server --port "$REDIS" --bind 127.0.0.1 --save '' --dir "$TMP"
background smtp "$PYTHON" "$E2E_DIR/peers/banner.py" "$SMTP"
connector_start c "redis=127.0.0.1:$REDIS" "smtp=127.0.0.1:$SMTP" "dead=127.0.0.1:1"

PORT=${TCP_FROM[gw1]}
deploy gw1 2001 0 "$(tcp_workload cache "$PORT" "tunnel:$CONNECTOR_PUB/redis")" >"$TMP/r1.json"
eq "$(json 'd["workloads"][0]["result"]["data"]["port"]' <"$TMP/r1.json")" "$PORT"
wait_for 10 redis-cli -h 127.0.0.1 -p "$PORT" ping
eq "$(redis-cli -h 127.0.0.1 -p "$PORT" set k v)" OK
eq "$(redis-cli -h 127.0.0.1 -p "$PORT" get k)" v

say "port 0 takes any free one of the range and keeps it"
deploy gw1 2002 0 "$(tcp_workload mail 0 "tunnel:$CONNECTOR_PUB/smtp")" >"$TMP/r2.json"
MAIL=$(json 'd["workloads"][0]["result"]["data"]["port"]' <"$TMP/r2.json")
if [ "$MAIL" -lt "$PORT" ] || [ "$MAIL" -gt "${TCP_TO[gw1]}" ]; then fail "port $MAIL is not in the range"; fi
eq "$("$PYTHON" "$E2E_DIR/peers/banner.py" --read "$MAIL")" "220 mail.example ESMTP" "server-first banner"

say "a service that is down resets only its own visitor"
deploy gw1 2003 0 "$(tcp_workload dead 0 "tunnel:$CONNECTOR_PUB/dead")" >"$TMP/r3.json"
DEAD=$(json 'd["workloads"][0]["result"]["data"]["port"]' <"$TMP/r3.json")
"$PYTHON" - "$DEAD" <<'PY'
import socket, sys
try: # the reset may come before we have looked whether we are connected
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
    s.settimeout(15)
    data = s.recv(1)
    sys.exit("got %r instead of a reset" % data)
except ConnectionResetError:
    pass
PY
eq "$(redis-cli -h 127.0.0.1 -p "$PORT" get k)" v "the tunnel lives on"

say "a port outside the range is refused"
contract 2004 0 gw1 "$(tcp_workload far 1 "tunnel:$CONNECTOR_PUB/redis")" >"$TMP/far.json"
if nw gw1 --json deploy "$TMP/far.json" >"$TMP/far.out" 2>&1; then fail "port 1 accepted: $(cat "$TMP/far.out")"; fi
grep -q 'out_of_range' "$TMP/far.out" || fail "no out_of_range: $(cat "$TMP/far.out")"
