#!/usr/bin/env bash
# Zero-OS's zbus with peers written from its protocol alone: the gateway started by its zinit unit, the provision object of the
# agent, and the objects zbus implementations are compared by, each of our sides against the other language's.
. "$(dirname "$0")/lib.sh"

ROOT_DIR=$E2E_DIR/../..
COMPAT=$BIN/../tests/zbus_compat
zbus() { "$PYTHON" "$E2E_DIR/peers/zbus.py" "$SOCKET" "$@"; }
provision() { "$PYTHON" "$E2E_DIR/peers/provision.py" "$SOCKET" "$@"; }
proxy() { # proxy NAME [BACKEND]: a GatewayNameProxy
    printf '{"TLSPassthrough":false,"Backends":["%s"],"Network":null,"Name":"%s"}' "${2:-tunnel:$CONNECTOR_PUB/web}" "$1"
}
says() { # says TEXT COMMAND...: the command is refused in exactly these words
    local text=$1
    shift
    "$@" >"$TMP/out" 2>&1 && fail "not refused: $*"
    grep -qF -- "$text" "$TMP/out" || fail "'$(cat "$TMP/out")' instead of '$text'"
}

keys
read -r DNS < <(ports 1)
background dns "$PYTHON" -c 'import socket,sys,time; s=socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", int(sys.argv[1]))); time.sleep(600)' "$DNS"
gateway_config gw1 "resolver = 127.0.0.1:$DNS"
SOCKET=$TMP/gw1/redis.sock
# Gateway and agent sign in as deploy/redis says, with the rights it names for zbus; everybody else may do everything.
ZBUS_RIGHTS=$(sed -n 's/^\* zbus needs more for `module`: `\([^`]*\)`.*/\1/p' "$ROOT_DIR/deploy/redis/README.md")
[ -n "$ZBUS_RIGHTS" ] || fail "deploy/redis/README.md names no rights for zbus"
{
    echo 'user default on nopass ~* &* +@all'
    sed -n "/^user module/s/\$/ $ZBUS_RIGHTS/p; /^user agent/s/\$/ ${ZBUS_RIGHTS/"~gateway.*"/"~gateway.* ~provision.*"}/p" \
        "$ROOT_DIR/deploy/redis/users.acl"
} >"$TMP/gw1/users.acl"
background redis redis-server --port 0 --unixsocket "$SOCKET" --dir "$TMP/gw1" --save '' --aclfile "$TMP/gw1/users.acl"
BUS[gw1]=unix://$SOCKET
wait_for 10 bus gw1 ping
web_start site

say "calculator and utils: our server, their client; their server, our client"
background compat-server "$COMPAT" server --broker "unix://$SOCKET" --tick 0.05
COMPAT_PID=$LAST
"$PYTHON" "$E2E_DIR/peers/zbus_compat.py" "$SOCKET" client
kill "$COMPAT_PID"
wait_gone "$COMPAT_PID" 5 || fail "zbus_compat stays"
background compat-peer "$PYTHON" "$E2E_DIR/peers/zbus_compat.py" "$SOCKET" server
"$COMPAT" client --broker "unix://$SOCKET" --all >"$TMP/compat" 2>/dev/null || fail "$(cat "$TMP/compat")"
eq "$(grep -c ^PASS "$TMP/compat")" 15 "checks that passed"

say "the zinit unit is what zinit reads, and its exec line starts the gateway"
"$PYTHON" - "$ROOT_DIR/deploy/zinit/gateway.yaml" "$TMP/gw1" >"$TMP/exec" <<'PY'
import sys, yaml
unit = yaml.safe_load(open(sys.argv[1]))
assert set(unit) <= {"exec", "oneshot", "test", "after", "env", "log", "signal", "shutdown_timeout"}, unit
assert unit["after"] == ["boot", "networkd"] and isinstance(unit["exec"], str), unit
line = unit["exec"]
for path, ours in ((" /etc/netwall/gateway.conf", " %s/gateway.conf"), (" /var/cache/modules/gateway", " %s/root"),
                   ("unix:///var/run/redis.sock", "unix://module:change-me-module@%s/redis.sock")):
    assert line.count(path) == 1, (path, line)
    line = line.replace(path, ours % sys.argv[2])
print(line)
PY
sed -i 's/^verify-fqdn = no/verify-fqdn = address/' "$TMP/gw1/gateway.conf"
read -ra EXEC <"$TMP/exec"
background gateway "${EXEC[@]}"
GATEWAY=$LAST
wait_for 10 zbus status
[ -s "$TMP/gw1/root/gateway.key" ] || fail "--root is not where the gateway keeps its state"
eq "$(zbus status | json '[[o["Name"], o["Version"]] for o in d["Objects"]] + [len(d["Workers"])]')" '[["manager", "0.0.1"], 1]'
PUB[gw1]=$(netwall pubkey "$TMP/gw1/root/gateway.key")

