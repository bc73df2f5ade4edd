#!/usr/bin/env bash
# The gateway without an agent, driven by a zbus client as on Zero-OS; then without Redis at all, from its last known good.
. "$(dirname "$0")/lib.sh"

keys
gateway_config gw1
cat >>"$TMP/gw1/gateway.conf" <<EOF
[bus]
url = unix://$TMP/gw1/bus.sock
EOF
background redis redis-server --port 0 --unixsocket "$TMP/gw1/bus.sock" --dir "$TMP/gw1" --save ''
REDIS=$LAST
wait_for 10 bus gw1 ping
background gateway netwall-gateway --config "$TMP/gw1/gateway.conf"
GATEWAY=$LAST
web_start site

zbus() { "$PYTHON" "$E2E_DIR/peers/zbus.py" "$TMP/gw1/bus.sock" "$@"; }
wait_for 10 zbus status
zbus status | grep -q '"manager"' || fail "the status object does not name manager"
eq "$(zbus call SetNamedProxy '"7-1-site"' "{\"TLSPassthrough\":false,\"Backends\":[\"tunnel:$CONNECTOR_PUB/web\"],\"Network\":null,\"Name\":\"site\"}")" '"site.gw1.localhost"'
eq "$(zbus call SetNamedProxy '"7-1-site"' "{\"TLSPassthrough\":false,\"Backends\":[\"tunnel:$CONNECTOR_PUB/web\"],\"Network\":null,\"Name\":\"site\"}")" '"site.gw1.localhost"' "replayed"

read -r PUBLIC < <("$PYTHON" - "$TMP/gw1/state/gateway/gateway.key" <<'PY'
import sys
print(open(sys.argv[1]).read().split()[0])
PY
)
eq "$PUBLIC" x25519 "the gateway made its key"
PUB[gw1]=$(netwall pubkey "$TMP/gw1/state/gateway/gateway.key")
connector_start c "web=127.0.0.1:$WEB"
wait_for 15 serves gw1 site.gw1.localhost

say "application errors come beside a zero value"
zbus call SetNamedProxy '"8-2-site"' "{\"TLSPassthrough\":false,\"Backends\":[\"tunnel:$CONNECTOR_PUB/web\"],\"Network\":null,\"Name\":\"site\"}" >"$TMP/taken" 2>&1 && fail "a taken name was given away"
grep -q 'domain already registered' "$TMP/taken" || fail "$(cat "$TMP/taken")"
zbus call SetNamedProxy '"7-9-x"' '{"TLSPassthrough":false,"Backends":[],"Network":null,"Name":"x"}' >"$TMP/empty" 2>&1 && fail "no backends accepted"
grep -q 'backends list can not be empty' "$TMP/empty" || fail "$(cat "$TMP/empty")"
zbus call Metrics | grep -q '7-1-site' || fail "no metrics for 7-1-site"

say "redis gone and the gateway restarted: it serves what it knew"
kill -KILL "$REDIS"
kill -TERM "$GATEWAY"
wait_gone "$GATEWAY" 40 || fail "the gateway stays"
background gateway netwall-gateway --config "$TMP/gw1/gateway.conf"
wait_for 20 serves gw1 site.gw1.localhost

say "redis back: the same gateway takes calls again"
background redis redis-server --port 0 --unixsocket "$TMP/gw1/bus.sock" --dir "$TMP/gw1" --save ''
wait_for 15 zbus status
zbus call DeleteNamedProxy '"7-1-site"'
wait_for 2 refuses_with 404 gw1 site.gw1.localhost
