#!/usr/bin/env bash
# What is cancelled, locked, taken out of a contract, revoked or expired stops serving within 1 s, for open connections too and when
# the connector does not answer; everything else on the same gateway, session, key and address goes on.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
read -r SLOW < <(ports 1)
background slow "$PYTHON" "$E2E_DIR/peers/trickle.py" "$SLOW"
connector_start c "web=127.0.0.1:$SLOW"
EIGHT_PUB=$(key_make eight ed25519)
EIGHT_KEY=$(key_make eight-connector x25519)
EXTRA_KEY=$(key_make extra-connector x25519)
as_eight() { TWIN=8 TWIN_PUB=$EIGHT_PUB SIGN_KEY=$TMP/eight.key "$@"; }

# open_stream NAME HOST: an endless answer in the background; sets LAST.
open_stream() {
    rm -f "$TMP/$1.out"
    curl -sN --max-time 60 -H "Host: $2" "http://127.0.0.1:${HTTP[gw1]}/stream" -o "$TMP/$1.out" &
    LAST=$!
    PIDS+=("$LAST")
    wait_for 10 test -s "$TMP/$1.out"
}
runs() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$1/status"; }
flows() { # flows NAME PID: bytes still come
    local before
    before=$(stat -c %s "$TMP/$1.out")
    runs "$2" || fail "the open connection $1 is gone"
    wait_for 3 test "$(stat -c %s "$TMP/$1.out")" -ge "$before"
    more_than() { [ "$(stat -c %s "$TMP/$1.out")" -gt "$2" ]; }
    wait_for 3 more_than "$1" "$before"
}
# ended_by PID COMMAND...: runs the command, demands the end of PID within 1 s of its end.
ended_by() {
    local pid=$1 started
    shift
    "$@" >/dev/null
    started=$(now_ms)
    wait_gone "$pid" 5 || fail "the open connection stays after: $*"
    started=$(($(now_ms) - started))
    [ "$started" -le 1000 ] || fail "the open connection lived $started ms after: $*"
    say "ended $started ms after: ${*:1:3}"
}
open_then() { # open_then HOST COMMAND...
    open_stream open "$1"
    ended_by "$LAST" "${@:2}"
}
delete() { nw gw1 delete --key "$TMP/twin.key" --twin 7 --contract "$1"; }
no_tunnel() { [ "$(bus gw1 HLEN netwall:tunnels)" = "${1:-0}" ]; }
online_is() { [ "$(bus gw1 HGET netwall:workloads "$1" | json 'd["online"]')" = "$2" ]; }

as_eight admit gw1
deploy gw1 7001 0 "$(name_workload one "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw1 7002 0 "$(name_workload two "tunnel:$CONNECTOR_PUB/web")" >/dev/null
as_eight deploy gw1 8001 0 "$(name_workload eight "tunnel:$EIGHT_KEY/web")" >/dev/null
KEY=$TMP/eight-connector.key connector_start eight "web=127.0.0.1:$SLOW"
wait_for 10 serves gw1 one.gw1.localhost
wait_for 10 serves gw1 eight.gw1.localhost
open_stream other eight.gw1.localhost
OTHER=$LAST

say "lock: 503 and the open connection ends; unlock serves again"
open_then two.gw1.localhost nw gw1 lock --authority "$TMP/authority.key" --twin 7 --contract 7002 --reason unpaid
wait_for 1 refuses_with 503 gw1 two.gw1.localhost
eq "$(nw gw1 --json get --twin 7 --contract 7002 | json 'd["workloads"][0]["result"]["state"]')" paused
eq "$(status gw1 one.gw1.localhost)" 200 "the other contract"
nw gw1 unlock --authority "$TMP/authority.key" --twin 7 --contract 7002
wait_for 2 serves gw1 two.gw1.localhost

