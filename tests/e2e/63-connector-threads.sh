#!/usr/bin/env bash
# [connector] threads = 2: two instances of the key in one process. Both carry visitors, both are behind the wall, both take a
# new config under load, and SIGTERM lets the visitors of both finish.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
web_start a
A=$WEB
web_start b
read -r TRICKLE < <(ports 1)
background trickle "$PYTHON" "$E2E_DIR/peers/trickle.py" "$TRICKLE"

config() { # config THREADS TARGET
    cat >"$TMP/connector.conf" <<EOF
[connector]
key = $TMP/connector.key
twin = $TWIN
threads = $1
drain-timeout = 2s
[gateway gw1]
address = 127.0.0.1:${TUNNEL[gw1]}
public-key = ${PUB[gw1]}
[service web]
target = 127.0.0.1:$2
[service trickle]
target = 127.0.0.1:$TRICKLE
EOF
}

instances() { # of the key, as the gateway knows them
    bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json 'len({s["instance"] for s in d})'
}

instances_are() { # instances_are N: they are alive, and the workload can be served by so many
    [ "$(instances)" = "$1" ] && [ "$(bus gw1 HGET netwall:workloads 7-6301-site | json 'd["online"]')" = "$1" ]
}

ran_ns() { # ran_ns COMM: how long that thread of the connector had the processor
    local task
    for task in "/proc/$PID/task"/*; do
        [ "$(cat "$task/comm")" = "$1" ] && cut -d' ' -f1 "$task/schedstat" && return
    done
    fail "no thread $1"
}

both_carry() { # a visitor each at least
    [ "$(bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json 'len([s for s in d if s["streams"] > 0])')" = 2 ]
}

config 2 "$A"
background connector netwall-connector --config "$TMP/connector.conf"
PID=$LAST
deploy gw1 6301 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw1 6302 0 "$(name_workload stream "tunnel:$CONNECTOR_PUB/trickle")" >/dev/null
wait_for 15 instances_are 2

say "both threads carry visitors"
FIRST=$(ran_ns netwall-connect)
SECOND=$(ran_ns connector/1)
seq 400 | xargs -P 8 -I{} curl -s --max-time 10 -H 'Host: site.gw1.localhost' "http://127.0.0.1:${HTTP[gw1]}/" >"$TMP/answers"
eq "$(grep -c 'hello from a' "$TMP/answers")" 400 "answers"
FIRST=$(($(ran_ns netwall-connect) - FIRST))
SECOND=$(($(ran_ns connector/1) - SECOND))
say "they ran for $((FIRST / 1000)) and $((SECOND / 1000)) us"
[ "$FIRST" -gt $((SECOND / 4)) ] && [ "$SECOND" -gt $((FIRST / 4)) ] || fail "one did the work of both"

say "both are behind the wall"
for task in "/proc/$PID/task"/*; do
    eq "$(sed -n 's/^Seccomp:[[:space:]]*//p' "$task/status")" 2 "Seccomp of $(cat "$task/comm")"
done

say "SIGHUP: both have the other service; the number of threads stays"
config 1 "$WEB"
kill -HUP "$PID"
wait_for 10 grep -q 'a change of this needs a restart' "$TMP/connector.log"
answers_b() { # eight in a row
    local i
    for i in 1 2 3 4 5 6 7 8; do
        get gw1 site.gw1.localhost / --max-time 10 -H 'Connection: close' | grep -q 'hello from b' || return 1
    done
}
wait_for 10 answers_b
instances_are 2 || fail "instances: $(instances)"

say "SIGTERM: visitors of both may go on for two seconds, then the process ends in order"
VISITORS=()
for i in 1 2 3 4 5 6; do
    get gw1 stream.gw1.localhost /stream -N --max-time 30 >"$TMP/visitor-$i" 2>/dev/null &
    VISITORS+=($!)
    PIDS+=($!)
    wait_for 10 grep -q tick "$TMP/visitor-$i"
done
wait_for 15 both_carry
START=$(now_ms)
kill -TERM "$PID"
for i in 1 2 3 4 5 6; do
    SEEN=$(wc -l <"$TMP/visitor-$i")
    more() { [ "$(wc -l <"$TMP/visitor-$i")" -gt "$SEEN" ]; }
    wait_for 2 more
done
rc=0
wait "$PID" || rc=$?
eq "$rc" 0 "the connector's status"
TOOK=$(($(now_ms) - START))
[ "$TOOK" -ge 1900 ] && [ "$TOOK" -lt 8000 ] || fail "ended after $TOOK ms"
for visitor in "${VISITORS[@]}"; do
    rc=0
    wait "$visitor" || rc=$?
    [ "$rc" != 0 ] && [ "$rc" != 28 ] || fail "a visitor ended with $rc"
done
none() { [ "$(bus gw1 HGET netwall:workloads 7-6301-site | json 'd["online"]')" = 0 ]; }
wait_for 10 none
