#!/usr/bin/env bash
# A cancelled contract stops serving within 1 s, also for open connections; a revoked twin likewise; lock and unlock.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
read -r SLOW < <(ports 1)
background slow "$PYTHON" "$E2E_DIR/peers/trickle.py" "$SLOW"
connector_start c "web=127.0.0.1:$SLOW"

# open_then ENDED-BY...: opens a long answer by Host one.gw1.localhost, runs the command, demands the end within 1 s.
open_then() {
    local host=$1 started
    shift
    curl -sN --max-time 60 -H "Host: $host" "http://127.0.0.1:${HTTP[gw1]}/stream" -o "$TMP/open.out" &
    local curl=$!
    PIDS+=("$curl")
    wait_for 10 test -s "$TMP/open.out"
    "$@" >/dev/null
    started=$(now_ms)
    wait_gone "$curl" 5 || fail "the open connection stays"
    [ $(($(now_ms) - started)) -le 1000 ] || fail "the open connection lived $(($(now_ms) - started)) ms"
    rm -f "$TMP/open.out"
}

deploy gw1 7001 0 "$(name_workload one "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw1 7002 0 "$(name_workload two "tunnel:$CONNECTOR_PUB/web")" >/dev/null
wait_for 10 serves gw1 one.gw1.localhost

say "lock: 503 and the open connection ends; unlock serves again"
open_then two.gw1.localhost nw gw1 lock --authority "$TMP/authority.key" --twin 7 --contract 7002 --reason unpaid
wait_for 1 refuses_with 503 gw1 two.gw1.localhost
eq "$(nw gw1 --json get --twin 7 --contract 7002 | json 'd["workloads"][0]["result"]["state"]')" paused
eq "$(status gw1 one.gw1.localhost)" 200 "the other contract"
nw gw1 unlock --authority "$TMP/authority.key" --twin 7 --contract 7002
wait_for 2 serves gw1 two.gw1.localhost

say "cancel"
open_then one.gw1.localhost nw gw1 delete --key "$TMP/twin.key" --twin 7 --contract 7001
wait_for 1 refuses_with 404 gw1 one.gw1.localhost
if deploy gw1 7001 5 "$(name_workload one "tunnel:$CONNECTOR_PUB/web")" >"$TMP/again" 2>&1; then fail "a cancelled contract came back"; fi
grep -q contract_deleted "$TMP/again" || fail "$(cat "$TMP/again")"

say "revoke"
open_then two.gw1.localhost nw gw1 revoke --authority "$TMP/authority.key" --twin 7 --reason test
wait_for 1 refuses_with 404 gw1 two.gw1.localhost
no_tunnel() { [ "$(bus gw1 HLEN netwall:tunnels)" = 0 ]; }
wait_for 3 no_tunnel
