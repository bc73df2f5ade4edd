#!/usr/bin/env bash
# Nobody waits for others: visitors and services that stop reading, and bulk both ways, on one connector session, beside 100
# visitors and a ping-pong. Rounds alone and beside alternate, and the best p99 of each kind are compared: who waits for others
# does so in every round, while what else runs here, or on the host, only adds to some. Memory stays under the caps.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/machine.sh"

renice -n -15 -p $$ >/dev/null 2>&1 || true # where it is allowed, what else runs here is not measured
LOAD=$BIN/../tests/peers/load
SESSION_KIB=16384  # session-window of the gateway: what may wait unread, and what may be sent and not acknowledged
QUEUES_KIB=32768   # what one session's writers may queue
ROUNDS=3           # of each kind; more, up to ROUNDS_MAX, while a busy machine blurs them
ROUNDS_MAX=6

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
kib() { awk -v key="$2:" '$1 == key {print $2}' "/proc/$1/status"; } # kib PID VmRSS|VmHWM

# nice_load ARGS...: a load that takes the machine's time shall not take that of those who are measured
nice_load() { exec nice -n 15 "$LOAD" "$@"; }

visit() { "$LOAD" visit "${HTTP[gw1]}" "$HOST" /page 100 100 500; }
ping() { "$LOAD" ping "$TCP" x 5 600; }

declare -A KINDS

# round KIND MEASURE: one p99 in microseconds to $TMP/KIND.calm, or .busy; nobody may fail
round() {
    local count failed p99
    machine_mark
    read -r count failed _ p99 _ < <("$2")
    [ "$count" -gt 0 ] && [ "$failed" = 0 ] || fail "$1: $failed of $count visitors failed"
    KINDS[$1]=1
    if [ "$(machine_elsewhere)" -le "$CALM_PERCENT" ]; then
        echo "$p99" >>"$TMP/$1.calm"
    else
        echo "$p99" >>"$TMP/$1.busy"
    fi
}
# figures KIND: of the rounds that had the machine for themselves, if there were any
figures() { cat "$TMP/$1.calm" 2>/dev/null || cat "$TMP/$1.busy"; }
best() { figures "$1" | sort -n | head -n 1; }
# judged: there are such rounds of every kind, and those alone are alike; a host may slow us down without a word
judged() {
    local kind worst
    worst=$(sort -n "$TMP/alone.calm" 2>/dev/null | tail -n 1)
    [ "${worst:-0}" -le $((2 * $(best alone))) ] || return 1
    for kind in "${!KINDS[@]}"; do
        [ "$(cat "$TMP/$kind.calm" 2>/dev/null | wc -l)" -ge "$ROUNDS" ] || return 1
    done
}

# hold KIND PATH COUNT COMMAND...: COMMAND beside COUNT visitors that stop; notes the memory while they do
hold() {
    local kind=$1 path=$2 count=$3
    shift 3
    : >"$TMP/hold.log"
    background hold nice_load hold "${HTTP[gw1]}" "$HOST" "$path" "$count"
    wait_for 10 grep -q stopped "$TMP/hold.log"
    "$@"
    echo "$(kib "$GW" VmRSS) $(kib "$CON" VmRSS)" >>"$TMP/$kind.rss"
    kill -0 "$LAST" || fail "$kind: a stopped visitor was cut"
    kill "$LAST" && wait_gone "$LAST" 5
}

# flow PATH COMMAND...: COMMAND beside four bulk streams
flow() {
    local path=$1
    shift
    : >"$TMP/flow.log"
    background flow nice_load flow "${HTTP[gw1]}" "$HOST" "$path" 4 0
    wait_for 10 grep -q flowing "$TMP/flow.log"
    sleep 0.2
    "$@"
    kill "$LAST" && wait_gone "$LAST" 5
    sed -n 's| kB/s||p' "$TMP/flow.log" >>"$TMP/flow${path//\//-}.rate"
}

