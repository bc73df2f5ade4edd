#!/usr/bin/env bash
# SIGUSR2 replaces the gateway process under load: 200 new connections a second and 100 long ones, two upgrades in a row
# while the first still drains, then netwall module restart. Not one visitor is refused, reset or answered wrongly.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
read -r SERVICE < <(ports 1)
background service "$PYTHON" "$E2E_DIR/peers/visitors.py" serve "$SERVICE"
connector_start c "web=127.0.0.1:$SERVICE"
# Another instance with the same key comes through the TLS port, which changes hands last.
background connector-tls netwall-connector --key "$TMP/connector.key" --service "web=127.0.0.1:$SERVICE" \
    --gateway "127.0.0.1:${TLS[gw1]}#${PUB[gw1]}"
PORT=${TCP_FROM[gw1]}
deploy gw1 9101 0 "$(name_workload page "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw1 9102 0 "$(tcp_workload echo "$PORT" "tunnel:$CONNECTOR_PUB/web")" >/dev/null
wait_for 15 serves gw1 page.gw1.localhost

both() { # both connectors are here
    [ "$(bus gw1 HGET netwall:workloads 7-9101-page | json 'd["online"]')" = 2 ]
}
wait_for 15 both

served() { # served NAME N: so many short visitors were
    [ "$(sed -n 's/^served //p' "$TMP/$1.log" | tail -n 1)" -ge "$2" ]
}

visit() { # visit NAME: the load, until visit_end; returns when it runs
    "$PYTHON" "$E2E_DIR/peers/visitors.py" visit "${HTTP[gw1]}" page.gw1.localhost "$PORT" 200 100 \
        >"$TMP/$1.json" 2>"$TMP/$1.log" &
    LOAD=$!
    PIDS+=("$LOAD")
    wait_for 15 served "$1" 200
}

visit_end() { # visit_end NAME: a little later nobody has noticed anything
    local so_far
    so_far=$(sed -n 's/^served //p' "$TMP/$1.log" | tail -n 1)
    wait_for 15 served "$1" $((so_far + 200))
    kill -TERM "$LOAD"
    wait "$LOAD" || fail "the visitors ended badly"
    say "$(cut -c1-600 "$TMP/$1.json")"
    eq "$(json 'd["failed"]' <"$TMP/$1.json")" 0 "visitors that failed"
    eq "$(json 'd["long_alive"]' <"$TMP/$1.json")" 100 "long connections that lived on"
}

replaced() { # replaced PID: the agent knows another, living process
    local pid
    pid=$(gateway_pid gw1)
    [ "$pid" != "$1" ] && [ "$pid" != 0 ] && kill -0 "$pid"
}

say "SIGUSR2 twice"
FIRST=$(gateway_pid gw1)
visit first
START=$(now_ms)
kill -USR2 "$FIRST"
wait_for 20 replaced "$FIRST"
[ $(($(now_ms) - START)) -lt 9000 ] || fail "it waited for a connector that was there"
wait_for 5 both
SECOND=$(gateway_pid gw1)
kill -0 "$FIRST" || fail "the first process did not wait for its 100 visitors"
kill -USR2 "$SECOND"
wait_for 20 replaced "$SECOND"
THIRD=$(gateway_pid gw1)
kill -0 "$FIRST" || fail "the first process did not wait for its visitors"
visit_end first
wait_gone "$FIRST" 10 || fail "the first process stays"
wait_gone "$SECOND" 10 || fail "the second process stays"

say "netwall module restart, through the agent"
RESTARTS=$(nw gw1 --json modules | json 'd[0]["restarts"]')
visit second
nw gw1 module restart gateway >"$TMP/restart.out"
grep -q 'runs anew' "$TMP/restart.out" || fail "$(cat "$TMP/restart.out")"
replaced "$THIRD" || fail "restarted, but still pid $THIRD"
kill -0 "$THIRD" || fail "the old process did not wait for its visitors"
visit_end second
wait_gone "$THIRD" 10 || fail "the old process stays"
eq "$(nw gw1 --json modules | json 'd[0]["state"]')" running
eq "$(nw gw1 --json modules | json 'd[0]["restarts"]')" "$RESTARTS" "an upgrade is no crash"

say "every visitor was counted once, whichever process served it"
echoes() { json 'd["echoes"]' <"$TMP/$1.json"; }
counted() { [ "$(bus gw1 HGET netwall:usage 7-9102-echo | json 'd["connections"]')" = "$1" ]; }
wait_for 15 counted $(($(echoes first) + $(echoes second) + 200))
