#!/usr/bin/env bash
# [gateway] threads = 2: two connectors are with a thread each, and visitors that keep their connection ask for the one's site and
# the other's in turn. A reload and an upgrade under that load: each answer is the right one, and none is missing.
. "$(dirname "$0")/lib.sh"

# visit: 4 visitors in $TMP/visits.log, until SIGTERM; "served N" now and then, at the end {"served", "failed", "connections"}.
visit() {
    cat >"$TMP/visits.py" <<'PY'
import http.client, json, signal, sys, threading, time

port, over = int(sys.argv[1]), threading.Event()
signal.signal(signal.SIGTERM, lambda *_: over.set())
lock, sums = threading.Lock(), {"served": 0, "failed": [], "connections": 0}

class Visitor(http.client.HTTPConnection):
    def connect(self):
        super().connect()
        with lock:
            sums["connections"] += 1

def ask(visitor, name):
    visitor.request("GET", "/", headers={"Host": name + ".gw1.localhost"})
    answer = visitor.getresponse()
    body = answer.read().decode().strip()
    return None if body == "hello from " + name else f"{name}: {answer.status} {body[:40]}"

def stay(first):
    visitor, turn = Visitor("127.0.0.1", port, timeout=20), first
    while not over.is_set():
        try:
            wrong = ask(visitor, "ab"[turn % 2])
        except (OSError, http.client.HTTPException) as error:
            wrong = repr(error)
            visitor.close()
        with lock:
            sums["served"] += wrong is None
            if wrong is not None:
                sums["failed"].append(wrong)
            if sums["served"] % 50 == 0:
                print("served", sums["served"], flush=True)
        turn += 1
        time.sleep(0.01)

visitors = [threading.Thread(target=stay, args=(n,)) for n in range(4)]
for v in visitors:
    v.start()
for v in visitors:
    while v.is_alive():
        v.join(0.1)
print(json.dumps(sums), flush=True)
PY
    background visits "$PYTHON" "$TMP/visits.py" "${HTTP[gw1]}"
    LOAD=$LAST
}

so_far() { sed -n 's/^served //p' "$TMP/visits.log" | tail -n 1; }

has_served() { # has_served N: so many requests
    [ "$(so_far)" -ge "$1" ]
}

serve_on() { # nothing stopped: 200 requests more
    wait_for 15 has_served $(($(so_far) + 200))
}

works() { # works PID: its second thread had the processor for 5 ms
    local task
    for task in "/proc/$1/task"/*; do
        [ "$(cat "$task/comm")" = gateway/1 ] && [ "$(cut -d' ' -f1 "$task/schedstat")" -gt 5000000 ] && return
    done
    return 1
}

replaced() { # replaced PID: the agent knows another, living process
    local pid
    pid=$(gateway_pid gw1)
    [ "$pid" != "$1" ] && [ "$pid" != 0 ] && kill -0 "$pid"
}

export NW_THREADS=2
keys
OTHER_PUB=$(key_make other x25519)
gateway_start gw1
admit gw1
deploy gw1 9201 0 "$(name_workload a "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw1 9202 0 "$(name_workload b "tunnel:$OTHER_PUB/web")" >/dev/null
web_start a
connector_start a "web=127.0.0.1:$WEB"
web_start b
KEY=$TMP/other.key connector_start b "web=127.0.0.1:$WEB"
wait_for 15 serves gw1 a.gw1.localhost
wait_for 15 serves gw1 b.gw1.localhost

say "two threads serve"
FIRST=$(gateway_pid gw1)
visit
wait_for 15 has_served 200
wait_for 15 works "$FIRST"

say "SIGHUP: both write an access log from now on"
printf '[http]\naccess-log = %s\n' "$TMP/access" >>"$TMP/gw1/gateway.conf"
kill -HUP "$FIRST"
wait_for 10 grep -q 'host=a.gw1.localhost' "$TMP/access"
wait_for 10 grep -q 'host=b.gw1.localhost' "$TMP/access"
serve_on

say "SIGUSR2: another process, with two threads again"
kill -USR2 "$FIRST"
wait_for 20 replaced "$FIRST"
wait_gone "$FIRST" 15 || fail "the first process stays"
serve_on
wait_for 15 works "$(gateway_pid gw1)"

kill -TERM "$LOAD"
wait "$LOAD" || fail "the visitors ended badly"
tail -n 1 "$TMP/visits.log" >"$TMP/visits.json"
say "$(cut -c1-300 "$TMP/visits.json")"
eq "$(json 'd["failed"]' <"$TMP/visits.json")" "[]" "requests that failed"
# A visitor keeps its connection when it changes its host; the old process ends it with an answer.
json 'd["connections"] <= 8' <"$TMP/visits.json" | grep -qx true || fail "visitors had to connect anew"
