#!/usr/bin/env bash
# A contract put on the bus with bare redis-cli exposes a private service to a visitor by HTTP Host.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
web_start blog

say "the twin is admitted and the contract deployed with redis-cli alone"
netwall grant --authority "$TMP/authority.key" --twin 7 --public-key "$TWIN_PUB" >"$TMP/grant.json"
bus gw1 RPUSH core:default "{\"id\":\"g1\",\"command\":\"netwall.twin.admit\",\"arguments\":$(cat "$TMP/grant.json")}" >/dev/null
bus gw1 BRPOPLPUSH result:g1 result:g1 15 >"$TMP/g1.json"
eq "$(json 'd["state"]' <"$TMP/g1.json")" SUCCESS "admit"
contract 1001 0 gw1 "$(name_workload blog "tunnel:$CONNECTOR_PUB/web")" >"$TMP/signed.json"
netwall wrap deploy "$TMP/signed.json" >"$TMP/wrapped.json"
ID=$(json 'd["id"]' <"$TMP/wrapped.json")
bus gw1 RPUSH core:default "$(cat "$TMP/wrapped.json")" >/dev/null
bus gw1 BRPOPLPUSH "result:$ID" "result:$ID" 15 >"$TMP/d1.json"
eq "$(json 'd["state"]' <"$TMP/d1.json")" SUCCESS "deploy: $(cat "$TMP/d1.json")"
eq "$(json 'json.loads(d["data"])["workloads"][0]["result"]["state"]' <"$TMP/d1.json")" ok "workload state"
eq "$(json 'json.loads(d["data"])["workloads"][0]["result"]["data"]["fqdn"]' <"$TMP/d1.json")" blog.gw1.localhost

say "no connector yet: 503 with Retry-After"
eq "$(status gw1 blog.gw1.localhost)" 503
get gw1 blog.gw1.localhost / -D - -o /dev/null | grep -qi '^retry-after:' || fail "no Retry-After"

say "with the connector the page comes through"
connector_start c "web=127.0.0.1:$WEB"
wait_for 10 serves gw1 blog.gw1.localhost
eq "$(get gw1 blog.gw1.localhost /)" "hello from blog"
eq "$(get gw1 BLOG.gw1.LOCALHOST.:80 /)" "hello from blog" "canonical host"

say "unknown names get 404 and are not echoed"
eq "$(status gw1 other.gw1.localhost)" 404
get gw1 secret-name.example / | grep -q secret-name && fail "the page echoes the host"
eq "$(status gw1 192.0.2.7)" 404 "an IP literal"

say "state keys are current"
wait_for 10 online gw1 7-1001-blog
usage() { [ "$(bus gw1 HGET netwall:usage 7-1001-blog | json 'd["rx_bytes"] > 0 and d["tx_bytes"] > 0')" = true ]; }
wait_for 12 usage
eq "$(bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json 'len(d)')" 1 "tunnels"
nw gw1 workloads | grep -q blog || fail "workloads table"
nw gw1 tunnels | grep -q "${CONNECTOR_PUB:0:8}" || fail "tunnels table"
eq "$(bus gw1 GET netwall:node | json 'd["counts"]["exposures"]')" 1 "node counts"
