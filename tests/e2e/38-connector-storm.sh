#!/usr/bin/env bash
# 2 000 connectors come back to a gateway that was killed: all of them within 10 s, while the visitors of another one hardly
# notice once it is back itself. The herd is one process with the connector's own code, behind one address as behind a NAT;
# STORM_SOURCES=N gives it N addresses, STORM_COUNT and STORM_LINKS change its size. The figures are printed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/machine.sh"

TOOLS=${NW_BINARY_DIR:-$E2E_DIR/../../build}/tests
COUNT=${STORM_COUNT:-2000} SOURCES=${STORM_SOURCES:-1} LINKS=${STORM_LINKS:-1}
RATE=100         # requests per second of the other visitors
BACK_MS=10000    # from the gateway's first answer to the last connector
ROUNDS_MAX=3     # what else runs on the machine only ever adds: one good round is proof
PER_CONTRACT=640 # keys, so that a contract stays below its 64 KiB
[ -z "${NW_SANITIZED:-}" ] || COUNT=$((COUNT / 4))

herd_workloads() { # herd_workloads FIRST: exposures of the keys from FIRST on, 16 each
    "$PYTHON" - "$TMP/herd.keys" "$1" "$PER_CONTRACT" <<'PY'
import json, sys
first, count = int(sys.argv[2]), int(sys.argv[3])
keys = open(sys.argv[1]).read().split()[first:first + count]
print(json.dumps([{"name": f"herd{first + i}", "type": "gateway-name-proxy",
    "data": {"name": f"herd{first + i}", "backends": [f"tunnel:{key}/web" for key in keys[i:i + 16]]}}
    for i in range(0, len(keys), 16)]))
PY
}

all_times() { # all_times N: all connectors of the herd were up N times
    [ "$(grep -c '"all"' "$TMP/herd")" -ge "$1" ]
}

gateway_rss() {
    awk '/^VmRSS/ {print $2}' "/proc/$(gateway_pid gw1)/status"
}

keys
gateway_start gw1
netwall grant --authority "$TMP/authority.key" --twin "$TWIN" --public-key "$TWIN_PUB" --exposures 2000 >"$TMP/grant.json"
nw gw1 admit "$TMP/grant.json" >/dev/null
"$TOOLS/connectors" --seed "$TMP" --count "$COUNT" --print-keys >"$TMP/herd.keys"
for ((first = 0; first < COUNT; first += PER_CONTRACT)); do
    deploy gw1 $((7000 + first)) 0 "$(herd_workloads "$first")" >/dev/null
done
deploy gw1 6999 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null

: >"$TMP/visits"
"$TOOLS/visitors" "${HTTP[gw1]}" site.gw1.localhost "$RATE" >"$TMP/visits" 2>"$TMP/visitors.log" &
VISITORS=$!
PIDS+=("$VISITORS")
wait_for 5 test -s "$TMP/visits"
connector_start c "web=127.0.0.1:$(head -n 1 "$TMP/visits")"
wait_for 15 serves gw1 site.gw1.localhost

EMPTY_KB=$(gateway_rss)
: >"$TMP/herd"
# In the world they have machines of their own.
nice -n 10 "$TOOLS/connectors" --seed "$TMP" --count "$COUNT" --gateway "127.0.0.1:${TUNNEL[gw1]}#${PUB[gw1]}" \
    --sources "$SOURCES" --links "$LINKS" >"$TMP/herd" 2>"$TMP/herd.log" &
PIDS+=($!)
wait_for 30 all_times 1
say "$COUNT connectors from $SOURCES address(es) with $LINKS link(s) each are up:" \
    "$((($(gateway_rss) - EMPTY_KB) * 10 / COUNT))/10 KiB of gateway memory each"

# round N: the figures of one restart into $TMP/round; the calm before it is what the storm is compared with.
round() {
    local idle killed
    idle=$(now_ms)
    sleep 10.5 # sessions that lived 10 s: the herd's backoff begins anew
    machine_mark
    killed=$(now_ms)
    kill -KILL "$(gateway_pid gw1)"
    wait_for 40 all_times $(($1 + 1))
    ELSEWHERE=$(machine_elsewhere)
    sleep 0.1 # visitors who began before that have their answer
    "$PYTHON" "$E2E_DIR/peers/comeback.py" "$TMP/visits" "$TMP/herd" "$idle" "$killed" >"$TMP/round"
    say "$(cat "$TMP/round"), $ELSEWHERE % of the machine went elsewhere"
}

holds() { # holds EXPRESSION: over the figures of the round
    [ "$(json "$1" <"$TMP/round")" = true ]
}

BACK='' CALM='' BUSY=''
for ((n = 1; n <= ROUNDS_MAX && ! ${CALM:-0}; n++)); do
    round "$n"
    holds "d['idle']['failed'] + d['storm']['failed'] == 0" || fail "requests failed"
    ! holds "d['all_back_ms'] <= $BACK_MS" || BACK=1
    ! holds "d['storm']['n'] >= 20 and d['storm']['p99'] <= 3 * d['idle']['p99']" || CALM=$BACK
    [ "$ELSEWHERE" -le "$CALM_PERCENT" ] || BUSY=1
done
[ "$BACK" ] || fail "not all back within $BACK_MS ms"
if [ -z "$CALM" ]; then
    [ "${NW_SANITIZED:-}$BUSY" ] || fail "the visitors' p99 was more than 3 times the usual in each of $ROUNDS_MAX storms"
    say "latencies are not judged: sanitized programs, or a machine busy with something else"
fi
