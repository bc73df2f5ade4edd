#!/usr/bin/env bash
# The agent's store and the bus are lost, the gateway is not: visitors are served on, the node says what it does not know any
# more, a contract that comes again is taken over, and only an operator's word removes the rest. A gateway whose own memory
# is an old copy is told what is over.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
web_start site
BACKEND=tunnel:$CONNECTOR_PUB/web
connector_start c "web=127.0.0.1:$WEB"
deploy gw1 7101 3 "$(name_workload keep "$BACKEND")" >/dev/null
deploy gw1 7102 0 "$(name_workload drop "$BACKEND")" >/dev/null
wait_for 10 serves gw1 keep.gw1.localhost
wait_for 10 serves gw1 drop.gw1.localhost
GW=$(gateway_pid gw1)

orphans() { # orphans NAME N: the node counts N of them
    [ "$(nw "$1" --json node | json 'd["counts"]["orphans"]')" = "$2" ]
}

say "agent and redis are killed, and all that they kept is lost"
REDIS=$(bus gw1 INFO server | tr -d '\r' | sed -n 's/^process_id://p')
kill -KILL "${AGENT[gw1]}"
wait_gone "${AGENT[gw1]}" 5
wait_gone "$REDIS" 5 || fail "redis stays"
rm -rf "$TMP"/gw1/state/agent.db* "$TMP/gw1/state/bus"
gateway_start gw1
eq "$(gateway_pid gw1)" "$GW" "the live module is adopted"
wait_for 15 orphans gw1 2
eq "$(status gw1 keep.gw1.localhost)" 200 "served without the agent's knowing"
eq "$(status gw1 drop.gw1.localhost)" 200 "served without the agent's knowing"
grep -q 'serves a workload that this node' "$TMP/agent-gw1.log" || fail "nobody was told"

say "a contract that comes again is taken over, without a gap"
admit gw1
deploy gw1 7101 3 "$(name_workload keep "$BACKEND")" >/dev/null
orphans gw1 1 || fail "it is still unknown"
deploy gw1 7101 4 "$(name_workload keep "$BACKEND" '"http":"off"')" >/dev/null
wait_for 5 refuses_with 404 gw1 keep.gw1.localhost

say "and the rest goes when the operator says so, and not before"
nw gw1 module orphans gateway | grep -q 7-7102-drop || fail "it is not listed"
eq "$(status gw1 drop.gw1.localhost)" 200
nw gw1 module forget gateway 7-7102-drop >/dev/null
wait_for 5 refuses_with 404 gw1 drop.gw1.localhost
orphans gw1 0 || fail "it is still listed"

say "the gateway's memory is put back from an old copy: what is over is told to go"
deploy gw1 7103 0 "$(name_workload old "$BACKEND")" >/dev/null
wait_for 10 serves gw1 old.gw1.localhost
cp "$TMP/gw1/state/gateway/exposures.state" "$TMP/copy"
nw gw1 delete --key "$TMP/twin.key" --twin 7 --contract 7103 >/dev/null
wait_for 5 refuses_with 404 gw1 old.gw1.localhost
kill -TERM "${AGENT[gw1]}"
wait_gone "${AGENT[gw1]}" 30 || fail "the agent stays"
cp "$TMP/copy" "$TMP/gw1/state/gateway/exposures.state"
gateway_start gw1
wait_for 15 refuses_with 404 gw1 old.gw1.localhost
orphans gw1 0 || fail "what is over is no orphan"
