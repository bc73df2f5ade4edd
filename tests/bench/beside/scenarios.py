"""What is measured: scenarios of columns, each a load that every path of the scenario carries in turn, and the goals."""
from beside.loads import Among, Bulk, Capacity, HalfLoad, Idle, Interactive, Requests, Storm


class Column:
    """One load. FIGURES are the names of what an Outcome tells, the first of which goals and plots take; PER what the costs of one
    are multiplied by, COST the title of that: CPU comes in seconds, so that PER is 1e6 for "ms per 1 000"."""

    def __init__(self, name, load, figures, per, cost, quick=True, full=True):
        self.name, self.load, self.figures, self.per, self.cost = name, load, figures, per, cost
        self.quick, self.full = quick, full  # part of --quick, of a run without it


class Verdict:
    """WHAT was measured as the Spread MEASURED, beside the GOAL."""

    def __init__(self, column, what, measured, goal, met, disturbed):
        self.column, self.what, self.measured, self.goal = column.name, what, measured, goal
        self.met, self.disturbed = met, disturbed


class Goal:
    """A figure of PATHS in each of COLUMNS (None: in all) is at least LEAST, or at most MOST."""

    def __init__(self, what, paths, least=None, most=None, columns=None):
        self.what, self.paths, self.least, self.most, self.columns = what, paths, least, most, columns

    def judge(self, table, column):
        measured = self.measure(table, column)
        met = measured.median >= self.least if self.most is None else measured.median <= self.most
        goal = f">= {self.least}" if self.most is None else f"<= {self.most}"
        return Verdict(column, self.what, measured, goal, met, self.disturbed(table, column))

    def measure(self, table, column):
        """A Spread."""
        raise NotImplementedError

    def disturbed(self, table, column):
        return any(table.cell(column, p).disturbed for p in self.paths)


class Ratio(Goal):
    """The first figure of PATH beside that of OTHER."""

    def __init__(self, path, other, **limits):
        super().__init__(f"{path} / {other}", (path, other), **limits)

    def measure(self, table, column):
        return table.ratio(column, *self.paths)


class Cost(Goal):
    """What PART of PATH spends of the column's cost."""

    def __init__(self, path, part, **limits):
        super().__init__(f"{path}: {part}", (path,), **limits)
        self._part = part

    def judge(self, table, column):
        verdict = super().judge(table, column)
        verdict.what += f", {column.cost}"
        return verdict

    def measure(self, table, column):
        return table.cell(column, self.paths[0]).cost_spread(self._part, column.per)

    def disturbed(self, table, column):
        return False  # others cannot take it away


class Figure(Goal):
    """The first figure of PATH."""

    def __init__(self, path, **limits):
        super().__init__(path, (path,), **limits)

    def judge(self, table, column):
        verdict = super().judge(table, column)
        verdict.what += f", {column.figures[0]}"
        return verdict

    def measure(self, table, column):
        return table.cell(column, self.paths[0]).figure()


class Growth(Goal):
    """What PART of PATH spends of the column's cost beside what it does on OTHER."""

    def __init__(self, path, other, part, **limits):
        super().__init__(f"{part}'s cost: {path} / {other}", (path, other), **limits)
        self._part = part

    def measure(self, table, column):
        return table.ratio(column, *self.paths, lambda s: s.cost[self._part] / s.count if s.count else 0)


class Scenario:
    def __init__(self, name, about, paths, columns, goals=(), rounds=None, quick=None, quick_rounds=None, ratios=()):
        self.name, self.about, self.paths, self.columns, self.goals = name, about, paths, columns, goals
        self.ratios = [*(g for g in goals if isinstance(g, Ratio)), *ratios]  # told, with a goal or without
        self.rounds, self.quick_rounds = rounds, quick_rounds or rounds  # where more say nothing new
        self.quick = quick or paths  # the paths of --quick


def requests(clients, page, quick=True):
    return Column(f"{clients} x {page}", Requests(clients, page), ("requests/s",), 1e6, "CPU ms per 1 000 requests", quick)


def bulk(streams, up):
    name = f"{streams} stream{'s' if streams > 1 else ''} {'up' if up else 'down'}"
    return Column(name, Bulk(streams, up), ("Gbit/s",), 8e3, "CPU ms per GB", quick=not up)


def short(clients):
    return Column(f"{clients} clients", Requests(clients, "1k", close=True), ("connections/s",), 1e6,
                  "CPU ms per 1 000 connections", clients == 64)


def idle(visitors, quick):
    return Column(f"{visitors} visitors", Idle(visitors), ("visitors/s",), 1, "KiB per visitor", quick, not quick)


def half_load(name, capacity, among=None, quick=False):
    return Column(name, HalfLoad(capacity, among), ("p99 ms", "p50 ms"), 1e6, "CPU ms per 1 000 requests", quick)


