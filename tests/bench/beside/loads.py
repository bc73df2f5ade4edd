"""What visitors do for some seconds: a load on one path gives a count, and what happened meanwhile."""
import json
import socket
import statistics
import threading
import time

from beside import machine
from beside.crowd import SETTLED_S
from beside.process import need, wait_for

LIMIT_S = 150  # more than a load takes, on a machine that is held up for a while, too
DONE = """done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('\\n{"requests":%d,"us":%d,"bytes":%d,"errors":%d,"p50_us":%d,"p99_us":%d}\\n', summary.requests,
        summary.duration, summary.bytes, e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""

IN_TURN = """local requests, next = {}, 0
function init(args)
    for i, host in ipairs(hosts) do
        wrk.headers["Host"] = host
        requests[i] = wrk.format()
    end
end
function request()
    next = next % #requests + 1
    return requests[next]
end
"""


class Outcome:
    """COUNT of what was done in SECONDS; ERRORS among it; more that is worth knowing."""

    def __init__(self, count, seconds, errors=0, more=None, memory=None, figures=None):
        self.count, self.seconds, self.errors, self.more = count, seconds, errors, more or {}
        self.memory = memory  # part -> KiB, where that is the cost; else None: CPU seconds are
        self.figures = figures or (count / seconds,)  # one for each of the column's


class Load:
    """What all loads have."""

    again = True  # may be taken again where others disturbed it

    def prepare(self, shop, paths, options):
        """Before the first sample of any path; returns what a reader should know, or None."""

    def run(self, shop, path, seconds):
        """An Outcome."""
        raise NotImplementedError


class Requests(Load):
    """CLIENTS who ask for PAGE again and again, on one connection each or (CLOSE) on a new one each time."""

    def __init__(self, clients, page, close=False):
        self.clients, self.page, self.close = clients, page, close

    def run(self, shop, path, seconds):
        need("wrk")
        address, port = path.web
        in_turn = path.hosts if self.close else None
        command = ["wrk", "-t1", f"-c{self.clients}", f"-d{seconds}s", "--timeout", "20s", "-s", self._script(shop, in_turn)]
        fields = path.fields | ({"Host": path.host} if path.host and not in_turn else {})
        command += [word for name, value in fields.items() for word in ("-H", f"{name}: {value}")]
        command += ["-H", "Connection: close"] if self.close else []
        done = json.loads(shop.run(command + [f"http://{address}:{port}/{self.page}"], seconds + LIMIT_S).splitlines()[-1])
        return Outcome(done["requests"], done["us"] / 1e6, done["errors"], {k: done[k] for k in ("p50_us", "p99_us")})


    @staticmethod
    def _script(shop, hosts):
        in_turn = "hosts = {%s}\n" % ", ".join(f'"{h}"' for h in hosts) + IN_TURN if hosts else ""
        return shop.write("done.lua", in_turn + DONE)


class Bulk(Load):
    """iperf3 with STREAMS connections, UP from the visitor or down to it; counts Gbit."""

    def __init__(self, streams, up):
        self.streams, self.up = streams, up

    def run(self, shop, path, seconds):
        need("iperf3")
        address, port = path.bulk
        command = ["iperf3", "-J", "-c", address, "-p", str(port), "-P", str(self.streams), "-t", str(seconds)]
        command += [] if self.up else ["-R"]
        end = self._run(shop, command, seconds + LIMIT_S)
        return Outcome(end["bytes"] * 8 / 1e9, end["seconds"])

    @staticmethod
    def _run(shop, command, limit_s, tries=5):
        """The server takes one test at a time, needs a moment after each, and now and then ends one without its sums."""
        while True:
            tries -= 1
            try:
                return json.loads(shop.run(command, limit_s))["end"]["sum_received"]
            except (RuntimeError, ValueError, KeyError) as problem:
                if tries == 0:
                    raise RuntimeError(f"iperf3 gives no sums: {problem}") from problem
                time.sleep(0.2)


class Idle(Load):
    """VISITORS who come, ask once and stay; counts them and the memory that each part has more than before the first came."""

    before = {}  # processes -> KiB before any visitor; later ones find freed memory of the earlier ones

    def __init__(self, visitors):
        self.visitors = visitors

    def run(self, shop, path, seconds):
        for pids in path.pids().values():
            self.before.setdefault(tuple(pids), machine.rss_kib(pids))
        ask = f"GET /1k HTTP/1.1\r\nHost: {path.host or 'localhost'}\r\n\r\n".encode()
        begin, held, errors = time.monotonic(), [], 0
        try:
            for _ in range(self.visitors):
                held.append(socket.create_connection(path.web, LIMIT_S))
                held[-1].sendall(ask)
            for visitor in held:
                errors += b" 200 " not in visitor.recv(4096)
            took = time.monotonic() - begin
            time.sleep(seconds)  # what is released when idle has time to be
            memory = self._memory(path)
        finally:
            for visitor in held:
                visitor.close()
        wait_for("the parts have seen the visitors off", lambda: self._rests(path))
        return Outcome(self.visitors, took, errors, memory=memory)

    @staticmethod
    def _rests(path):
        """Whether its parts do nothing to speak of: what is left to do would slow the next path down."""
        pids = [pid for part in path.pids().values() for pid in part]
        before = machine.cpu_s(pids)
        time.sleep(0.1)
        return machine.cpu_s(pids) - before < 0.01

    def _memory(self, path):
        """Of each part, KiB more than before the first visitor."""
        return {part: machine.rss_kib(pids) - self.before.get(tuple(pids), 0) for part, pids in path.pids().items()}


class Capacity:
    """What each path sustains of 64 keep-alive clients, measured once, right before the loads that want a part of it."""

    def __init__(self):
        self._sustained = {}

    def measure(self, shop, paths, options):
        if not self._sustained:
            taken = [[self._sample(shop, path, options.seconds) for path in paths] for _ in range(max(1, options.rounds // 2))]
            self._sustained = {path.name: statistics.median(rates) for path, rates in zip(paths, zip(*taken))}
        return self._sustained

    @staticmethod
    def _sample(shop, path, seconds):
        outcome = Requests(64, "1k").run(shop, path, seconds)
        return outcome.count / outcome.seconds


def paced(shop, path, clients, rate, seconds):
    """What tests/bench/pace says of requests for 1 KB at a fixed RATE."""
    address, port = path.web
    return json.loads(shop.run([shop.tool("pace"), address, str(port), "/1k", path.host or "localhost", str(clients), f"{rate:.1f}",
                                str(seconds)], seconds + LIMIT_S))


def latencies(told):
    """p99 and p50 in ms; what was never answered is an error, and in the figures with its age."""
    return (told["p99_us"] / 1e3, told["p50_us"] / 1e3), told["errors"] + told["unanswered"]


class HalfLoad(Load):
    """64 keep-alive clients at half the rate that the slowest of AMONG (None: of all paths) sustained; the same for each."""

    def __init__(self, capacity, among=None):
        self._capacity, self._among, self.rate = capacity, among, None

    def prepare(self, shop, paths, options):
        sustained = self._capacity.measure(shop, paths, options)
        slowest = min((n for n in sustained if self._among is None or n in self._among), key=sustained.get)
        self.rate = sustained[slowest] / 2
        return f"{self.rate:.0f} requests/s: half of what {slowest} sustained in this run ({sustained[slowest]:.0f})"

    def run(self, shop, path, seconds):
        told = paced(shop, path, 64, self.rate, seconds)
        figures, errors = latencies(told)
        return Outcome(told["requests"], told["us"] / 1e6, errors, told, figures=figures)


class Interactive(Load):
    """8 clients with RATE small requests a second while a bulk transfer runs down the same way; counts its Gbit."""

    def __init__(self, rate):
        self.rate = rate

    def run(self, shop, path, seconds):
        bulk = []
        beside = threading.Thread(target=lambda: bulk.append(Bulk(1, up=False).run(shop, path, seconds + 1)))
        beside.start()
        time.sleep(0.5)  # the transfer is at its full speed
        try:
            told = paced(shop, path, 8, self.rate, seconds)
        finally:
            beside.join()
        if not bulk:
            raise RuntimeError("the bulk transfer beside the requests failed")
        figures, errors = latencies(told)
        return Outcome(bulk[0].count, bulk[0].seconds, errors, told, figures=(*figures, bulk[0].count / bulk[0].seconds))


class Storm(Load):
    """All tunnels of a node are idle, and come back when the gateway was killed; counts them, in memory that each part has more than
    before the first came. Figures: seconds from the restarted gateway's first answer, and from the end of the former."""

    again = False
    empty_kib = 0

    def prepare(self, shop, paths, options):
        (path,) = paths
        self.empty_kib = machine.rss_kib(path.pids()["gateway"])
        path.fill()
        return None

    def run(self, shop, path, seconds):
        time.sleep(SETTLED_S)
        memory = {"gateway": machine.rss_kib(path.pids()["gateway"]) - self.empty_kib,
                  "connectors": machine.rss_kib([path.herd.process.pid])}
        killed, answered = path.kill_gateway()
        back = path.herd.back_at_ms(killed)
        took = (back - answered) / 1e3, (back - killed) / 1e3
        return Outcome(path.crowd.tunnels, took[0], memory=memory, figures=took)


class Among(Requests):
    """Requests on a node with a crowd, which is there before the first; what the node does without visitors is not their cost."""

    def prepare(self, shop, paths, options):
        for path in paths:
            path.fill()
        before, begin = [self._used(path) for path in paths], time.monotonic()
        time.sleep(2 if options.quick else 30)  # one reconciliation in it
        took = time.monotonic() - begin
        for path, used in zip(paths, before):
            path.idle_cpu = {part: (now - used[part]) / took for part, now in self._used(path).items()}
        told = ", ".join(f"{path.idle_cpu['gateway'] * 1000:.1f} with {path.name}" for path in paths)
        return f"left out: what the gateway does without visitors, ms of CPU a second: {told}"

    @staticmethod
    def _used(path):
        return {part: machine.cpu_s(pids) for part, pids in path.pids().items()}
