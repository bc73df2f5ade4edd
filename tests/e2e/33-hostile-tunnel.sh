#!/usr/bin/env bash
# Strangers on the tunnel port: garbage, wrong keys and silence cost nothing; a real connector registers beside them.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
web_start site
deploy gw1 8201 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null

say "a key that no contract names is not served, and its log says why"
STRANGER=$(key_make stranger x25519)
KEY=$TMP/stranger.key connector_start stranger "web=127.0.0.1:$WEB"
told() { grep -q "does not accept our key ${STRANGER:0:4}" "$TMP/connector-stranger.log"; }
wait_for 15 told
eq "$(status gw1 site.gw1.localhost)" 503

say "a connector with the wrong gateway key says so"
background connector-wrong netwall-connector --key "$TMP/connector.key" \
    --gateway "127.0.0.1:${TUNNEL[gw1]}#$STRANGER" --service "web=127.0.0.1:$WEB"
told_wrong() { grep -q "probably not this gateway's" "$TMP/connector-wrong.log"; }
wait_for 15 told_wrong

say "garbage and silence beside a fresh connector"
"$PYTHON" - "${TUNNEL[gw1]}" <<'PY' &
import os, socket, sys, time
held = []
for i in range(200):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    if i % 2:
        try:
            s.sendall(os.urandom(100))
        except OSError:
            pass
    held.append(s)
time.sleep(3)
PY
PIDS+=($!)
connector_start c "web=127.0.0.1:$WEB"
wait_for 15 serves gw1 site.gw1.localhost
grep -qi 'sanitizer' "$TMP"/*.log && fail "sanitizer report"
kill -0 "$(gateway_pid gw1)"

say "the tunnel works through the TLS port too"
kill "${CONNECTOR[c]}"
wait_for 10 refuses_with 503 gw1 site.gw1.localhost
background connector-tls netwall-connector --key "$TMP/connector.key" \
    --gateway "127.0.0.1:${TLS[gw1]}#${PUB[gw1]}" --service "web=127.0.0.1:$WEB"
wait_for 15 serves gw1 site.gw1.localhost
