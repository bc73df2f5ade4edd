#!/usr/bin/python3
"""comeback.py VISITS HERD IDLE-SINCE KILLED: what one restart of the gateway was like, as JSON; all times in unix ms. VISITS is
what tests/bench/visitors printed, HERD what tests/bench/connectors did. Latencies in ms: "idle" from IDLE-SINCE until the
gateway was killed, "storm" from the moment the visitors' own connector was back until the last of the herd was."""
import json
import sys


def read_visits(path):
    visits = []
    with open(path) as file:
        next(file)  # the port of the service
        for line in file:
            if line.endswith("\n"):  # else it is being written
                begun, took, outcome = line.split()
                visits.append((int(begun) / 1000, int(took) / 1000, outcome))
    return visits


def summary(visits):
    visits = list(visits)
    took = sorted(v[1] for v in visits)
    at = lambda share: round(took[min(len(took) - 1, int(len(took) * share))], 2) if took else 0
    return {"n": len(took), "p50": at(0.5), "p99": at(0.99), "max": at(1),
            "failed": sum(v[2] != "ok" for v in visits)}


visits = read_visits(sys.argv[1])
with open(sys.argv[2]) as herd:
    events = [json.loads(line) for line in herd if line.endswith("\n")]
idle_since, killed = float(sys.argv[3]), float(sys.argv[4])
before = [e for e in events if e["at"] < killed][-1]
after = [e for e in events if e["at"] >= killed]
last = next(e for e in after if e["event"] == "all")
refused = min(v[0] for v in visits if v[0] > killed - 200 and v[2] == "refused")
listens = min(v[0] for v in visits if v[0] > refused and v[2] not in ("refused", "cut"))
own = min(v[0] + v[1] for v in visits if v[0] >= listens and v[2] == "ok")
print(json.dumps({
    "down_ms": round(listens - killed), "own_back_ms": round(own - listens), "all_back_ms": round(last["at"] - listens),
    "dials": last["dials"] - before["dials"], "handshakes": last["handshakes"] - before["handshakes"],
    "idle": summary(v for v in visits if idle_since <= v[0] < killed - 200),
    "storm": summary(v for v in visits if own <= v[0] < last["at"])}))
