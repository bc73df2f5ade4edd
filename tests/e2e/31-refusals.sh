#!/usr/bin/env bash
# What must not pass, with the error that says so: unknown keys, unsigned, altered, replayed, expired and foreign contracts.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1

# refused CODE FILE: deploying FILE is refused with CODE, exit status 3.
refused() {
    local status=0
    nw gw1 --json deploy "$2" >"$TMP/out.json" 2>"$TMP/err.txt" || status=$?
    eq "$status" 3 "exit status for $1 ($(cat "$TMP/out.json" "$TMP/err.txt"))"
    eq "$(json 'd["code"]' <"$TMP/out.json")" "$1"
}
WORKLOAD=$(name_workload blog "tunnel:$CONNECTOR_PUB/web")
contract 8001 1 gw1 "$WORKLOAD" >"$TMP/good.json"

refused unknown_twin "$TMP/good.json"
admit gw1

key_make stranger ed25519 >/dev/null
SIGN_KEY=$TMP/stranger.key contract 8001 1 gw1 "$WORKLOAD" >"$TMP/stranger.json"
refused bad_signature "$TMP/stranger.json"
json 'd["message"]' <"$TMP/out.json" | grep -q "$TWIN_PUB" || fail "the expected key is not named"

edit() { # edit STATEMENT: a copy of the good contract, changed by a Python statement over d
    "$PYTHON" -c 'import json,sys
d=json.load(open(sys.argv[1]))
exec(sys.argv[2])
print(json.dumps(d))' "$TMP/good.json" "$1" >"$TMP/edited.json"
}
edit 'd["signature_requirement"]["signatures"]=[]'
refused bad_signature "$TMP/edited.json"
edit 'd["workloads"][0]["data"]["name"]="bank"'
refused bad_signature "$TMP/edited.json"
edit 'd["workloads"][0]["data"]["nmae"]="blog"'
refused malformed "$TMP/edited.json"
eq "$(json 'd["path"]' <"$TMP/out.json")" "workloads[0].data.nmae"
edit 'd["workloads"][0]["type"]="gateway-udp-proxy"'
refused unsupported_type "$TMP/edited.json"
edit 'd["workloads"][0]["data"]["backends"]=["tunnel:short"]'
refused bad_backend "$TMP/edited.json"

contract 8002 0 elsewhere "$WORKLOAD" >"$TMP/foreign.json"
refused wrong_node "$TMP/foreign.json"

contract 8003 0 gw1 "$WORKLOAD" >/dev/null
sed 's/"expiration": 0/"expiration": 1000000000/' "$TMP/contract-8003.json" >"$TMP/expired.json"
netwall sign --key "$TMP/twin.key" "$TMP/expired.json" >"$TMP/expired-signed.json"
refused expired "$TMP/expired-signed.json"

say "accepted once, unchanged when repeated, conflict when the bytes differ or the version is lower"
nw gw1 --json deploy "$TMP/good.json" >"$TMP/first.json"
nw gw1 --json deploy "$TMP/good.json" >"$TMP/second.json"
eq "$(json 'd["version"]' <"$TMP/second.json")" 1
contract 8001 1 gw1 "$(name_workload other "tunnel:$CONNECTOR_PUB/web")" >"$TMP/other.json"
refused version_conflict "$TMP/other.json"
contract 8001 0 gw1 "$WORKLOAD" >"$TMP/lower.json"
refused version_conflict "$TMP/lower.json"

say "another twin cannot take the name"
OTHER=$(key_make other ed25519)
netwall grant --authority "$TMP/authority.key" --twin 8 --public-key "$OTHER" >"$TMP/grant8.json"
nw gw1 admit "$TMP/grant8.json" >/dev/null
TWIN=8 SIGN_KEY=$TMP/other.key contract 8100 0 gw1 "$WORKLOAD" >"$TMP/taken.json"
refused name_conflict "$TMP/taken.json"

say "nor put a name of its own on another twin's connector, unless that says it serves twin 8"
deploy gw1 8010 0 "$(name_workload mine "tunnel:$CONNECTOR_PUB/web")" >/dev/null
background svc "$PYTHON" "$E2E_DIR/peers/trickle.py" "$(ports 1 | tee "$TMP/svc.port")"
connector_start none "web=127.0.0.1:$(cat "$TMP/svc.port")"
wait_for 10 serves gw1 mine.gw1.localhost
grep -q 'no twin is set' "$TMP/connector-none.log" || fail "the connector does not warn"
TWIN=8 SIGN_KEY=$TMP/other.key deploy gw1 8101 0 "$(name_workload theirs "tunnel:$CONNECTOR_PUB/web")" >/dev/null
wait_for 5 refuses_with 503 gw1 theirs.gw1.localhost
serves gw1 mine.gw1.localhost || fail "the first twin's exposure"
grep -q 'event="key_conflict' "$TMP/agent-gw1.log" || fail "the gateway does not warn"
conflict_told() { bus gw1 HGET netwall:workloads 8-8101-theirs | json 'd["last_error"]["what"]' | grep -q key_conflict; }
wait_for 5 conflict_told
background connector-eight netwall-connector --key "$TMP/connector.key" --twin 8 --name eight \
    --gateway "127.0.0.1:${TUNNEL[gw1]}#${PUB[gw1]}" --service "web=127.0.0.1:$(cat "$TMP/svc.port")"
wait_for 10 serves gw1 theirs.gw1.localhost

say "a statement by an unknown authority is refused"
key_make mallory ed25519 >/dev/null
netwall grant --authority "$TMP/mallory.key" --twin 9 --public-key "$OTHER" >"$TMP/grant9.json"
if nw gw1 admit "$TMP/grant9.json" >"$TMP/out.json" 2>&1; then fail "admitted by a stranger"; fi

say "garbage on the lists costs nothing"
for bytes in 'not json' '{' '[]' '{"id":"../x","command":"core.ping"}' '{"id":"ok1"}' '{"command":"core.ping","arguments":{}}'; do
    bus gw1 RPUSH core:default "$bytes" >/dev/null
done
head -c 3000 /dev/urandom | bus gw1 -x RPUSH core:default >/dev/null
head -c 3000 /dev/urandom | bus gw1 -x RPUSH gateway.manager@0.0.1 >/dev/null
bus gw1 XADD stream:deployments '*' op deploy body 'nonsense' >/dev/null
bus gw1 RPUSH core:default '{"id":"p1","command":"core.ping","arguments":{}}' >/dev/null
bus gw1 BRPOPLPUSH result:p1 result:p1 10 | json 'd["data"]' | grep -q PONG || fail "no PONG"
bus gw1 RPUSH core:default '{"id":"u1","command":"no.such","arguments":{}}' >/dev/null
eq "$(bus gw1 BRPOPLPUSH result:u1 result:u1 10 | json 'd["state"]')" UNKNOWN_CMD
kill -0 "${AGENT[gw1]}"
