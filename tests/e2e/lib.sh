# shellcheck shell=bash disable=SC2034
# Shared by the end-to-end tests: starts real gateways (agent, embedded redis, gateway), connectors and services in a
# folder of its own, waits for conditions with a bound, and ends exactly what it started.
set -euo pipefail

E2E_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=${NW_BINARY_DIR:-$E2E_DIR/../../build}/bin
PATH=$BIN:$PATH
PYTHON=/usr/bin/python3
TMP=$(mktemp -d "${TMPDIR:-/tmp}/nw-e2e.XXXXXX")
TWIN=7
PIDS=()
declare -A HTTP TLS TUNNEL TCP_FROM TCP_TO BUS PUB AGENT CONNECTOR
export PYTHONDONTWRITEBYTECODE=1

# Exit status that ctest counts as "skipped".
SKIP=77

say() {
    printf '%s\n' "-- $*"
}

fail() {
    printf 'FAIL: %s\n' "$*" >&2
    exit 1
}

cleanup() {
    local status=$? pid
    trap - EXIT INT TERM
    for pid in "${PIDS[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${PIDS[@]}"; do
        wait_gone "$pid" 10 || kill -KILL "$pid" 2>/dev/null || true
    done
    sweep
    if [ "$status" -ne 0 ] && [ "$status" -ne "$SKIP" ]; then
        for f in "$TMP"/*.log; do
            [ -e "$f" ] && printf '\n== %s\n' "${f##*/}" && tail -n 40 "$f"
        done >&2
    fi
    if [ -n "${E2E_KEEP:-}" ]; then
        echo "kept $TMP" >&2
    else
        rm -rf "$TMP"
    fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# A killed agent leaves its modules running on purpose; end those whose command line names our folder.
