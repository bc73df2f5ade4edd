#!/usr/bin/env bash
# 10 000 silent strangers, 10 000 that say a right Hello and then nothing, and 1 000 garbage connections a second: from one
# address, which is that of the live connector, and from thousands. 100 visitors a second are all served meanwhile, a fresh
# connector registers within 3 tries, and what hostile connections cost the gateway is measured. Then once more a smaller one
# on the TLS port, which shares the pool; and 2 000 honest connectors at once from an unknown address, all of whom get in.
. "$(dirname "$0")/lib.sh"

PEERS=${NW_BINARY_DIR:-$E2E_DIR/../../build}/tests/peers
COUNT=10000
files=$(ulimit -Hn)
[ "$files" = unlimited ] || [ "$files" -ge $((COUNT + 1000)) ] || COUNT=$((files - files / 4))
ulimit -n "$(ulimit -Hn)"

keys
FRESH_PUB=$(key_make fresh x25519)
FAR_PUB=$(key_make far x25519)
gateway_start gw1
admit gw1
background service "$PEERS/visit" serve
wait_for 10 test -s "$TMP/service.log"
WEB=$(<"$TMP/service.log")
deploy gw1 8601 0 "$(name_workload live "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw1 8602 0 "$(name_workload fresh "tunnel:$FRESH_PUB/web")" >/dev/null
deploy gw1 8603 0 "$(name_workload far "tunnel:$FAR_PUB/web")" >/dev/null
connector_start live "web=127.0.0.1:$WEB"
visit() { # visit SECONDS: 100 visitors a second
    "$PEERS/visit" "${HTTP[gw1]}" live.gw1.localhost 100 "$1"
}
served() { [ "$(get gw1 live.gw1.localhost /)" = hello ]; }
wait_for 15 served
GW=$(gateway_pid gw1)

cpu_ms() { # of the gateway
    awk -v tick="$(getconf CLK_TCK)" '{print ($14 + $15) * 1000 / tick}' "/proc/$GW/stat"
}

PORT=${TUNNEL[gw1]}
storm() { # storm MODE FROM SOURCES COUNT RATE SECONDS: in the background, result in $TMP/MODE.json
    "$PEERS/storm" "$1" 127.0.0.1 "$PORT" "${PUB[gw1]}" "$2" "$3" "$4" "$5" "$6" >"$TMP/$1.json" \
        2>>"$TMP/storm.log" &
    PIDS+=($!)
    STORM+=($!)
}

# fresh_connector NAME [TRIES]: the real one; at most two of its tries may fail, or TRIES - 1.
fresh_connector() {
    local name=$1 tries=${2:-3} started failed
    started=$(now_ms)
    background "connector-$name" netwall-connector --log-level debug --key "$TMP/fresh.key" \
        --gateway "127.0.0.1:$PORT#${PUB[gw1]}" --service "web=127.0.0.1:$WEB"
    up() { grep -q '"tunnel up"' "$TMP/connector-$name.log"; }
    wait_for 15 up
    failed=$(grep -c '"no tunnel"' "$TMP/connector-$name.log" || true)
    say "$name: registered at try $((failed + 1)) after $(($(now_ms) - started)) ms"
    [ "$failed" -lt "$tries" ] || fail "$name needed more than $tries tries"
    kill "$LAST"
}

# far_connector FROM: registers from another address than everybody else here, within 3 tries
far_connector() {
    local result
    result=$("$PEERS/storm" register 127.0.0.1 "$PORT" "${PUB[gw1]}" "$1" 1 3 0 "$TMP/far.key") ||
        fail "a fresh connector from $1 did not register"
    say "from $1: $result"
}

say "alone: $(visit 3)"

# weather NAME FROM SOURCES TRIES: all three kinds at once, ramped up over two seconds. While they come, 5 000 right Hellos a
# second, a connector behind the same address is one of them, and gets in when its turn comes: by then it may have had TRIES.
weather() {
    local cpu spent visits
    STORM=()
    cpu=$(cpu_ms)
    storm silent "$2" "$3" "$COUNT" 5000 8
    storm half "$2" "$3" "$COUNT" 5000 8
    storm garbage "$2" "$3" "$COUNT" 1000 8
    visit 7 >"$TMP/visits.json" &
    visits=$!
    sleep 1
    fresh_connector "$1-ramp" "$4"
    far_connector 127.66.6.6
    sleep 1
    fresh_connector "$1-full"
    far_connector 127.66.6.7
    wait "$visits" || fail "visitors failed during $1: $(cat "$TMP/visits.json")"
    wait "${STORM[@]}"
    spent=$(($(cpu_ms | cut -d. -f1) - ${cpu%.*}))
    say "$1: $(cat "$TMP/visits.json")"
    for kind in silent half garbage; do
        say "$1: $kind $(cat "$TMP/$kind.json")"
    done
    say "$1: gateway CPU $spent ms; $(nw gw1 --json node | json 'd["refused"]')"
}

say "from the address of the live connector"
weather near 127.0.0.1 1 8
say "from 4000 addresses"
weather wide 127.20.0.1 4000 3
say "on the TLS port"
PORT=${TLS[gw1]}
storm half 127.50.0.1 4000 4000 4000 3
storm garbage 127.50.0.1 4000 4000 500 3
sleep 1
fresh_connector tls
far_connector 127.66.6.8
say "a whole site comes back at once, behind one address that nobody knows"
HERD=2000
[ -z "${NW_SANITIZED:-}" ] || HERD=300
"$PEERS/storm" herd 127.0.0.1 "${TUNNEL[gw1]}" "${PUB[gw1]}" 127.77.7.7 1 "$HERD" 1 "$TMP/far.key" || fail "not all of $HERD are in"
kill -0 "$GW" || fail "the gateway is gone"
