#!/usr/bin/env bash
# Two connectors with one key are two instances: they share the visitors; one that is killed leaves them to the other at once,
# and with "instances": "newest" only the one that came last serves.
. "$(dirname "$0")/lib.sh"

# visit COUNT [PID]: COUNT requests, 4 at a time, into $TMP/visits as {"<body>": n}; PID is killed in the middle of them.
visit() {
    "$PYTHON" - "${HTTP[gw1]}" "$@" >"$TMP/visits" <<'PY'
import collections, concurrent.futures, http.client, json, os, signal, sys

port, count = int(sys.argv[1]), int(sys.argv[2])

def visit(number):
    if number == count // 2 and len(sys.argv) > 3:
        os.kill(int(sys.argv[3]), signal.SIGKILL)
    try:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        c.request("GET", "/", headers={"Host": "site.gw1.localhost", "Connection": "close"})
        answer = c.getresponse()
        return answer.read().decode().strip() if answer.status == 200 else str(answer.status)
    except OSError as error:
        return type(error).__name__

with concurrent.futures.ThreadPoolExecutor(4) as four:
    print(json.dumps(collections.Counter(four.map(visit, range(count)))))
PY
}

visits_are() { # visits_are EXPRESSION: over a, b (answers of each instance) and n (of both)
    json "(lambda a, b: (lambda n: $1)(a + b))(d.get('hello from a', 0), d.get('hello from b', 0))" <"$TMP/visits" |
        grep -qx true || fail "visits: $(cat "$TMP/visits"), not $1"
}

instances_are() { # instances_are N
    [ "$(bus gw1 HGET netwall:workloads 7-7101-site | json 'd["online"]')" = "$1" ]
}

only_serves() { # only_serves NAME: four visitors in a row
    visit 4
    [ "$(json "d.get('hello from $1', 0)" <"$TMP/visits")" = 4 ]
}

site() { # site VERSION [MEMBERS]
    deploy gw1 7101 "$1" "$(name_workload site "tunnel:$CONNECTOR_PUB/web" ${2:+"$2"})" >/dev/null
}

keys
gateway_start gw1
admit gw1
web_start a
A=$WEB
web_start b
connector_start b "web=127.0.0.1:$WEB"
connector_start a "web=127.0.0.1:$A"
site 0
wait_for 15 instances_are 2

say "both serve"
visit 200
visits_are 'n == 200 and 60 <= a <= 140'

say "one is killed while visitors come: only those it had may fail"
visit 200 "${CONNECTOR[a]}"
visits_are 'n >= 196 and b > 100'
wait_for 5 instances_are 1
visit 50
visits_are 'b == 50'

say "the newest one serves alone, and the other one again when it is gone"
site 1 '"instances":"newest"'
connector_start a "web=127.0.0.1:$A"
wait_for 15 only_serves a
visit 50
visits_are 'a == 50'
kill -KILL "${CONNECTOR[a]}"
wait_for 5 only_serves b
