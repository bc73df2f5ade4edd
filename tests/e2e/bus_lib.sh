# shellcheck shell=bash disable=SC2034,SC2154
# Shared by the scripts about a failing bus: a redis-server of the test's own, visitors who count what fails, deployments
# during the fault with a bound on when they are served, and what the fault cost the agent and the gateway.

PHASE=0
# Within this a bus that is back is in use, beside twice what the same takes when nothing is wrong (phase_healthy); and of a core, what agent and gateway together may use while it is away.
USE_MS=2000
HEALTHY_MS=0
CPU_PERCENT=20
[ -z "${NW_SANITIZED:-}" ] || USE_MS=4000 CPU_PERCENT=60

redis_start() { # redis_start FOLDER [ARGS...]: sets REDIS; its socket is FOLDER/redis.sock
    local dir=$1
    shift
    mkdir -p "$dir"
    background "redis-${dir##*/}" redis-server --port "${REDIS_PORT:-0}" --bind 127.0.0.1 --unixsocket "$dir/redis.sock" --dir "$dir" --save '' --appendonly no \
        --daemonize no "$@"
    REDIS=$LAST
    wait_for 10 redis-cli -s "$dir/redis.sock" ping
}

# bus_start NAME [through-faults]: an external bus for gateway NAME, by URL: $TMP/bus.sock, a link to the server's socket; with
# faults between, what the test itself says goes to redis directly.
bus_start() {
    local name=$1 url
    gateway_config "$name"
    redis_start "$TMP/redis"
    ln -s "$TMP/redis/redis.sock" "$TMP/bus.sock"
    url=unix://$TMP/bus.sock
    BUS[$name]=$url
    if [ $# -gt 1 ]; then
        mkfifo "$TMP/fault"
        exec 9<>"$TMP/fault"
        background faults "$PYTHON" "$E2E_DIR/peers/bus_faults.py" "$TMP/faulty.sock" "$TMP/redis/redis.sock" "$TMP/fault"
        url=unix://$TMP/faulty.sock
        wait_for 10 test -S "$TMP/faulty.sock"
    fi
    sed -i "s|^url = embedded|url = $url|; /^socket/d" "$TMP/$name/agent.conf"
}

visitors_start() { # visitors_start GATEWAY HOST: one page every 50 ms
    cat >"$TMP/steady.py" <<'PY'
import http.client, signal, sys, time
port, host = int(sys.argv[1]), sys.argv[2]
going, done, failed = True, 0, []
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
while going:
    start = time.monotonic()
    try:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        c.request("GET", "/", headers={"Host": host})
        status = c.getresponse().status
        c.close()
        if status != 200:
            raise ValueError(status)
        done += 1
    except Exception as e:
        failed.append("%.2f %r" % (time.time() % 1000, e))
    time.sleep(max(0, 0.05 - (time.monotonic() - start)))
print("%d served, %d failed %s" % (done, len(failed), failed[:5]))
sys.exit(bool(failed) or done < 20)
PY
    background visitors "$PYTHON" "$TMP/steady.py" "${HTTP[$1]}" "$2"
    VISITORS=$LAST
}

visitors_stop() {
    kill -TERM "$VISITORS"
    wait "$VISITORS" || fail "visitors: $(cat "$TMP/visitors.log")"
    cat "$TMP/visitors.log"
}

cpu_ms() { # cpu_ms PID...: processor time so far, of all of them
    local pid sum=0 fields
    for pid in "$@"; do
        read -r -a fields < <(sed 's/.*) //' "/proc/$pid/stat")
        sum=$((sum + fields[11] + fields[12]))
    done
    echo $((sum * 1000 / $(getconf CLK_TCK)))
}

phase_begin() { # phase_begin TITLE
    PHASE=$((PHASE + 1))
    TITLE=$1
    contract $((4700 + PHASE)) 0 gw1 "$(name_workload "p$PHASE" "${BACKEND:-tunnel:$CONNECTOR_PUB/web}")" >"$TMP/phase-$PHASE.json"
    GATEWAY=${GATEWAY:-$(gateway_pid gw1)}
    PHASE_CPU=$(cpu_ms "${AGENT[gw1]}" "$GATEWAY")
    PHASE_START=$(now_ms)
}

phase_deploy() { # to the stream: what it holds is not lost by a connection that dies
    bus gw1 -x XADD stream:deployments '*' op deploy body <"$TMP/phase-$PHASE.json" >/dev/null
}

phase_served() {
    serves gw1 "p$PHASE.gw1.localhost" &&
        bus gw1 HGET netwall:workloads "7-$((4700 + PHASE))-p$PHASE" | grep -q '"state":"ok"'
}

ponged() { # a command given now is answered
    local id=ping-$PHASE-$RANDOM$RANDOM
    bus gw1 RPUSH core:default "{\"id\":\"$id\",\"command\":\"core.ping\",\"arguments\":{}}"
    bus gw1 BRPOPLPUSH "result:$id" "result:$id" 5 | grep -q PONG
}

# phase_healthy: what a deployment costs while nothing is wrong, on this machine now.
phase_healthy() {
    phase_begin "no fault"
    phase_deploy
    wait_for 10 phase_served
    wait_for 5 ponged
    HEALTHY_MS=$(($(now_ms) - PHASE_START))
    say "no fault: $HEALTHY_MS ms"
}

# in_use_since MS: the bus is well since then; fails when it was not used soon.
in_use_since() {
    local took title=$TITLE
    wait_for 10 phase_served
    wait_for 5 ponged
    took=$(($(now_ms) - $1))
    say "$title: in use after $took ms"
    [ "$took" -gt $((USE_MS + 2 * HEALTHY_MS)) ] || return 0
    phase_healthy # the machine may have become busier since
    [ "$took" -le $((USE_MS + 2 * HEALTHY_MS)) ] || fail "$title: in use only after $took ms"
}

# phase_returned: the bus is well from now on; what was deployed must be served soon.
phase_returned() {
    local now cpu took
    now=$(now_ms)
    cpu=$(($(cpu_ms "${AGENT[gw1]}" "$GATEWAY") - PHASE_CPU))
    took=$((now - PHASE_START))
    in_use_since "$now"
    say "$TITLE: ${cpu} ms of processor in $took ms"
    [ $((cpu * 100)) -le $((took * CPU_PERCENT + 5000)) ] || fail "$TITLE: agent and gateway used $cpu ms of processor in $took ms"
}

fault_phase() { # fault_phase SECONDS FAULT...: see peers/bus_faults.py
    local seconds=$1
    shift
    local fault=$*
    phase_begin "${fault:0:40}"
    echo "$fault" >&9
    phase_deploy
    sleep "$seconds" # how long the fault lasts
    echo pass >&9
    phase_returned
}

all_served() { # all_served GATEWAY: desired == applied: every contract's name is served, and its state says so
    local n
    for n in $(seq "$PHASE"); do
        serves "$1" "p$n.$1.localhost" || fail "p$n is not served: $(status "$1" "p$n.$1.localhost")"
    done
    wait_for 5 all_ok "$1"
}

all_there() { # the same by numbers, which is cheap, and node and tunnel are shown
    [ "$(bus "$1" HLEN netwall:assign:gateway)" = $((PHASE + 1)) ] &&
        [ "$(bus "$1" HVALS netwall:workloads | grep -c '"state":"ok"')" = $((PHASE + 1)) ] &&
        [ "$(bus "$1" EXISTS netwall:node netwall:assign:gateway:head netwall:tunnels)" = 3 ]
}

all_ok() { # every assignment of the bus has a workload whose state is ok, and nothing else is assigned
    bus "$1" HKEYS netwall:assign:gateway | sort >"$TMP/assigned"
    nw "$1" --json workloads | json '"\n".join(sorted(k for k in d if d[k]["state"] == "ok"))' >"$TMP/states"
    [ "$(wc -l <"$TMP/assigned")" = $((PHASE + 1)) ] && cmp -s "$TMP/assigned" "$TMP/states"
}
