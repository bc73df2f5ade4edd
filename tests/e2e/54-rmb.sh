#!/usr/bin/env bash
# Zero-OS clients through rmb-peer: msgbus.zos.deployment.*, replies, expiry, whose contracts one sees, MD5 challenge with
# several signatures, and what hostile messages do not achieve.
. "$(dirname "$0")/lib.sh"

keys
OTHER_PUB=$(key_make other ed25519)
gateway_config gw1
sed -i 's/^\[trust\]$/[rmb]\nserve = yes\n[trust]\nzos-signatures = yes/' "$TMP/gw1/agent.conf"
gateway_start gw1
admit gw1
netwall grant --authority "$TMP/authority.key" --twin 8 --public-key "$OTHER_PUB" >"$TMP/grant8.json"
nw gw1 admit "$TMP/grant8.json" >/dev/null
# Not on the address that the node calls its own: no backend may point there.
mkdir "$TMP/web"
WEB=$(ports 1)
background web "$PYTHON" -m http.server --bind 127.0.0.2 --directory "$TMP/web" "$WEB"
BACKEND=http://127.0.0.2:$WEB
wait_for 10 curl -sf "$BACKEND/"
SOCKET=${BUS[gw1]#unix://}

rmb() { # rmb SRC VERB [FILE] [KEY=VALUE...]: a request as rmb-peer delivers it; the data
    "$PYTHON" "$E2E_DIR/peers/rmb.py" "$SOCKET" call "$1" "zos.deployment.$2" "${@:3}"
}

deliver() { # deliver VERB TEXT: any text as a message
    bus gw1 LPUSH "msgbus.zos.deployment.$1" "$2" >/dev/null
}

refused() { # refused CODE TEXT SRC VERB...: the error form
    local code=$1 text=$2 status=0
    shift 2
    rmb "$@" >"$TMP/out.json" 2>"$TMP/err.txt" || status=$?
    eq "$status" 3 "exit status of $* ($(cat "$TMP/out.json" "$TMP/err.txt"))"
    eq "$(json 'd["code"]' <"$TMP/out.json")" "$code" "code of $* ($(cat "$TMP/out.json"))"
    json 'd["message"]' <"$TMP/out.json" | grep -q "$text" || fail "$*: $(cat "$TMP/out.json")"
}

unanswered() { # unanswered ARGS...: delivered, and nobody waits; what is asked afterwards is answered after it
    rmb "$@" wait=0 || fail "$*"
}

nothing_said() { # no reply but those that were read, and contract 2 is not there
    refused 404 'unknown: contract_id' 7 get "$TMP/which2.json"
    eq "$(bus gw1 LLEN msgbus.system.reply)" 0 replies
}

exists() {
    [ "$(bus gw1 EXISTS "$1")" = 1 ]
}

say "a contract comes in over RMB and is served; its twin sees it, another does not"
contract 1 0 gw1 "$(name_workload one "$BACKEND")" >"$TMP/one.json"
eq "$(rmb 7:grid3 deploy "$TMP/one.json" | json 'd["workloads"][0]["result"]["state"]')" ok
serves gw1 one.gw1.localhost || fail "what was deployed over RMB is not served"
echo '{"contract_id": 1}' >"$TMP/which.json"
echo '{"contract_id": 1, "twin_id": 7}' >"$TMP/which7.json"
eq "$(rmb 7 get "$TMP/which.json" | json 'd["version"], d["workloads"][0]["result"]["state"]')" '[0, "ok"]'
eq "$(rmb 7 get "$TMP/which7.json" | json 'd["contract_id"]')" 1
eq "$(rmb 7 changes "$TMP/which.json" | json 'd[-1]["result"]["state"]')" ok
eq "$(rmb 7 list | json '[c["contract_id"] for c in d]')" '[1]'
eq "$(rmb 8 list)" '[]'
refused 404 'no contract of twin 8' 8 get "$TMP/which.json"
refused 404 'no contract of twin 8' 8 changes "$TMP/which.json"
refused 403 'not_allowed: twin_id' 8 get "$TMP/which7.json"
refused 403 'not_allowed: twin_id' 8 changes "$TMP/which7.json"
echo '{"twin_id": 7}' >"$TMP/seven.json"
refused 403 'not_allowed: twin_id' 8 list "$TMP/seven.json"

say "deploying needs the signature, and one's own twin"
contract 1 1 gw1 "$(name_workload two "$BACKEND")" >"$TMP/two.json"
sed 's/"two"/"bank"/' "$TMP/two.json" >"$TMP/altered.json"
refused 401 'bad_signature: signature_requirement.signatures\[0\]' 7 update "$TMP/altered.json"
SIGN_KEY=$TMP/other.key contract 1 1 gw1 "$(name_workload two "$BACKEND")" >"$TMP/foreign.json"
refused 401 bad_signature 7 update "$TMP/foreign.json"
refused 403 'not_allowed: twin_id' 8 update "$TMP/one.json"
contract 1 1 gw1 "$(name_workload two "$BACKEND")" >"$TMP/two.json"
rmb 7 update "$TMP/two.json" >/dev/null
serves gw1 two.gw1.localhost || fail "the update is not served"
refused 409 version_conflict 7 deploy "$TMP/one.json"

say "a message whose time is over is not run"
echo '{"contract_id": 2}' >"$TMP/which2.json"
contract 2 0 gw1 "$(name_workload late "$BACKEND")" >"$TMP/late.json"
unanswered 7 deploy "$TMP/late.json" now=-300
unanswered 7 deploy "$TMP/late.json" now=-11 exp=10
nothing_said

say "nor is one that wants its reply on a list of ours"
MESSAGE=$("$PYTHON" "$E2E_DIR/peers/rmb.py" - print 7 zos.deployment.deploy "$TMP/late.json" ret=@RET@)
for list in core:default core:operator result:x stream:deployments netwall:assign:gateway msgbus.system.local \
    msgbus.zos.deployment.deploy gateway.manager@0.0.1 ''; do
    deliver deploy "${MESSAGE/@RET@/$list}"
done
nothing_said
eq "$(bus gw1 EXISTS core:default core:operator result:x msgbus.system.local gateway.manager@0.0.1)" 0 "lists of ours"
eq "$(bus gw1 TYPE netwall:assign:gateway)" hash

say "a private list of the caller gets it, and does not stay for ever; rmb-peer's is not ours to expire"
unanswered 7 list ret=private-list
wait_for 5 exists private-list
[ "$(bus gw1 TTL private-list)" -gt 0 ] || fail "private-list stays"
unanswered 7 list
wait_for 5 exists msgbus.system.reply
eq "$(bus gw1 TTL msgbus.system.reply)" -1
bus gw1 DEL msgbus.system.reply >/dev/null

say "hostile messages: told what is wrong when the sender is known, else dropped"
echo '{"twin_id": 7, "twin_id": 7}' >"$TMP/twice.json"
refused 400 'duplicate_key: .*twin_id' 7 list "$TMP/twice.json"
echo '{"contract_id": 1.5}' >"$TMP/real.json"
refused 400 malformed 7 get "$TMP/real.json"
head -c 70000 /dev/zero | tr '\0' ' ' >"$TMP/large.json"
refused 413 too_large 7 deploy "$TMP/large.json"
refused 400 'malformed: dat is not base64' 7 deploy dat='%%%'
refused 400 'malformed: dat is not base64' 7 deploy dat='e30'
refused 400 'out_of_range: ver' 7 list ver=2
refused 400 'malformed: cmd' 7 list cmd=zos.deployment.deploy
refused 400 'out_of_range: exp' 7 list exp=-1
MESSAGE=$("$PYTHON" "$E2E_DIR/peers/rmb.py" - print @SRC@ zos.deployment.deploy "$TMP/late.json")
for src in 0 -7 +7 ' 7' 07 7x 4294967296 99999999999999999999 '' ':7' seven; do
    deliver deploy "${MESSAGE/@SRC@/$src}"
done
for bytes in '' '{' '[]' 'null' '{}' '{"ret":7}' '{"src":"7"}' '{"ret":"r","src":7}' '{"ret":"r","src":["7"]}' \
    '{"ver":1,"ver":1}' '{"ret":"a\u0000b","src":"7"}' "$(printf '[%.0s' {1..5000})"; do
    deliver deploy "$bytes"
done
head -c 1000000 /dev/urandom | bus gw1 -x LPUSH msgbus.zos.deployment.deploy >/dev/null
nothing_said
kill -0 "${AGENT[gw1]}" || fail "the agent is gone"

say "MD5 challenge: weights of several signatures, versions one by one, one contract a document"
zos() { # zos ID VERSION OPTIONS...: a document of twin 7 for which twin 8 may speak, too
    "$PYTHON" "$E2E_DIR/peers/zos_contract.py" "$1" "$2" zos "$BACKEND" request=7,false,1 "${@:3}"
}
OWNER=sign=7,$TMP/twin.key
GUEST=sign=8,$TMP/other.key
zos 20 0 request=8,false,2 need=3 "$OWNER" >"$TMP/zos.json"
refused 401 'required signature weight is not reached: 1 of 3' 7 deploy "$TMP/zos.json"
zos 20 0 request=8,true,0 need=1 "$OWNER" >"$TMP/zos.json"
refused 401 "missing required signature for twin '8'" 7 deploy "$TMP/zos.json"
zos 20 0 request=8,false,2 need=3 "$OWNER" "sign=8,$TMP/twin.key" >"$TMP/zos.json"
refused 401 "$OTHER_PUB" 7 deploy "$TMP/zos.json"
zos 20 0 request=8,false,2 need=3 "$OWNER" "$GUEST,sr25519" >"$TMP/zos.json"
refused 401 'bad_signature.*sr25519' 7 deploy "$TMP/zos.json"
zos 20 0 request=8,false,2 need=3 "$OWNER" "$GUEST" >"$TMP/zos.json"
sed 's/"tls_passthrough"/"http": "off", "tls_passthrough"/' "$TMP/zos.json" >"$TMP/field.json"
refused 400 'malformed: workloads\[0\].data.http does not exist in Zero-OS' 7 deploy "$TMP/field.json"
eq "$(rmb 7 deploy "$TMP/zos.json" | json 'd["workloads"][0]["result"]["state"]')" ok
serves gw1 zos.gw1.localhost || fail "what Zero-OS signed is not served"
sed 's/"contract_id": 20/"contract_id": 21/' "$TMP/zos.json" >"$TMP/twin20.json"
refused 409 'accepted as contract 20' 7 deploy "$TMP/twin20.json"
zos 20 2 request=8,false,2 need=3 "$OWNER" "$GUEST" >"$TMP/zos2.json"
refused 409 version_gap 7 update "$TMP/zos2.json"
zos 20 1 request=8,false,2 need=3 "$OWNER" "$GUEST" >"$TMP/zos1.json"
eq "$(rmb 7 update "$TMP/zos1.json" | json 'd["version"]')" 1
rmb 7 update "$TMP/zos2.json" >/dev/null
refused 409 'accepted as contract 20' 7 deploy "$TMP/twin20.json"

say "its end by the signed statement"
nw gw1 delete --key "$TMP/twin.key" --twin 7 --contract 20 >/dev/null
refused 409 'accepted as contract 20' 7 deploy "$TMP/twin20.json"
eq "$(bus gw1 LLEN msgbus.system.reply)" 0 replies
