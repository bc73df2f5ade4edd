#!/usr/bin/env bash
# One connector on two gateways; one gateway is killed and comes back: visitors of the other never notice, and the killed one
# serves again without anybody's help.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
gateway_start gw2
admit gw1
admit gw2
web_start site
connector_start c "web=127.0.0.1:$WEB"
deploy gw1 6001 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw2 6001 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
wait_for 15 serves gw1 site.gw1.localhost
wait_for 15 serves gw2 site.gw2.localhost

GW=$(gateway_pid gw1)
kill -KILL "$GW"
for _ in $(seq 20); do
    eq "$(status gw2 site.gw2.localhost)" 200 "the other gateway"
done
say "the supervisor restarts the gateway, the connector comes back"
wait_for 30 serves gw1 site.gw1.localhost
[ "$(gateway_pid gw1)" != "$GW" ] || fail "same pid"
eq "$(nw gw1 --json modules | json 'd[0]["restarts"]')" 1 "restarts"

say "one contract may name both gateways"
contract 6002 0 gw1,gw2 "$(name_workload both "tunnel:$CONNECTOR_PUB/web")" >"$TMP/both.json"
netwall --bus "${BUS[gw1]}" --bus "${BUS[gw2]}" deploy "$TMP/both.json" >/dev/null
wait_for 10 serves gw1 both.gw1.localhost
wait_for 10 serves gw2 both.gw2.localhost
