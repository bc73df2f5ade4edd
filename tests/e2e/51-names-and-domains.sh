#!/usr/bin/env bash
# Who has a name: proof by the DNS (a real server whose answers change, fail, are silent, cut, or lead elsewhere), names that are kept
# for their last owner, reserved ones, two owners who want the same one; all of it over restarts.
. "$(dirname "$0")/lib.sh"

ADDRESS=127.0.0.1
keys
read -r DNS < <(ports 1)
echo '{}' >"$TMP/zone.json"
background dns "$PYTHON" "$E2E_DIR/peers/dns.py" "$DNS" "$TMP/zone.json" "$TMP/dns.questions"
zone() { # zone STATEMENT: changes the zone by a Python statement over z
    "$PYTHON" - "$TMP/zone.json" "$1" <<'PY'
import json, os, sys
path, statement = sys.argv[1:]
z = json.load(open(path))
exec(statement)
json.dump(z, open(path + ".new", "w"))
os.rename(path + ".new", path)
PY
}
asked() { grep -c " $1 " "$TMP/dns.questions" || true; }

gateway_config gw1 "resolver = 127.0.0.1:$DNS"
sed -i 's/^verify-fqdn = no/verify-fqdn = owner/' "$TMP/gw1/gateway.conf"
sed -i 's/^\[trust\]/[zbus]\nserve = yes\n[trust]/' "$TMP/gw1/agent.conf"
gateway_start gw1
gateway_config gw2 "resolver = 127.0.0.1:$DNS"
sed -i 's/^verify-fqdn = no/verify-fqdn = address/' "$TMP/gw2/gateway.conf"
sed -i 's/^\[trust\]/[trust]\nname-quarantine = 1s/' "$TMP/gw2/agent.conf"
gateway_start gw2

grant() { # grant GATEWAY TWIN PUBLIC [ARGS]
    netwall grant --authority "$TMP/authority.key" --twin "$2" --public-key "$3" --exposures 20 "${@:4}" >"$TMP/grant.json"
    nw "$1" admit "$TMP/grant.json" >/dev/null
}
EIGHT_PUB=$(key_make eight ed25519)
as_eight() { TWIN=8 TWIN_PUB=$EIGHT_PUB SIGN_KEY=$TMP/eight.key "$@"; }
grant gw1 7 "$TWIN_PUB" --domain granted.test
grant gw1 8 "$EIGHT_PUB" --domain eight.test --name special
grant gw2 7 "$TWIN_PUB"
grant gw2 8 "$EIGHT_PUB"

fqdn() { # fqdn NAME FQDN: a member of a list of workloads
    printf '{"name":"%s","type":"gateway-fqdn-proxy","data":{"fqdn":"%s","backends":["tunnel:%s/web"]}}' "$1" "$2" "$CONNECTOR_PUB"
}
# offer GATEWAY ID VERSION WORKLOADS: takes what is accepted, whatever becomes of its workloads; fails when it is refused.
offer() {
    contract "$2" "$3" "$1" "$4" >"$TMP/signed-$2.json"
    nw "$1" --json deploy "$TMP/signed-$2.json" --wait 1 >"$TMP/offer.json" 2>&1 || [ $? = 6 ] || fail "refused: $(cat "$TMP/offer.json")"
}
# refused CODE GATEWAY ID VERSION WORKLOADS
refused() {
    local status=0
    contract "$3" "$4" "$2" "$5" >"$TMP/signed-$3.json"
    nw "$2" --json deploy "$TMP/signed-$3.json" >"$TMP/out.json" 2>"$TMP/err.txt" || status=$?
    eq "$status" 3 "exit status for $1 ($(cat "$TMP/out.json" "$TMP/err.txt"))"
    eq "$(json 'd["code"]' <"$TMP/out.json")" "$1"
}
state() { bus "$1" HGET netwall:workloads "$2" | json 'd["state"] + " " + d.get("error", "")'; } # state GATEWAY ID
is() { [ "$(state "$1" "$2")" = "$3" ]; }
unproven() { is "$1" "$2" "init domain_not_here"; }
agent_killed() {
    kill -KILL "${AGENT[gw1]}"
    wait_gone "${AGENT[gw1]}" 5
    gateway_start gw1
}
gateway_killed() {
    local old
    old=$(gateway_pid gw1)
    kill -KILL "$old"
    other() { [ -n "$(gateway_pid gw1)" ] && [ "$(gateway_pid gw1)" != "$old" ] && gateway_reported gw1; }
    wait_for 10 other
}
zbus() { "$PYTHON" "$E2E_DIR/peers/zbus.py" "$TMP/gw1/bus.sock" "$@"; }
web_start site

