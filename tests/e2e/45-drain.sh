#!/usr/bin/env bash
# SIGTERM drains: downloads that run finish, on this process and on one that drains behind it; nobody new comes in; whoever
# does not end is cut at the limit, and nothing stays behind.
. "$(dirname "$0")/lib.sh"

keys
gateway_config gw1
printf '[limits]\ndrain-timeout = 6s\n' >>"$TMP/gw1/gateway.conf"
gateway_start gw1
admit gw1
web_start site
head -c 20000000 /dev/urandom >"$TMP/site/big"
read -r TRICKLE < <(ports 1)
background trickle "$PYTHON" "$E2E_DIR/peers/trickle.py" "$TRICKLE"
connector_start c "web=127.0.0.1:$WEB" "slow=127.0.0.1:$TRICKLE"
deploy gw1 9301 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw1 9302 0 "$(name_workload endless "tunnel:$CONNECTOR_PUB/slow")" >/dev/null
wait_for 15 serves gw1 site.gw1.localhost
OLD=$(gateway_pid gw1)

download() { # download NAME: 20 MB in about 4 s
    get gw1 site.gw1.localhost /big --limit-rate 5M -o "$TMP/$1.out" &
    PIDS+=($!)
    LAST=$!
    wait_for 10 test -s "$TMP/$1.out"
}

download first
FIRST=$LAST
nw gw1 module restart gateway >/dev/null
NEW=$(gateway_pid gw1)
[ "$NEW" != "$OLD" ] || fail "not replaced"
download second
SECOND=$LAST
get gw1 endless.gw1.localhost /stream -N -o "$TMP/endless.out" 2>/dev/null &
ENDLESS=$!
PIDS+=("$ENDLESS")
wait_for 10 test -s "$TMP/endless.out"

say "SIGTERM with one download on each process, and one that never ends"
START=$(now_ms)
kill -TERM "${AGENT[gw1]}"
wait_for 5 refuses_with 000 gw1 site.gw1.localhost
wait "$FIRST" || fail "the download behind the new process was cut"
wait "$SECOND" || fail "the download was cut"
for name in first second; do
    cmp "$TMP/site/big" "$TMP/$name.out" || fail "$name is not what the service has"
done
wait_gone "$OLD" 3 || fail "the old process stays without a visitor"
wait "$ENDLESS" && fail "a stream without end ended in order"
ELAPSED=$(($(now_ms) - START))
[ "$ELAPSED" -ge 5000 ] || fail "it was cut before the limit, after $ELAPSED ms"
wait_gone "$NEW" 5 || fail "the gateway stays"
wait_gone "${AGENT[gw1]}" 10 || fail "the agent stays"