sweep() {
    local pid
    for pid in $(pgrep -f -- "$TMP/" || true); do
        [ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null || true
    done
}

PROCESSORS=$(nproc)

# fair_share MICROSECONDS: sets FAIR to what they are worth to one of many that want a processor; at most 2 s
fair_share() {
    local load
    read -r load _ </proc/loadavg
    load=${load/./} # in hundredths
    FAIR=$(($1 < 2000000 ? $1 : 2000000))
    [ "$((10#$load))" -le $((PROCESSORS * 100)) ] || FAIR=$((FAIR * PROCESSORS * 100 / 10#$load))
}

# wait_for SECONDS COMMAND...: until COMMAND succeeds; fails the test when it does not in time. The seconds are those of a machine
# that has a processor for everybody: with more to do they are longer, and while nothing runs at all they do not pass.
wait_for() {
    local limit=$1 left=$(($1 * 1000000)) began=${EPOCHREALTIME/[.,]/} now
    shift
    until "$@" >/dev/null 2>&1; do
        now=${EPOCHREALTIME/[.,]/}
        fair_share $((now - began))
        left=$((left - FAIR))
        began=$now
        [ "$left" -gt 0 ] || fail "not within ${limit}s: $*"
        sleep 0.05
    done
}

wait_gone() {
    local pid=$1 turns=$(($2 * 20))
    while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; do
        turns=$((turns - 1))
        [ "$turns" -gt 0 ] || return 1
        sleep 0.05
    done
}

# now_ms: for bounds that a test measures itself.
now_ms() {
    echo $(($(date +%s%N) / 1000000))
}

eq() {
    [ "$1" = "$2" ] || fail "${3:-values differ}: got '$1', want '$2'"
}

# json EXPRESSION < document: prints the value of a Python expression over `d`.
json() {
    "$PYTHON" -c 'import json,sys
d=json.load(sys.stdin)
v=eval(sys.argv[1])
print(v if isinstance(v,str) else json.dumps(v))' "$1"
}

# ports N: N free TCP ports on loopback.
ports() {
    "$PYTHON" - "$1" <<'PY'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(12000, 31000)))  # the system gives none of these to who asks for any
        held.append(s)
    except OSError:
        s.close()
print(*(s.getsockname()[1] for s in held))
PY
}

# port_range N: the first of N ports in a row that are free now.
port_range() {
    "$PYTHON" - "$1" <<'PY'
import random, socket, sys
n = int(sys.argv[1])
for _ in range(200):
    base = random.randrange(12000, 31000)
    held = []
    try:
        for p in range(base, base + n):
            s = socket.socket()
            held.append(s)
            s.bind(("127.0.0.1", p))
        print(base)
        break
    except OSError:
        continue
    finally:
        for s in held:
            s.close()
else:
    sys.exit("no free port range")
PY
}

background() { # background NAME COMMAND...: run with a log, remember the pid in $LAST
    local name=$1
    shift
    "$@" >>"$TMP/$name.log" 2>&1 &
    LAST=$!
    PIDS+=("$LAST")
}

# keys: authority, twin and connector keys of this test; sets AUTHORITY_PUB, TWIN_PUB, CONNECTOR_PUB.
keys() {
    AUTHORITY_PUB=$(key_make authority ed25519)
    TWIN_PUB=$(key_make twin ed25519)
    CONNECTOR_PUB=$(key_make connector x25519)
}

key_make() { # key_make NAME TYPE: prints the public key
    netwall keygen --type "$2" --out "$TMP/$1.key" >/dev/null
    netwall pubkey "$TMP/$1.key"
}

# gateway_config NAME [LINE...]: agent.conf and gateway.conf; LINEs are added to the [gateway] section.
gateway_config() {
    local name=$1 dir=$TMP/$1 http tls tunnel
    shift
    mkdir -p "$dir"
    read -r http tls tunnel < <(ports 3)
    HTTP[$name]=$http TLS[$name]=$tls TUNNEL[$name]=$tunnel
    TCP_FROM[$name]=$(port_range 8)
    TCP_TO[$name]=$((TCP_FROM[$name] + 7))
    BUS[$name]=unix://$dir/bus.sock
    cat >"$dir/agent.conf" <<EOF
[node]
name = $name
state-dir = $dir/state
[bus]
url = embedded
socket = $dir/bus.sock
[trust]
authority = $AUTHORITY_PUB
[module gateway]
exec = netwall-gateway
config = $dir/gateway.conf
EOF
    cat >"$dir/gateway.conf" <<EOF
[gateway]
state-dir = $dir/state/gateway
domain = $name.localhost
public-address = 127.0.0.1
verify-fqdn = no
direct-backends = 127.0.0.0/8
${NW_THREADS:+threads = $NW_THREADS}
$(printf '%s\n' "$@")
[listen]
http = 127.0.0.1:$http
https = 127.0.0.1:$tls
tunnel = 127.0.0.1:$tunnel
tunnel-endpoint = 127.0.0.1:$tunnel
tcp-address = 127.0.0.1
tcp-ports = ${TCP_FROM[$name]}-${TCP_TO[$name]}
EOF
}

# gateway_start NAME: starts the agent and waits until the gateway has reported; sets PUB[NAME].
gateway_start() {
    local name=$1
    [ -e "$TMP/$name/agent.conf" ] || gateway_config "$name"
    background "agent-$name" netwall-agent --config "$TMP/$name/agent.conf"
    AGENT[$name]=$LAST
    wait_for 20 gateway_reported "$name"
    PUB[$name]=$(nw "$name" --json node | json 'd["tunnel"]["public_key"]')
}

gateway_reported() {
    nw "$1" --json node | json 'd["tunnel"]["public_key"]'
}

gateway_pid() { # gateway_pid NAME: pid of the gateway process
    nw "$1" --json modules | json 'd[0]["pid"]'
}

nw() { # nw NAME ARGS...: the netwall command against the bus of gateway NAME
    local name=$1
    shift
    netwall --bus "${BUS[$name]}" "$@"
}

bus() { # bus NAME ARGS...: redis-cli on the bus of gateway NAME
    local name=$1
    shift
    redis-cli -s "${BUS[$name]#unix://}" "$@"
}

admit() { # admit NAME: admits the twin of this test
    netwall grant --authority "$TMP/authority.key" --twin "$TWIN" --public-key "$TWIN_PUB" \
        --tcp-ports 8 ${EXPOSURES:+--exposures "$EXPOSURES"} >"$TMP/grant.json"
    nw "$1" admit "$TMP/grant.json" >/dev/null
}

# connector_start NAME SERVICE...: a connector "name=target" on all gateways started so far; key $TMP/connector.key or $KEY.
connector_start() {
    local name=$1 gw service args=()
    shift
    for gw in "${!PUB[@]}"; do
        args+=(--gateway "127.0.0.1:${TUNNEL[$gw]}#${PUB[$gw]}")
    done
    for service in "$@"; do
        args+=(--service "$service")
    done
    background "connector-$name" netwall-connector --key "${KEY:-$TMP/connector.key}" "${args[@]}"
    CONNECTOR[$name]=$LAST
}

# contract ID VERSION NODES WORKLOADS-JSON: prints a contract of this test's twin, signed.
contract() {
    "$PYTHON" - "$1" "$2" "$3" "$4" "$TWIN" >"$TMP/contract-$1.json" <<'PY'
import json, sys
contract, version, nodes, workloads, twin = sys.argv[1:]
items = []
for w in json.loads(workloads):
    items.append({"version": int(version), "name": w["name"], "type": w["type"], "metadata": "",
                  "description": "", "data": w["data"]})
print(json.dumps({"version": int(version), "twin_id": int(twin), "contract_id": int(contract),
    "nodes": nodes.split(","), "metadata": "", "description": "", "expiration": 0,
    "signature_requirement": {"requests": [{"twin_id": int(twin), "required": False, "weight": 1}],
        "weight_required": 1, "signature_style": "netwall-1"},
    "workloads": items}))
PY
    netwall sign --key "${SIGN_KEY:-$TMP/twin.key}" "$TMP/contract-$1.json" 2>/dev/null
}

# deploy NAME ID VERSION WORKLOADS-JSON: signs, deploys and waits for final states; prints the deployment.
deploy() {
    contract "$2" "$3" "$1" "$4" >"$TMP/signed-$2.json"
    nw "$1" --json deploy "$TMP/signed-$2.json"
}

# name_workload NAME BACKEND [EXTRA-JSON-MEMBERS]: one gateway-name-proxy workload.
name_workload() {
    printf '[{"name":"%s","type":"gateway-name-proxy","data":{"name":"%s","backends":["%s"]%s}}]' \
        "${1//-/_}" "$1" "$2" "${3:+,$3}"
}

tcp_workload() { # tcp_workload NAME PORT BACKEND
    printf '[{"name":"%s","type":"gateway-tcp-proxy","data":{"port":%s,"backends":["%s"]}}]' "$1" "$2" "$3"
}

get() { # get GATEWAY HOST PATH [CURL-ARGS...]: by Host over plain HTTP
    local name=$1 host=$2 path=$3
    shift 3
    curl -sS --max-time 20 -H "Host: $host" "$@" "http://127.0.0.1:${HTTP[$name]}$path"
}

status() { # status GATEWAY HOST: HTTP status code
    get "$1" "$2" / -o /dev/null -w '%{http_code}' || true
}

serves() { # serves GATEWAY HOST: answers 200
    [ "$(status "$1" "$2")" = 200 ]
}

refuses_with() { # refuses_with CODE GATEWAY HOST
    [ "$(status "$2" "$3")" = "$1" ]
}

online() { # online GATEWAY WORKLOAD-ID: a connector can serve it now
    [ "$(bus "$1" HGET netwall:workloads "$2" | json 'd["online"] > 0')" = true ]
}

web_start() { # web_start NAME: Python's http.server over $TMP/NAME; sets WEB to its port
    mkdir -p "$TMP/$1"
    [ -e "$TMP/$1/index.html" ] || echo "hello from $1" >"$TMP/$1/index.html"
    read -r WEB < <(ports 1)
    background "web-$1" "$PYTHON" -m http.server --bind 127.0.0.1 --directory "$TMP/$1" "$WEB"
    wait_for 10 curl -sf "http://127.0.0.1:$WEB/"
}