for program in netwall-agent netwall-gateway; do
    for bad in "--workers 0" "--workers 65" "--workers 1x" "--broker http://10.0.0.1" "--root=" "--broker"; do
        read -ra words <<<"$bad"
        status=0
        "$program" --check-config "${words[@]}" >/dev/null 2>&1 || status=$?
        eq "$status" 2 "$program $bad"
    done
    "$program" -v | grep -q "^$program [0-9]" || fail "$program -v"
done

say "set, set again, taken, refused: in the words of Zero-OS"
eq "$(zbus call SetNamedProxy '"7-1-site"' "$(proxy site)")" '"site.gw1.localhost"'
connector_start c "web=127.0.0.1:$WEB"
eq "$(zbus call SetNamedProxy '"7-1-site"' "$(proxy site)")" '"site.gw1.localhost"' "replayed"
wait_for 15 serves gw1 site.gw1.localhost
says "error: domain already registered: site.gw1.localhost (value '')" zbus call SetNamedProxy '"8-2-site"' "$(proxy site)"
says "error: name a.b is invalid (value '')" zbus call SetNamedProxy '"7-2-x"' "$(proxy a.b)"
says "error: failed to validate backend '10.0.0.1:80': failed to parse backend with error: parse \"10.0.0.1:80\": first path segment in URL cannot contain colon" \
    zbus call SetNamedProxy '"7-2-x"' "$(proxy x 10.0.0.1:80)"
says "error: failed to validate backend 'http://127.0.0.1:80': invalid ip address in backend: 127.0.0.1" \
    zbus call SetNamedProxy '"7-2-x"' "$(proxy x http://127.0.0.1:80)"
says "protocol error: invalid argument type [1] expecting zos.GatewayNameProxy got" zbus call SetNamedProxy '"7-2-x"' 1
says "protocol error: not a function" zbus call ListProxies
eq "$(zbus call Metrics | json 'd["Request"]["7-1-site"] > 0 and d["Response"]["7-1-site"] > 0')" true

say "a call that waits for a DNS that never answers: the status object answers meanwhile, deadlines are kept"
PYTHONPATH=$E2E_DIR/peers "$PYTHON" - "$SOCKET" "tunnel:$CONNECTOR_PUB/web" <<'PY'
import sys, time, msgpack, redis, zbus
bus = redis.Redis(unix_socket_path=sys.argv[1])
proxy = {"TLSPassthrough": False, "Backends": [sys.argv[2]], "Network": None, "FQDN": "www.example.org"}
start = time.time()
slow = zbus.push(bus, "gateway.manager@0.0.1", "SetFQDNProxy", ["7-3-f", proxy], 3000)
worker = {"State": "free"}
while worker["State"] != "busy" and time.time() < start + 2.5:
    worker = zbus.call(bus, "gateway.zbus@1.0", "", [])["Workers"][0]
assert worker["Action"] == "[manager@0.0.1].SetFQDNProxy()", worker
zbus.push(bus, "gateway.manager@0.0.1", "DeleteNamedProxy", ["7-1-site"], 100)  # waits in the queue longer than that
answer = msgpack.unpackb(bus.blpop(slow, 8)[1])
assert answer["Output"]["Error"]["Message"] == "timed out" and answer["Error"] is None, answer
assert 2.9 < time.time() - start, "answered before its deadline"
PY
zbus call Metrics >/dev/null # behind the delete in the queue: that was taken, late, and not run
serves gw1 site.gw1.localhost || fail "a request whose deadline had passed was run"

say "what was set outlives the process, but not the node's boot"
again() { # again: ends the gateway and starts it anew
    kill "$GATEWAY"
    wait_gone "$GATEWAY" 20 || fail "the gateway stays"
    background gateway "${EXEC[@]}"
    GATEWAY=$LAST
    wait_for 10 zbus status
}
again
wait_for 15 serves gw1 site.gw1.localhost
grep '"7-3-f"' "$TMP/gw1/root/exposures.state" | tail -n 1 | grep -v '"removed"' && # the last word on it
    fail "a call that was never answered with success left something"
