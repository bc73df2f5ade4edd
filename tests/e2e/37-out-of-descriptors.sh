#!/usr/bin/env bash
# No descriptor left: the gateway stops accepting and goes on serving who is there, the connector refuses visitors and goes on
# trying; neither spins or exits, and both are as before when there are descriptors again.
. "$(dirname "$0")/lib.sh"

PEERS=${NW_BINARY_DIR:-$E2E_DIR/../../build}/tests/peers
LIMIT_MS=300 # of CPU in two seconds
[ -z "${NW_SANITIZED:-}" ] || LIMIT_MS=900

keys
gateway_start gw1
admit gw1
background service "$PEERS/visit" serve
wait_for 10 test -s "$TMP/service.log"
WEB=$(<"$TMP/service.log")
PORT=${TCP_FROM[gw1]}
deploy gw1 8701 0 "$(name_workload live "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw1 8702 0 "$(tcp_workload port "$PORT" "tunnel:$CONNECTOR_PUB/web")" >/dev/null
connector_start live "web=127.0.0.1:$WEB"
served() { [ "$(get gw1 live.gw1.localhost /)" = hello ]; }
wait_for 15 served
GW=$(gateway_pid gw1)

files_at_most() { # files_at_most PID N: more it cannot have from now on
    prlimit --pid "$1" --nofile="$2:"
}

cpu_ms() { # cpu_ms PID
    awk -v tick="$(getconf CLK_TCK)" '{print int(($14 + $15) * 1000 / tick)}' "/proc/$1/stat"
}

# calm PID NAME: it is there and does not spin.
calm() {
    local before
    before=$(cpu_ms "$1")
    sleep 2 # a span of time to measure, not a wait for something
    kill -0 "$1" || fail "$2 is gone"
    say "$2: $(($(cpu_ms "$1") - before)) ms of CPU in 2 s"
    [ $(($(cpu_ms "$1") - before)) -le "$LIMIT_MS" ] || fail "$2 spins"
}

# hold COUNT PORT...: so many connections to each, which say nothing; ended by closing its input.
hold() {
    coproc HOLD { exec "$PYTHON" -c '
import socket, sys
held = []
for port in sys.argv[2:]:
    for _ in range(int(sys.argv[1])):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", int(port)))
        held.append(s)
print("held", flush=True)
sys.stdin.read()' "$@"; }
    PIDS+=("$HOLD_PID")
    read -r -u "${HOLD[0]}"
}

let_go() {
    local pid=$HOLD_PID
    kill "$pid"
    wait "$pid" 2>/dev/null || true
}

say "the gateway, with a stream under way"
exec 7<>"/dev/tcp/127.0.0.1/$PORT"
at_service() { grep -qi "^ *[0-9]*: [0-9A-F:]* 0100007F:$(printf %04X "$WEB") 01 " /proc/net/tcp; } # established
wait_for 10 at_service
files_at_most "$GW" 3
hold 50 "${HTTP[gw1]}" "${TLS[gw1]}" "${TUNNEL[gw1]}" "$PORT"
paused() { [ "$(grep -c 'out of file descriptors' "$TMP/agent-gw1.log")" -ge 3 ]; }
wait_for 10 paused
calm "$GW" "the gateway without descriptors"
printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&7
eq "$(tail -c 5 <&7)" hello "the stream that was there"
exec 7<&-
let_go
files_at_most "$GW" 20000
wait_for 10 served
eq "$(gateway_pid gw1)" "$GW" "the same process"
grep -q 'accepting again' "$TMP/agent-gw1.log" || fail "the log does not say that it accepts again"
grep -q 'tunnel down' "$TMP/agent-gw1.log" && fail "the tunnel was lost meanwhile"

say "the gateway, few descriptors and a flood on the tunnel port"
files_at_most "$GW" 100
"$PEERS/storm" half 127.0.0.1 "${TUNNEL[gw1]}" "${PUB[gw1]}" 127.30.0.1 2000 1000 1000 3 >"$TMP/storm.json" &
PIDS+=($!)
calm "$GW" "the gateway under a flood"
wait_for 10 served
wait "${PIDS[-1]}"
files_at_most "$GW" 20000
wait_for 10 served

say "the connector, with no descriptor for visitors"
C=${CONNECTOR[live]}
files_at_most "$C" 3
eq "$(status gw1 live.gw1.localhost)" 502
hold 50 "$PORT"
calm "$C" "the connector without descriptors"
let_go
say "and none for a tunnel"
kill -KILL "$GW"
lost() { grep -qE 'event="no (tunnel|link)".*Too many open files' "$TMP/connector-live.log"; }
wait_for 20 lost
calm "$C" "the connector without a tunnel"
files_at_most "$C" 1000
wait_for 30 served
kill -0 "$C" || fail "the connector is gone"
