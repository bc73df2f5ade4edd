"""What was measured, for programs (JSON: a document) and, made from such documents only, for people (Markdown, SVG)."""
import json
import shutil
import subprocess

# --- the document ---


def cell_dict(table, column, path):
    cell = table.cell(column, path.name)
    return {"figures": {name: cell.figure(i).as_dict() for i, name in enumerate(column.figures)},
            "cost": cell.cost(column.per), "errors": cell.errors(), "disturbed": cell.disturbed,
            "samples": [{"figures": s.figures, "cost": s.cost, "count": s.count, "elsewhere": round(s.elsewhere, 3), **s.more}
                        for s in cell.samples]}


def ratio_dict(table, column, ratio):
    mine, theirs = (sum(table.cell(column, p).cost(1).values()) for p in ratio.paths)
    return {"what": ratio.what, "figure": table.ratio(column, *ratio.paths).as_dict(), "cost": mine / theirs if theirs else None}


def column_dict(table, column):
    names = {p.name for p in table.paths}
    shown = [r for r in table.scenario.ratios if set(r.paths) <= names]
    return {"name": column.name, "figures": list(column.figures), "cost": column.cost,
            "cells": {p.name: cell_dict(table, column, p) for p in table.paths},
            "ratios": [ratio_dict(table, column, r) for r in shown]}


def verdict_dict(verdict):
    return {"column": verdict.column, "what": verdict.what, "measured": verdict.measured.as_dict(), "goal": verdict.goal,
            "met": verdict.met, "disturbed": verdict.disturbed}


def scenario_dict(table, options):
    return {"name": table.scenario.name, "about": table.scenario.about, "paths": [p.name for p in table.paths],
            "rounds": table.rounds, "seconds": options.seconds, "pinned": options.pin, "first": options.first,
            "again": table.again, "notes": table.notes, "columns": [column_dict(table, c) for c in table.columns],
            "goals": [verdict_dict(v) for v in table.verdicts()]}


def document(facts, tables, options):
    return {"facts": facts, "scenarios": [scenario_dict(t, options) for t in tables]}


def merged(documents):
    """One document of several parts of one run: of one commit on one machine, whatever is in them once."""
    out = documents[0] | {"facts": dict(documents[0]["facts"]), "scenarios": []}
    for part in documents:
        differ = [k for k, v in part["facts"].items() if k != "date" and v != out["facts"].get(k)]
        if differ:
            raise ValueError(f"these are not parts of one run: {', '.join(differ)} differ")
        for scenario in part["scenarios"]:
            same = [s for s in out["scenarios"] if s["name"] == scenario["name"]]
            if same:
                _join(same[0], scenario)
            else:
                out["scenarios"].append(json.loads(json.dumps(scenario)))
    return out


def _join(scenario, more):
    """Other columns of the same scenario."""
    fixed = ("paths", "rounds", "seconds", "pinned", "first")
    if any(scenario[k] != more[k] for k in fixed) or {c["name"] for c in scenario["columns"]} & {c["name"] for c in more["columns"]}:
        raise ValueError(f"{scenario['name']}: these parts do not fit together")
    for key in ("columns", "notes", "goals", "again"):
        scenario[key] += more[key]


def write(path, document_):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(document_, f, indent=1)
        f.write("\n")


