"""Takes the samples: every path of a column in turn, round after round, and leaves out what others disturbed."""
import math
import os
import statistics
import time

from beside import machine

ENOUGH = 3  # calm samples of a cell; with fewer, all count and the cell is marked


class Sample:
    """One path under one load for some seconds."""

    def __init__(self, outcome, cost, elsewhere, limit):
        self.figures = outcome.figures  # one for each of the column's
        self.count, self.errors, self.more = outcome.count, outcome.errors, outcome.more
        self.cost = cost  # part -> CPU seconds, or KiB
        self.elsewhere, self.calm = elsewhere, elsewhere <= limit


class Spread:
    """Median, least and most of some values."""

    def __init__(self, values):
        self.median, self.least, self.most = statistics.median(values), min(values), max(values)

    def as_dict(self):
        return {"median": self.median, "min": self.least, "max": self.most}


class Cell:
    """All samples of one path and column."""

    def __init__(self):
        self.samples = []  # the last one of each round, calm or not

    @property
    def counted(self):
        calm = [s for s in self.samples if s.calm]
        return calm if len(calm) >= min(ENOUGH, len(self.samples)) else self.samples

    @property
    def disturbed(self):
        return not all(s.calm for s in self.counted)

    def figure(self, number=0):
        return Spread([s.figures[number] for s in self.counted])

    def cost(self, per):
        """What each part spent for PER of what was counted."""
        parts = self.counted[0].cost
        total = sum(s.count for s in self.counted)
        return {part: sum(s.cost[part] for s in self.counted) * per / total for part in parts} if total else {}

    def cost_spread(self, part, per):
        """The same of one PART, as a Spread of the samples."""
        return Spread([s.cost[part] * per / s.count for s in self.counted if s.count] or [math.nan])

    def errors(self):
        return sum(s.errors for s in self.samples)


def take(shop, path, column, options):
    if options.first:
        machine.prefer(machine.tree(os.getpid()))
    pids = {name: list(found) for name, found in path.pids().items()}
    elsewhere = machine.Elsewhere()
    before, begin = {name: machine.cpu_s(found) for name, found in pids.items()}, time.monotonic()
    outcome = column.load.run(shop, path, options.seconds)
    took = time.monotonic() - begin
    cpu = {name: machine.cpu_s(found) - before[name] - path.idle_cpu.get(name, 0) * took for name, found in pids.items()}
    limit = machine.CALM_FIRST if options.first else machine.CALM
    return Sample(outcome, cpu if outcome.memory is None else outcome.memory, elsewhere.part(), limit)


class Table:
    """The cells of one scenario, filled round by round."""

    def __init__(self, scenario, columns, paths):
        self.scenario, self.columns, self.paths = scenario, columns, paths
        self.cells = {(c.name, p.name): Cell() for c in columns for p in paths}
        self.again, self.notes, self.rounds = 0, [], 0

    def cell(self, column, path):
        return self.cells[column.name, path]

    def fill(self, shop, options, progress):
        left = options.retries * len(self.cells)
        for column in self.columns:
            progress(f"{self.scenario.name}: {column.name}: getting ready")
            note = column.load.prepare(shop, self.paths, options)
            self.notes += [f"{column.name}: {note}"] if note else []
        most = self.scenario.quick_rounds if options.quick else self.scenario.rounds
        rounds = min(options.rounds, most or options.rounds)
        for number in range(rounds):
            for column in self.columns:
                for path in self.paths:
                    progress(f"{self.scenario.name}: round {number + 1} of {rounds}: {column.name}: {path.name}")
                    sample = take(shop, path, column, options)
                    while not sample.calm and left > 0 and column.load.again:
                        left, self.again = left - 1, self.again + 1
                        sample = take(shop, path, column, options)
                    self.cell(column, path.name).samples.append(sample)
            self.rounds = number + 1

    def ratio(self, column, path, other, value=lambda sample: sample.figures[0]):
        """VALUE of PATH beside that of OTHER: their ratio in each round in which both count, as a Spread."""
        mine, theirs = self.cell(column, path), self.cell(column, other)
        pairs = [(a, b) for a, b in zip(mine.samples, theirs.samples) if a in mine.counted and b in theirs.counted and value(b)]
        pairs = pairs or [(a, b) for a, b in zip(mine.samples, theirs.samples) if value(b)]
        return Spread([value(a) / value(b) for a, b in pairs] or [math.nan])  # which meets no goal

    def verdicts(self):
        """A Verdict for every goal whose paths were measured, in each of its columns."""
        names = {p.name for p in self.paths}
        for goal in self.scenario.goals:
            for column in self.columns:
                if set(goal.paths) <= names and (not goal.columns or column.name in goal.columns):
                    yield goal.judge(self, column)