say "cancel one of two contracts of a key: the session and the other's open connection go on"
open_stream two two.gw1.localhost
TWO=$LAST
SINCE=$(bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json 'd[0]["since"]')
open_then one.gw1.localhost delete 7001
wait_for 1 refuses_with 404 gw1 one.gw1.localhost
if deploy gw1 7001 5 "$(name_workload one "tunnel:$CONNECTOR_PUB/web")" >"$TMP/again" 2>&1; then fail "a cancelled contract came back"; fi
grep -q contract_deleted "$TMP/again" || fail "$(cat "$TMP/again")"
flows two "$TWO"
eq "$(bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json '[s["since"] for s in d]')" "[$SINCE]" "the session"

say "a key taken out of a contract by an update"
BOTH="[{\"name\":\"three\",\"type\":\"gateway-name-proxy\",\"data\":{\"name\":\"three\",\"backends\":[\"tunnel:$EXTRA_KEY/web\"]}}]"
deploy gw1 7003 0 "$BOTH" >/dev/null
KEY=$TMP/extra-connector.key connector_start extra "web=127.0.0.1:$SLOW"
wait_for 10 serves gw1 three.gw1.localhost
open_stream three three.gw1.localhost
THREE=$LAST
deploy gw1 7003 1 "${BOTH/tunnel:$EXTRA_KEY/tunnel:$CONNECTOR_PUB/web\",\"tunnel:$EXTRA_KEY}" >/dev/null
wait_for 5 online_is 7-7003-three 2
flows three "$THREE"
ended_by "$THREE" deploy gw1 7003 2 "${BOTH/$EXTRA_KEY/$CONNECTOR_PUB}"
eq "$(status gw1 three.gw1.localhost)" 200 "the contract without the key"
wait_for 1 no_tunnel 2
flows two "$TWO"

say "a connector that does not answer: its visitor ends all the same"
deploy gw1 7004 0 "${BOTH//three/four}" >/dev/null
kill "${CONNECTOR[extra]}"
KEY=$TMP/extra-connector.key connector_start frozen "web=127.0.0.1:$SLOW"
wait_for 10 serves gw1 four.gw1.localhost
open_stream open four.gw1.localhost
kill -STOP "${CONNECTOR[frozen]}"
ended_by "$LAST" delete 7004
wait_for 1 no_tunnel 2
kill -KILL "${CONNECTOR[frozen]}"

say "revoke: the twin's connections and sessions, and nobody else's"
ended_by "$TWO" nw gw1 revoke --authority "$TMP/authority.key" --twin 7 --reason test
wait_for 1 refuses_with 404 gw1 two.gw1.localhost
wait_for 1 no_tunnel 1
flows other "$OTHER"
wait_for 10 grep -q 'no live contract names it' "$TMP/connector-c.log" # turned away, from the same address as twin 8's
kill -KILL "${CONNECTOR[eight]}"
KEY=$TMP/eight-connector.key connector_start eight2 "web=127.0.0.1:$SLOW"
wait_for 5 serves gw1 eight.gw1.localhost
wait_gone "$OTHER" 10 || fail "its connector was killed"

say "a grant that runs out"
grant() {
    netwall grant --authority "$TMP/authority.key" --twin 8 --public-key "$EIGHT_PUB" --not-after "$1" >"$TMP/grant.json"
    nw gw1 admit "$TMP/grant.json"
}
open_stream open eight.gw1.localhost
grant $(($(date +%s) + 3)) >/dev/null
runs "$LAST" || fail "ended before its time"
ended_by "$LAST" wait_for 5 refuses_with 503 gw1 eight.gw1.localhost
eq "$(nw gw1 --json get --twin 8 --contract 8001 | json 'd["workloads"][0]["result"]["state"]')" paused
if as_eight deploy gw1 8002 0 "$(name_workload nine "tunnel:$EIGHT_KEY/web")" >"$TMP/late" 2>&1; then fail "a lapsed twin deployed"; fi
grep -q unknown_twin "$TMP/late" || fail "$(cat "$TMP/late")"
grant 0 >/dev/null
wait_for 5 serves gw1 eight.gw1.localhost
