"""What is measured: scenarios of columns, each a load that every path of the scenario carries in turn, and the goals."""
from beside.loads import Bulk, Idle, Requests


class Column:
    """One load. RATE is the unit of what is counted each second, PER what the costs of one are multiplied by, COST the
    title of that: CPU comes in seconds, so that PER is 1e6 for "ms per 1 000"."""

    def __init__(self, name, load, rate, per, cost, quick=True):
        self.name, self.load, self.rate, self.per, self.cost = name, load, rate, per, cost
        self.quick = quick  # part of --quick


class Verdict:
    def __init__(self, text, met, disturbed):
        self.text, self.met, self.disturbed = text, met, disturbed


class Ratio:
    """In each of COLUMNS (None: in all) the rate of PATH is at least LEAST times that of OTHER."""

    def __init__(self, path, other, least, columns=None):
        self.path, self.other, self.least, self.columns = path, other, least, columns
        self.paths = (path, other)

    def judge(self, table, column):
        ratio = table.ratio(column, self.path, self.other)
        disturbed = any(table.cell(column, p).disturbed for p in self.paths)
        text = f"{column.name}: {self.path} / {self.other} = {ratio.median:.3f}, goal >= {self.least}"
        return Verdict(text, ratio.median >= self.least, disturbed)


class Cost:
    """PART of PATH spends at most MOST of the column's cost."""

    columns = None

    def __init__(self, path, part, most):
        self.path, self.part, self.most = path, part, most
        self.paths = (path,)

    def judge(self, table, column):
        cost = table.cell(column, self.path).cost(column.per)[self.part]
        return Verdict(f"{column.name}: {self.path}: {self.part}: {cost:.1f} {column.cost}, goal <= {self.most}", cost <= self.most, False)


class Scenario:
    def __init__(self, name, about, paths, columns, goals=(), rounds=None):
        self.name, self.about, self.paths, self.columns, self.goals = name, about, paths, columns, goals
        self.rounds = rounds  # where more say nothing new


def requests(clients, page, quick=True):
    return Column(f"{clients} x {page}", Requests(clients, page), "requests/s", 1e6, "CPU ms per 1 000 requests", quick)


def bulk(streams, up):
    name = f"{streams} stream{'s' if streams > 1 else ''} {'up' if up else 'down'}"
    return Column(name, Bulk(streams, up), "Gbit/s", 8e3, "CPU ms per GB", quick=not up)


def short(clients):
    return Column(f"{clients} clients", Requests(clients, "1k", close=True), "connections/s", 1e6, "CPU ms per 1 000 connections",
                  clients == 64)


def idle(visitors, quick):
    return Column(f"{visitors} visitors", Idle(visitors), "visitors/s", 1, "KiB per visitor", quick)


EVERYBODY = ("direct", "haproxy", "haproxy-2", "nginx-stream", "stunnel-2", "ssh-2", "netwall")

# idle comes first: later the parts' heaps hold what earlier visitors left.
SCENARIOS = (
    Scenario("idle", "keep-alive visitors who asked once and stay: how fast they came, and memory",
             ("haproxy", "haproxy-2", "nginx-stream", "stunnel-2", "netwall", "netwall-http"),
             [idle(1000, True), idle(5000, False)],
             [Cost("netwall", "gateway", 20), Cost("netwall-http", "gateway", 20)], rounds=2),
    Scenario("http", "keep-alive requests: by Host beside the opaque bytes of a TCP port of the same build",
             ("direct", "netwall", "netwall-fields", "netwall-http"),
             [requests(c, p, quick=c == 64) for p in ("1k", "100k") for c in (16, 64, 256)],
             [Ratio("netwall-http", "netwall", 0.95), Ratio("netwall-http", "netwall-fields", 0.95)]),
    Scenario("requests", "keep-alive requests, beside others", EVERYBODY,
             [requests(c, p, quick=(c, p) == (64, "1k")) for p in ("1k", "100k") for c in (16, 64, 256)],
             [Ratio("netwall", "haproxy", 1.0, ("64 x 1k", "256 x 1k"))]),
    Scenario("close", "a connection for each request, beside others", EVERYBODY, [short(16), short(64)],
             [Ratio("netwall", "haproxy", 1.0, ("64 clients",))]),
    Scenario("bulk", "iperf3 from and to the visitor, beside others", EVERYBODY,
             [bulk(n, up) for n in (1, 8) for up in (False, True)],
             [Ratio("netwall", "haproxy-2", 1.15), Ratio("netwall", "stunnel-2", 1.5)]),
)