kill -STOP "$GATEWAY" # so that nothing is written behind the edit
"$PYTHON" - "$TMP/gw1/root/exposures.state" <<'PY'
import hashlib, json, sys
lines = open(sys.argv[1]).read().split("\n")
head = json.loads(lines[0].split(" ", 1)[1])
head["boot"] = "00000000-0000-4000-8000-000000000000"
text = json.dumps(head, separators=(",", ":"))
lines[0] = hashlib.blake2b(text.encode(), digest_size=16).hexdigest() + " " + text
open(sys.argv[1], "w").write("\n".join(lines))
PY
kill -KILL "$GATEWAY"
wait_gone "$GATEWAY" 5
background gateway "${EXEC[@]}"
GATEWAY=$LAST
wait_for 10 zbus status
wait_for 5 refuses_with 404 gw1 site.gw1.localhost
kill "$GATEWAY" "${CONNECTOR[c]}"
wait_gone "$GATEWAY" 20 || fail "the gateway stays"

say "provision.provision: not without [zbus] serve = yes"
sed -i 's/^authority = .*/&\nzos-signatures = yes\nname-quarantine = 0s/' "$TMP/gw1/agent.conf"
agent() { # agent: the agent with the flags of Zero-OS's daemons
    background agent netwall-agent --config "$TMP/gw1/agent.conf" --broker "unix://agent:change-me-agent@$SOCKET" --root "$TMP/gw1/agent" --workers 2
    AGENT[gw1]=$LAST
    wait_for 20 gateway_reported gw1
}
agent
zbus --wait 0 --object provision.provision@0.0.1 call List 7 >/dev/null
zbus --wait 0 call Metrics >/dev/null
admit gw1
eq "$(bus gw1 LLEN provision.provision@0.0.1)" 1 "an agent that was not told to answers zbus"
eq "$(bus gw1 LLEN gateway.manager@0.0.1)" 1 "a gateway under an agent that was not told to answers zbus"
bus gw1 DEL provision.provision@0.0.1 gateway.manager@0.0.1 >/dev/null
kill "${AGENT[gw1]}"
wait_gone "${AGENT[gw1]}" 20 || fail "the agent stays"
[ -e "$TMP/gw1/agent/agent.db" ] || fail "--root is not where the agent keeps its state"
printf '[zbus]\nserve = yes\n' >>"$TMP/gw1/agent.conf"
agent
eq "$(zbus --object provision.provision@0.0.1 status | json 'len(d["Workers"])')" 2 "workers"
wait_for 5 zbus status # of the gateway, too

say "a contract signed as Zero-OS signs, over zbus: verified, stored before the answer, served"
DATA='{"name":"blog","tls_passthrough":false,"backends":["tunnel:'$CONNECTOR_PUB'/web"]}'
says "error: bad_signature: " provision create "$TMP/twin.key" 7 1001 0 blog "$DATA" forge
says "error: bad_signature: " provision create "$TMP/authority.key" 7 1001 0 blog "$DATA"
says "error: unknown_twin: " provision create "$TMP/twin.key" 9 1001 0 blog "$DATA"
says "error: deployment not found" provision get 7 1001
eq "$(provision create "$TMP/twin.key" 7 1001 0 blog "$DATA")" null
kill -KILL "${AGENT[gw1]}" # at once after the answer
wait_gone "${AGENT[gw1]}" 5
agent
state_is() { [ "$(provision get 7 1001 | json 'd["Workloads"][0]["Result"]["State"]')" = "$1" ]; }
wait_for 10 state_is ok
PUB[gw1]=$(nw gw1 --json node | json 'd["tunnel"]["public_key"]')
connector_start c2 "web=127.0.0.1:$WEB"
wait_for 10 serves gw1 blog.gw1.localhost
eq "$(provision get 7 1001 | json 'd["Workloads"][0]["Result"]["Data"]["fqdn"]')" blog.gw1.localhost
eq "$(provision create "$TMP/twin.key" 7 1001 0 blog "$DATA")" null "the same contract again"
says "error: version_gap: " provision update "$TMP/twin.key" 7 1001 2 blog "$DATA"
eq "$(provision update "$TMP/twin.key" 7 1001 1 blog "${DATA/blog/news}")" null
wait_for 5 serves gw1 news.gw1.localhost
eq "$(provision list 7 | json '[x["ContractID"] for x in d]')" '[1001]'
eq "$(provision status 7-1001-blog)" '["ok", true]'
eq "$(provision status 7-1001-none)" '["", false]'

say "decommissioned: out of service, and said why"
eq "$(provision decommission 7-1001-blog "twin id mismatch")" null
wait_for 5 refuses_with 404 gw1 news.gw1.localhost
eq "$(provision status 7-1001-blog)" '["deleted", true]'
eq "$(provision list 7)" '[]'
eq "$(provision changes 7 1001 | json 'd[-1]["Result"]["Error"]')" "workload decommissioned by system, reason: twin id mismatch"
eq "$(provision update "$TMP/twin.key" 7 1001 2 blog "$DATA")" null
wait_for 5 serves gw1 blog.gw1.localhost
