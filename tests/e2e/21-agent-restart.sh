#!/usr/bin/env bash
# The agent is killed and started again: visitors are served throughout, the module is adopted, nothing is lost.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
web_start site
connector_start c "web=127.0.0.1:$WEB"
deploy gw1 6101 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
wait_for 15 serves gw1 site.gw1.localhost
GW=$(gateway_pid gw1)

kill -KILL "${AGENT[gw1]}"
wait_gone "${AGENT[gw1]}" 5
for _ in $(seq 20); do
    eq "$(status gw1 site.gw1.localhost)" 200 "served without the agent"
done
gateway_start gw1
eq "$(gateway_pid gw1)" "$GW" "the live module is adopted"
eq "$(status gw1 site.gw1.localhost)" 200
eq "$(nw gw1 --json get --twin 7 --contract 6101 | json 'd["workloads"][0]["result"]["state"]')" ok
deploy gw1 6102 0 "$(name_workload more "tunnel:$CONNECTOR_PUB/web")" >/dev/null
wait_for 5 serves gw1 more.gw1.localhost

say "SIGTERM to the agent stops the module and the redis it started"
REDIS=$(bus gw1 INFO server | tr -d '\r' | sed -n 's/^process_id://p')
kill -TERM "${AGENT[gw1]}"
wait_gone "${AGENT[gw1]}" 40 || fail "the agent stays"
wait_gone "$GW" 5 || fail "the gateway stays"
wait_gone "$REDIS" 5 || fail "redis stays"
quiet() { ! sed -n '/event=stopping/,$p' "$TMP/agent-gw1.log" | grep -E 'level=(warn|error)'; }
grep -v '^time=' "$TMP/agent-gw1.log" && fail "lines that our logger did not write"
quiet || fail "a clean stop is no reason to warn"
