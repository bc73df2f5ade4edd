#!/usr/bin/env bash
# Redis is away for 10 s: visitors are served throughout, and a contract deployed during the outage takes effect after it.
. "$(dirname "$0")/lib.sh"

keys
gateway_config gw1
REDIS_ARGS=(--port 0 --unixsocket "$TMP/gw1/bus.sock" --dir "$TMP/gw1" --save '' --appendonly no)
sed -i "s|^url = embedded|url = unix://$TMP/gw1/bus.sock|; /^socket/d" "$TMP/gw1/agent.conf"
background redis redis-server "${REDIS_ARGS[@]}"
REDIS=$LAST
wait_for 10 bus gw1 ping
gateway_start gw1
admit gw1
web_start site
connector_start c "web=127.0.0.1:$WEB"
deploy gw1 6201 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
wait_for 15 serves gw1 site.gw1.localhost

kill -KILL "$REDIS"
wait_gone "$REDIS" 5
say "who deploys with --wait waits for the bus too, who does not is told at once"
contract 6202 0 gw1 "$(name_workload late "tunnel:$CONNECTOR_PUB/web")" >"$TMP/late.json"
status=0
nw gw1 deploy "$TMP/late.json" 2>/dev/null || status=$?
eq "$status" 5 "exit status without a bus"
background deploy nw gw1 --json deploy "$TMP/late.json" --wait 30
DEPLOY=$LAST
END=$(($(now_ms) + 10000))
while [ "$(now_ms)" -lt "$END" ]; do
    eq "$(status gw1 site.gw1.localhost)" 200 "served without redis"
    sleep 0.2
done
background redis redis-server "${REDIS_ARGS[@]}"
wait_for 10 bus gw1 ping
wait_for 3 serves gw1 late.gw1.localhost
wait "$DEPLOY" || fail "deploy ended with $?"
eq "$(status gw1 site.gw1.localhost)" 200 "an empty redis removes nothing"
published() { bus gw1 HGET netwall:workloads 7-6201-site | grep -q '"ok"'; }
wait_for 10 published