say "verify-fqdn = owner: TXT, through CNAMEs, over TCP when cut, of the parent for a wildcard; or a domain of the grant"
KEY7="key=$TWIN_PUB"
zone "z['_netwall.here.test'] = {'TXT': ['v=1', '$KEY7']}
z['_netwall.far.test'] = {'CNAME': 'a.dns.test'}; z['a.dns.test'] = {'CNAME': 'b.dns.test'}; z['b.dns.test'] = {'TXT': ['$KEY7']}
z['_netwall.big.test'] = {'TXT': ['x' * 600, '$KEY7'], 'how': 'truncated'}
z['_netwall.wild.test'] = {'TXT': ['$KEY7']}
z['_netwall.silent.test'] = {'how': 'silent'}
z['_netwall.broken.test'] = {'TXT': ['$KEY7'], 'how': 'SERVFAIL'}
z['_netwall.theirs.test'] = {'TXT': ['key=$EIGHT_PUB']}
z['_netwall.loop.test'] = {'CNAME': '_netwall.loop.test'}"
offer gw1 5001 0 "[$(fqdn here here.test),$(fqdn far Far.Test.),$(fqdn big big.test),$(fqdn wild '*.wild.test'),$(fqdn own www.granted.test),\
$(fqdn silent silent.test),$(fqdn broken broken.test),$(fqdn theirs theirs.test),$(fqdn loop loop.test),$(fqdn nowhere www.nowhere.test)]"
connector_start c "web=127.0.0.1:$WEB"
for host in here.test far.test big.test a.wild.test www.granted.test; do
    wait_for 10 serves gw1 "$host"
done
grep -q 'tcp _netwall.big.test TXT' "$TMP/dns.questions" || fail "the cut answer was not asked for over TCP"
eq "$(asked _netwall.www.granted.test)" 0 "questions about a name that the grant covers"
for name in broken theirs loop nowhere; do
    wait_for 5 unproven gw1 "7-5001-$name"
    refuses_with 404 gw1 "$name.test" || fail "$name.test is served"
done
bus gw1 HGET netwall:workloads 7-5001-nowhere >"$TMP/nowhere.json"
grep -q "_netwall.www.nowhere.test with $KEY7" "$TMP/nowhere.json" || fail "what is missing is not said: $(cat "$TMP/nowhere.json")"
eq "$(json '[r["value"] for r in d["data"]["dns"] if r["name"] == "_netwall.www.nowhere.test"][0]' <"$TMP/nowhere.json")" "$KEY7"
[ "$(json 'd["retry_at"]' <"$TMP/nowhere.json")" -ge "$(date +%s)" ] || fail "no retry_at: $(cat "$TMP/nowhere.json")"

say "verify-fqdn = address: any A or AAAA, through CNAMEs, is the node's own"
zone "z['mine.test'] = {'CNAME': 'edge.test'}; z['edge.test'] = {'A': ['192.0.2.9', '$ADDRESS']}; z['other.test'] = {'A': ['192.0.2.9']}"
offer gw2 5002 0 "[$(fqdn mine mine.test),$(fqdn other other.test)]"
wait_for 10 is gw2 7-5002-mine "ok "
wait_for 5 unproven gw2 7-5002-other
zone "z['other.test']['A'] = ['$ADDRESS']"

say "a name that was let go is kept for its twin: over a kill, by update, delete and expiry; then it is free"
offer gw1 6001 0 "[$(fqdn f blog.granted.test),${NAMES:=$(name_workload kept "tunnel:$CONNECTOR_PUB/web" | sed 's/^.//;s/.$//')}]"
wait_for 5 serves gw1 kept.gw1.localhost
offer gw1 6001 1 "[$(fqdn f blog.granted.test)]"
as_eight refused name_conflict gw1 8001 0 "[$NAMES]"
grep -q 'kept for its last owner' "$TMP/out.json" || fail "$(cat "$TMP/out.json")"
agent_killed
as_eight refused name_conflict gw1 8001 0 "[$NAMES]"
offer gw1 6002 0 "[$NAMES]"
wait_for 5 serves gw1 kept.gw1.localhost
nw gw1 --json delete --key "$TMP/twin.key" --twin 7 --contract 6002 >/dev/null
as_eight refused name_conflict gw1 8001 0 "[$NAMES]"
offer gw2 6007 0 "[$NAMES]"
nw gw2 --json delete --key "$TMP/twin.key" --twin 7 --contract 6007 >/dev/null
taken_over() { as_eight deploy gw2 8001 0 "[$NAMES]"; }
wait_for 10 taken_over # its quarantine is 1 s

