"""What was measured, for people (Markdown, SVG) and for programs (JSON)."""
import json
import shutil
import subprocess

from beside.scenarios import Ratio


def number(value):
    if value >= 10000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def spread(value, mark=""):
    return f"{number(value.median)}{mark} ({number(value.least)}-{number(value.most)})"


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def ratios_of(table):
    names = {p.name for p in table.paths}
    return [g for g in table.scenario.goals if isinstance(g, Ratio) and set(g.paths) <= names]


def rates(table):
    """Throughput: a line for each path, a column for each load."""
    yield row(table.columns[0].rate, *(c.name for c in table.columns))
    yield row("---", *("---" for _ in table.columns))
    for path in table.paths:
        cells = [table.cell(c, path.name) for c in table.columns]
        yield row(path.name, *(spread(c.rate(), "\\*" if c.disturbed else "") for c in cells))
    for goal in ratios_of(table):
        yield row(f"{goal.path} / {goal.other}", *(ratio_cell(table, c, goal) for c in table.columns))


def ratio_cell(table, column, goal):
    ratio = table.ratio(column, goal.path, goal.other)
    return f"**{ratio.median:.3f}** ({ratio.least:.3f}-{ratio.most:.3f})"


def costs(table):
    """What it cost: a line for each part of each path."""
    yield row(table.columns[0].cost, *(c.name for c in table.columns))
    yield row("---", *("---" for _ in table.columns))
    for path in table.paths:
        found = [table.cell(c, path.name).cost(c.per) for c in table.columns]
        for part in found[0]:
            yield row(f"{path.name}: {part}", *(f"{f[part]:.2f}" for f in found))
        if len(found[0]) > 1:
            yield row(f"{path.name}: all", *(f"{sum(f.values()):.2f}" for f in found))
    for goal in ratios_of(table):
        found = [cost_ratio(table, c, goal) for c in table.columns]
        if all(found):
            yield row(f"{goal.path} / {goal.other}", *(f"**{f:.3f}**" for f in found))


def cost_ratio(table, column, goal):
    """The cost of all parts of a path beside the other's; None where a path has none, as the direct one."""
    mine, theirs = (sum(table.cell(column, n).cost(1).values()) for n in (goal.path, goal.other))
    return mine / theirs if theirs else None


def verdicts(table):
    for verdict in table.verdicts():
        note = " (others used the machine: measure again)" if verdict.disturbed else ""
        yield f"- {verdict.text}: {'met' if verdict.met else 'MISSED'}{note}"


def notes(table):
    errors = sum(c.errors() for c in table.cells.values())
    if errors:
        yield f"- {errors} requests failed"
    if table.again:
        yield f"- {table.again} samples were taken again because others used too much of the machine"
    if any(c.disturbed for c in table.cells.values()):
        yield "- \\* others used the machine in so many rounds that all count: believe the CPU, not the rate"


def markdown(facts, tables, options):
    lines = ["# Measured beside each other", ""]
    lines += [f"{k}: {v}  " for k, v in facts.items() if v]
    lines += [f"rounds: {options.rounds} of {options.seconds} s, interleaved{', pinned' if options.pin else ''}{', before others' if options.first else ''}; median (min-max)  "]
    for table in tables:
        lines += ["", f"## {table.scenario.name}", "", table.scenario.about[0].upper() + table.scenario.about[1:] + ".", ""]
        lines += [*rates(table), ""]
        lines += [*costs(table), ""]
        lines += [*verdicts(table), *notes(table)]
    return "\n".join(lines) + "\n"


def cell_dict(table, column, path):
    cell = table.cell(column, path.name)
    return {"rate": cell.rate().as_dict(), "unit": column.rate, "cost": cell.cost(column.per), "cost_unit": column.cost,
            "errors": cell.errors(), "disturbed": cell.disturbed,
            "samples": [{"rate": s.rate, "cost": s.cost, "count": s.count, "elsewhere": s.elsewhere, **s.more}
                        for s in cell.samples]}


def document(facts, tables, options):
    return {"facts": facts, "rounds": options.rounds, "seconds": options.seconds, "pinned": options.pin,
            "scenarios": {t.scenario.name: {c.name: {p.name: cell_dict(t, c, p) for p in t.paths} for c in t.columns}
                          for t in tables},
            "goals": [{"scenario": t.scenario.name, "text": v.text, "met": v.met, "disturbed": v.disturbed}
                      for t in tables for v in t.verdicts()]}


PLOT = """set terminal svg size 900,420 font "sans,11" background "white"
set output "{out}"
set title "{title}"
set style data histograms
set style histogram errorbars gap 2 lw 1
set style fill solid 0.8 border -1
set yrange [0:*]
set ylabel "{unit}"
set grid y
set key outside right
plot {plots}
"""


def plot(table, folder):
    """FOLDER/SCENARIO.svg by gnuplot; None without it."""
    if shutil.which("gnuplot") is None:
        return None
    out, names = f"{folder}/{table.scenario.name}.svg", [p.name for p in table.paths]
    lines = []
    for column in table.columns:
        values = [table.cell(column, n).rate() for n in names]
        lines.append(" ".join([f'"{column.name}"'] + [f"{v.median} {v.least} {v.most}" for v in values]))
    data = "$d << EOD\n" + "\n".join(lines) + "\nEOD\n"
    plots = ", ".join(f'$d using {3 * i + 2}:{3 * i + 3}:{3 * i + 4}{":xtic(1)" if i == 0 else ""} title "{n}"'
                      for i, n in enumerate(names))
    script = data + PLOT.format(out=out, title=table.scenario.about, unit=table.columns[0].rate, plots=plots)
    subprocess.run(["gnuplot"], input=script, text=True, check=True, capture_output=True)
    return out


def write(path, document_):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(document_, f, indent=1)
        f.write("\n")