EVERYBODY = ("direct", "haproxy", "haproxy-2", "nginx-stream", "stunnel-2", "ssh-2", "netwall")
THREADED = (*EVERYBODY, "netwall-threads", "bare-2")
COMPARED = ("haproxy", "haproxy-2", "stunnel-2", "netwall")  # those of the goals
BARE = [Ratio("netwall", "bare-2"), Ratio("bare-2", "haproxy")]  # what is our work, and what our shape
CAPACITY = Capacity()

# idle comes first, and has one column: later the parts' heaps hold what earlier visitors left.
SCENARIOS = (
    Scenario("idle", "keep-alive visitors who asked once and stay: how fast they came, and memory",
             ("haproxy", "haproxy-2", "nginx-stream", "stunnel-2", "netwall", "netwall-http"),
             [idle(1000, True), idle(5000, False)],
             [Cost("netwall", "gateway", most=20), Cost("netwall-http", "gateway", most=20)], rounds=2,
             quick=("haproxy", "netwall", "netwall-http"), quick_rounds=1),
    Scenario("http", "keep-alive requests: by Host beside the opaque bytes of a TCP port of the same build",
             ("direct", "netwall", "netwall-fields", "netwall-http"),
             [requests(c, p, quick=(c, p) == (64, "1k")) for p in ("1k", "100k") for c in (16, 64, 256)],
             [Ratio("netwall-http", "netwall", least=0.95), Ratio("netwall-http", "netwall-fields", least=0.95)],
             quick=("netwall", "netwall-fields", "netwall-http")),
    Scenario("requests", "keep-alive requests, beside others", THREADED,
             [requests(c, p, quick=(c, p) == (64, "1k")) for p in ("1k", "100k") for c in (16, 64, 256)],
             [Ratio(n, "haproxy", least=1.0, columns=("64 x 1k", "256 x 1k")) for n in ("netwall", "netwall-threads")],
             quick=(*COMPARED, "bare-2"), ratios=BARE),
    Scenario("close", "a connection for each request, beside others", (*THREADED, "netwall-http"), [short(16), short(64)],
             [Ratio(n, "haproxy", least=1.0, columns=("64 clients",)) for n in ("netwall", "netwall-threads", "netwall-http")],
             quick=(*COMPARED, "netwall-http", "bare-2"), ratios=BARE),
    Scenario("bulk", "iperf3 from and to the visitor, beside others", THREADED,
             [bulk(n, up) for n in (1, 8) for up in (False, True)],
             [Ratio(n, other, least=least) for n in ("netwall", "netwall-threads")
              for other, least in (("haproxy-2", 1.15), ("stunnel-2", 1.5))], quick=COMPARED,
             ratios=[Ratio("netwall", "bare-2"), Ratio("bare-2", "haproxy-2")]),
    Scenario("latency", "64 keep-alive clients at a fixed rate, half of what the slowest sustained, beside others", EVERYBODY,
             [half_load("half of the slowest of all", CAPACITY, quick=True),
              half_load("half of the slower of netwall and haproxy-2", CAPACITY, ("netwall", "haproxy-2"))],
             [Ratio("netwall", "haproxy-2", most=1.0)], quick=COMPARED),
    Scenario("interactive", "8 clients with 200 small requests a second while one bulk transfer runs down the same way, beside others",
             EVERYBODY, [Column("under bulk", Interactive(200), ("p99 ms", "p50 ms", "Gbit/s of the transfer"), 8e3,
                                "CPU ms per GB of the transfer, the requests in it")], quick=COMPARED),
    Scenario("storm", "2 000 idle tunnels of as many connectors, and how fast they are back when the gateway was killed",
             ("2 000 tunnels",),
             [Column("2 000 tunnels", Storm(), ("s from the gateway's first answer", "s from the end of the former"), 1,
                     "KiB per tunnel")],
             [Figure("2 000 tunnels", most=3), Cost("2 000 tunnels", "gateway", most=24)], quick_rounds=1),
    Scenario("growth", "what a visitor costs on nodes that have more exposures or tunnels: by Host, keep-alive to one exposure, or a "
             "connection for each request, the next one to another of at most 1 000 exposures", ("1 exposure", "1 000 exposures", "100 000 exposures", "2 000 tunnels"),
             [Column("64 keep-alive", Among(64, "1k"), ("requests/s",), 1e6, "CPU ms per 1 000 requests"),
              Column("64 close", Among(64, "1k", close=True), ("requests/s",), 1e6, "CPU ms per 1 000 requests")],
             [Growth(crowd, "1 exposure", "gateway", most=1.15)
              for crowd in ("1 000 exposures", "100 000 exposures", "2 000 tunnels")],
             quick=("1 exposure", "1 000 exposures", "2 000 tunnels")),
)