say "a contract expires, is no tombstone, and comes back by a higher version"
contract 6003 0 gw1 "$(name_workload brief "tunnel:$CONNECTOR_PUB/web")" >/dev/null
sed -i "s/\"expiration\": 0/\"expiration\": $(($(date +%s) + 5))/" "$TMP/contract-6003.json"
netwall sign --key "$TMP/twin.key" "$TMP/contract-6003.json" >"$TMP/brief.json" 2>/dev/null
nw gw1 --json deploy "$TMP/brief.json" >/dev/null

say "reserved: under the node's own domain, public suffixes, what another twin's grant holds"
refused reserved_name gw1 6004 0 "[$(fqdn f x.gw1.localhost)]"
refused reserved_name gw1 6004 0 "[$(fqdn f co.uk)]"
refused reserved_name gw1 6004 0 "[$(fqdn f '*.github.io')]"
refused reserved_name gw1 6004 0 "[$(fqdn f www.eight.test)]"
refused reserved_name gw1 6004 0 "$(name_workload special "tunnel:$CONNECTOR_PUB/web")"
offer gw1 6004 0 "[$(fqdn f evilgw1.localhost)]" # no label boundary
refused quota_exceeded gw1 6005 0 "[$(for i in 1 2 3 4 5 6 7 8; do fqdn "q$i" "q$i.granted.test"; echo ,; done)$(fqdn q9 q9.granted.test)]"

say "zbus and the agent want one name: the first has it, over kills of either; the other as soon as it is free"
ZBUS="{\"TLSPassthrough\":false,\"Backends\":[\"tunnel:$CONNECTOR_PUB/web\"],\"Network\":null,\"Name\":\"both\"}"
eq "$(zbus call SetNamedProxy '"8-9-both"' "$ZBUS")" '"both.gw1.localhost"'
offer gw1 6006 0 "$(name_workload both "tunnel:$CONNECTOR_PUB/web")"
wait_for 5 is gw1 7-6006-both "error name_conflict"
gateway_killed
wait_for 10 is gw1 7-6006-both "error name_conflict"
zbus call Metrics | grep -q 8-9-both || fail "zbus lost its name by the restart"
zbus call DeleteNamedProxy '"8-9-both"'
wait_for 3 is gw1 7-6006-both "ok "
zbus call SetNamedProxy '"8-9-both"' "$ZBUS" >"$TMP/taken" 2>&1 && fail "a taken name was given away"
grep -q 'domain already registered' "$TMP/taken" || fail "$(cat "$TMP/taken")"

wait_for 10 is gw1 7-6003-brief "deleted "
refuses_with 404 gw1 brief.gw1.localhost || fail "served after it expired"
as_eight refused name_conflict gw1 8003 0 "$(name_workload brief "tunnel:$CONNECTOR_PUB/web")"
offer gw1 6003 1 "$(name_workload brief "tunnel:$CONNECTOR_PUB/web")"
wait_for 5 serves gw1 brief.gw1.localhost

say "unproven ones are asked about on and on, also after the kill, and served once it is right"
wait_for 10 unproven gw1 7-5001-silent
zone "for n in 'silent', 'broken', 'theirs', 'loop', 'www.nowhere': z['_netwall.%s.test' % n] = {'TXT': ['$KEY7']}"
for host in silent.test broken.test theirs.test loop.test www.nowhere.test; do
    wait_for 20 serves gw1 "$host"
done
wait_for 20 is gw2 7-5002-other "ok "

say "what was proven is served at once after a kill, even when the DNS is gone"
kill "$(pgrep -f -- "dns.py $DNS ")"
gateway_killed
wait_for 10 serves gw1 silent.test
serves gw1 here.test || fail here.test