twice() { [ "$(best "$1")" -le $((2 * $(best alone))) ]; }
soon() { [ "$(best "$1")" -le $(($(best idle) + $2)) ]; }
all_within() {
    twice one-download && twice downloads && twice uploads && soon beside-download 5000 && soon beside-upload 5000
}

keys
gateway_start gw1
admit gw1
background service "$LOAD" serve
background echo "$LOAD" serve
wait_for 5 test -s "$TMP/service.log"
wait_for 5 test -s "$TMP/echo.log"
TCP=${TCP_FROM[gw1]}
HOST=load.gw1.localhost
deploy gw1 4201 0 "[$(name_workload load "tunnel:$CONNECTOR_PUB/load" | tr -d '\n' | sed 's/^\[//; s/\]$//'),$(
    tcp_workload port "$TCP" "tunnel:$CONNECTOR_PUB/echo" | sed 's/^\[//; s/\]$//')]" >/dev/null
connector_start c "load=127.0.0.1:$(cat "$TMP/service.log")" "echo=127.0.0.1:$(cat "$TMP/echo.log")"
GW=$(gateway_pid gw1) CON=${CONNECTOR[c]}
wait_for 10 online gw1 7-4201-port
wait_for 10 get gw1 "$HOST" /page -o /dev/null -f
visit >/dev/null # warm
BASE_GW=$(kib "$GW" VmRSS) BASE_CON=$(kib "$CON" VmRSS)

for ((i = 1; i <= ROUNDS_MAX; i++)); do
    round idle ping
    round alone visit
    hold one-download /bulk 1 round one-download visit
    hold downloads /bulk 100 round downloads visit
    flow /bulk round beside-download ping
    flow /sink round beside-upload ping
    hold uploads /never 100 round uploads visit
    [ "$i" -lt "$ROUNDS" ] || ! all_within || break
done

say "100 visitors alone: p99 $(best alone) us; beside 1 stopped download $(best one-download), 100 of them $(best downloads)," \
    "100 stopped uploads $(best uploads)"
say "ping-pong idle: p99 $(best idle) us; beside four downloads $(best beside-download) ($(median <"$TMP/flow-bulk.rate") kB/s)," \
    "four uploads $(best beside-upload) ($(median <"$TMP/flow-sink.rate") kB/s)"
if ! all_within; then
    for kind in "${!KINDS[@]}"; do
        say "$kind: $(cat "$TMP/$kind.calm" 2>/dev/null | tr '\n' ' ')busy: $(cat "$TMP/$kind.busy" 2>/dev/null | tr '\n' ' ')"
    done
    ! judged || [ "${NW_SANITIZED:-}" ] || fail "more than 2x, or more than 5 ms, in $((i - 1)) rounds"
    soon beside-download 50000 && soon beside-upload 50000 || fail "the ping-pong waits behind bulk"
    say "latencies are not judged: sanitized programs, or a machine busy with something else"
fi

CAP_KIB=$((SESSION_KIB + QUEUES_KIB))
for kind in one-download downloads uploads; do
    while read -r gw con; do
        [ "${NW_SANITIZED:-}" ] || { [ $((gw - BASE_GW)) -le "$CAP_KIB" ] && [ $((con - BASE_CON)) -le "$CAP_KIB" ]; } ||
            fail "$kind: gateway $BASE_GW -> $gw KiB, connector $BASE_CON -> $con KiB"
    done <"$TMP/$kind.rss"
done
say "memory in KiB: gateway $BASE_GW, at most $(kib "$GW" VmHWM); connector $BASE_CON, at most $(kib "$CON" VmHWM)"
[ "${NW_SANITIZED:-}" ] || [ "$(kib "$GW" VmHWM)" -le $((BASE_GW + CAP_KIB)) ] || fail "the gateway went over the caps"
[ "${NW_SANITIZED:-}" ] || [ "$(kib "$CON" VmHWM)" -le $((BASE_CON + CAP_KIB)) ] || fail "the connector went over the caps"
