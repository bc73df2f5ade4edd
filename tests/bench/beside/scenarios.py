"""What is measured: scenarios of columns, each a load that every path of the scenario carries in turn, and the goals."""
from beside.loads import Requests


class Column:
    """One load. RATE is the unit of what is counted each second, PER how many of it the CPU seconds are for."""

    def __init__(self, name, load, rate, per, per_name, quick=True):
        self.name, self.load, self.rate, self.per, self.per_name = name, load, rate, per, per_name
        self.quick = quick  # part of --quick


class Goal:
    """In each of COLUMNS (None: in all) PATH reaches at least (or, MOST: at most) RATIO of OTHER."""

    def __init__(self, path, other, ratio, columns=None, most=False):
        self.path, self.other, self.ratio, self.columns, self.most = path, other, ratio, columns, most

    def met(self, value):
        return value <= self.ratio if self.most else value >= self.ratio


class Scenario:
    def __init__(self, name, about, paths, columns, goals=()):
        self.name, self.about, self.paths, self.columns, self.goals = name, about, paths, columns, goals


def requests(clients, page, quick=True):
    return Column(f"{clients} x {page}", Requests(clients, page), "requests/s", 1000, "1 000 requests", quick)


SCENARIOS = (
    Scenario("http", "keep-alive requests: by Host beside the opaque bytes of a TCP port of the same build",
             ("direct", "netwall", "netwall-http"),
             [requests(c, p, quick=c == 64) for p in ("1k", "100k") for c in (16, 64, 256)],
             [Goal("netwall-http", "netwall", 0.95)]),
)
