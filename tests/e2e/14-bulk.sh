#!/usr/bin/env bash
# 200 MB down and 200 MB up through the tunnel: hashes equal, memory of both ends bounded.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
head -c 209715200 /dev/urandom >"$TMP/big"
SUM=$(sha256sum <"$TMP/big" | cut -d' ' -f1)
read -r HASHER < <(ports 1)
background hasher "$PYTHON" "$E2E_DIR/peers/hasher.py" "$HASHER" "$TMP/big"
connector_start c "web=127.0.0.1:$HASHER"
deploy gw1 4001 0 "$(name_workload files "tunnel:$CONNECTOR_PUB/web")" >/dev/null
wait_for 10 serves gw1 files.gw1.localhost

eq "$(get gw1 files.gw1.localhost /big --max-time 120 | sha256sum | cut -d' ' -f1)" "$SUM" "download"
eq "$(get gw1 files.gw1.localhost /upload --max-time 120 -T "$TMP/big" -H 'Expect:')" "$SUM" "upload"

say "a visitor that reads slowly pins no memory"
get gw1 files.gw1.localhost /big --max-time 60 --limit-rate 20M -r 0-0 -o /dev/null || true
peak() { awk '/^VmHWM/{print $2}' "/proc/$1/status"; }
GW_PEAK=$(peak "$(gateway_pid gw1)")
CON_PEAK=$(peak "${CONNECTOR[c]}")
say "peak resident KiB: gateway $GW_PEAK, connector $CON_PEAK"
[ "${NW_SANITIZED:-}" ] || { [ "$GW_PEAK" -lt 102400 ] && [ "$CON_PEAK" -lt 102400 ]; } || fail "over 100 MiB"