def read(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


# --- Markdown ---


def number(value):
    if value >= 10000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def spread(value, mark="", form=number):
    return f"{form(value['median'])}{mark} ({form(value['min'])}-{form(value['max'])})"


def precise(value):
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def lines_of(title, columns):
    yield row(title, *(c["name"] for c in columns))
    yield row("---", *("---" for _ in columns))


def figures(scenario, which):
    """A line for each path, a column for each load."""
    columns = scenario["columns"]
    name = columns[0]["figures"][which]
    yield from lines_of(name, columns)
    for path in scenario["paths"]:
        cells = [c["cells"][path] for c in columns]
        yield row(path, *(spread(c["figures"][name], "\\*" if c["disturbed"] else "") for c in cells))
    for i, ratio in enumerate(columns[0]["ratios"] if which == 0 else ()):
        shown = [c["ratios"][i]["figure"] for c in columns]
        yield row(ratio["what"], *(f"**{precise(s['median'])}** ({precise(s['min'])}-{precise(s['max'])})" for s in shown))


def costs(scenario):
    """What it cost: a line for each part of each path."""
    columns = scenario["columns"]
    yield from lines_of(columns[0]["cost"], columns)
    for path in scenario["paths"]:
        found = [c["cells"][path]["cost"] for c in columns]
        for part in found[0]:
            yield row(f"{path}: {part}", *(f"{f[part]:.2f}" for f in found))
        if len(found[0]) > 1:
            yield row(f"{path}: all", *(f"{sum(f.values()):.2f}" for f in found))
    for i, ratio in enumerate(columns[0]["ratios"]):
        found = [c["ratios"][i]["cost"] for c in columns]
        if all(found):
            yield row(ratio["what"], *(f"**{f:.3f}**" for f in found))


def goals(document_):
    """Every goal with what was measured, missed ones too."""
    yield row("scenario", "load", "what", "measured", "goal", "")
    yield row(*["---"] * 6)
    for scenario in document_["scenarios"]:
        for goal in scenario["goals"]:
            met = "met" if goal["met"] else "**MISSED**"
            yield row(scenario["name"], goal["column"], goal["what"], spread(goal["measured"], form=precise), goal["goal"],
                      met + (", but others used the machine: measure again" if goal["disturbed"] else ""))


def notes(scenario):
    cells = [c for column in scenario["columns"] for c in column["cells"].values()]
    yield from (f"- {note}" for note in scenario["notes"])
    for column in scenario["columns"]:
        failed = {path: cell["errors"] for path, cell in column["cells"].items() if cell["errors"]}
        if failed:
            yield f"- {column['name']}: not answered: " + ", ".join(f"{n} of {path}" for path, n in failed.items())
    if scenario["again"]:
        yield f"- {scenario['again']} samples were taken again because others used too much of the machine"
    if any(c["disturbed"] for c in cells):
        yield "- \\* others used the machine in so many rounds that all count: believe the CPU, not the rate"


def how(scenario):
    return (f"{scenario['about'][0].upper()}{scenario['about'][1:]}. {scenario['rounds']} rounds of {scenario['seconds']} s"
            + (", pinned" if scenario["pinned"] else "") + (", before others" if scenario["first"] else "") + ".")


def markdown(document_, plots=None):
    """The report; with pictures where they lie in the folder PLOTS."""
    lines = ["# Measured beside each other", ""]
    lines += [f"{k}: {v}  " for k, v in document_["facts"].items() if v]
    lines += ["all paths in turn, round after round; median (min-max) of the rounds; README.md says how to read them  "]
    lines += ["", document_["note"]] if document_.get("note") else []
    if any(s["goals"] for s in document_["scenarios"]):
        lines += ["", "## Goals", "", *goals(document_)]
    for scenario in document_["scenarios"]:
        lines += ["", f"## {scenario['name']}", "", how(scenario), ""]
        lines += [f"![{scenario['name']}]({plots}/{scenario['name']}.svg)", ""] if plots else []
        for which in range(len(scenario["columns"][0]["figures"])):
            lines += [*figures(scenario, which), ""]
        lines += [*costs(scenario), "", *notes(scenario)]
        while lines[-1] == "":
            lines.pop()
    return "\n".join(lines) + "\n"


# --- SVG ---

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


def plot_script(scenario, out):
    """For gnuplot: a group of bars for each load, a bar for each path."""
    title, lines = scenario["columns"][0]["figures"][0], []
    for column in scenario["columns"]:
        values = [column["cells"][p]["figures"][title] for p in scenario["paths"]]
        lines.append(" ".join([f'"{column["name"]}"'] + [f"{v['median']} {v['min']} {v['max']}" for v in values]))
    plots = ", ".join(f'$d using {3 * i + 2}:{3 * i + 3}:{3 * i + 4}{":xtic(1)" if i == 0 else ""} title "{name}"'
                      for i, name in enumerate(scenario["paths"]))
    return "$d << EOD\n" + "\n".join(lines) + "\nEOD\n" + PLOT.format(out=out, title=scenario["about"], unit=title, plots=plots)


def plot(scenario, folder):
    """FOLDER/SCENARIO.svg by gnuplot; None without it."""
    if shutil.which("gnuplot") is None:
        return None
    out = f"{folder}/{scenario['name']}.svg"
    subprocess.run(["gnuplot"], input=plot_script(scenario, out), text=True, check=True, capture_output=True)
    return out
