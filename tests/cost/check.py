#!/usr/bin/python3
"""Counts what fixed scenarios cost (tests/cost/README.md) and compares with figures.txt beside this file.

Counted under callgrind, for one round of each scenario: instructions of our own code, and calls of functions outside it. What libc and
libcrypto do is not counted: they choose their code by the processor. Fails when a figure is more than 5 % over the committed one.
"""
import argparse
import glob
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = 16
CEILING_PERCENT = 5
SKIP = 77
MEASURES = ("instructions", "calls")
BUILT_BY = "GNU 12.2.0 Release"  # what the committed figures hold for: Debian 12's gcc
# For libcrypto and libc: a processor that has none of what they look for.
POORER = {"OPENSSL_ia32cap": "~0x200000200000000:0", "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2_Usable,-AVX2,-ERMS,-SSE4_2,-SSSE3,-AVX"}
VALGRIND = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--compress-strings=no", "--compress-pos=no", "--quiet"]


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def count(path, program):
    """The name of the scenario that callgrind wrote to PATH, and its two figures for all rounds."""
    name, ours, target, is_call = "", False, False, False
    own = calls = 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            key, _, value = line.rstrip("\n").partition("=")
            if line.startswith("desc: Trigger: Client Request: "):
                name = line.split(": ")[-1].strip()
            elif key == "ob":
                ours = target = value == program
            elif key == "cob":
                target = value == program
            elif key == "calls":
                calls += int(value.split()[0]) if ours and not target else 0
                target, is_call = ours, True  # the next line is the cost of who is called
            elif line[:1].isdigit() or line[:1] in "+-*":
                own += int(line.split()[1]) if ours and not is_call and len(line.split()) > 1 else 0
                is_call = False
    return name, (own, calls)


def measure(program, *how, **environment):
    """{scenario: (instructions, calls)} of one round."""
    program = os.path.realpath(program)
    figures = {}
    with tempfile.TemporaryDirectory(prefix="nw-cost.") as folder:
        out = os.path.join(folder, "out")
        run = subprocess.run([*VALGRIND, f"--callgrind-out-file={out}", program, str(ROUNDS), *how], capture_output=True, text=True,
                             check=False, env={**os.environ, **environment})
        if run.returncode != 0:
            sys.exit(f"{program} failed under valgrind:\n{run.stdout}{run.stderr}")
        for path in glob.glob(out + ".*"):
            name, sums = count(path, program)
            figures[name] = tuple(round(n / ROUNDS) for n in sums)
    if not figures or not all(own for own, _ in figures.values()):
        sys.exit(f"callgrind saw nothing of {program}: {figures}")
    return figures


def read(path):
    with open(path, encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    return {name: (int(own), int(calls)) for name, own, calls in rows}


def write(path, figures):
    with open(path, "w", encoding="utf-8") as file:
        file.write("# What one round of each scenario costs, from: tests/cost/check.py --accept\n")
        file.write(f"# {'scenario':<14}{MEASURES[0]:>14}{MEASURES[1]:>8}\n")
        for name, (own, calls) in sorted(figures.items()):
            file.write(f"{name:<16}{own:>14}{calls:>8}\n")


def faults(committed, measured):
    """One line for each figure that is too high, or has nothing to be compared with."""
    lines = []
    for name in sorted(committed.keys() | measured.keys()):
        if name not in committed or name not in measured:
            lines.append(f"{name}: {'not in figures.txt' if name in measured else 'in figures.txt, but not measured'}")
            continue
        for what, old, new in zip(MEASURES, committed[name], measured[name]):
            if new * 100 > old * (100 + CEILING_PERCENT):
                lines.append(f"{name}: {new} {what} a round, committed are {old}: {percent(old, new)}, "
                             f"more than {CEILING_PERCENT} % are too many")
    return lines


def percent(old, new):
    return f"{(new - old) * 100 / old:+.1f} %" if old else "new"


def show(committed, measured):
    for name, figures in sorted(measured.items()):
        print(f"{name:<16}" + "".join(f"{new:>10} {what} ({percent(old, new)})" for what, old, new in
                                      zip(MEASURES, committed.get(name, (0, 0)), figures)))


def check(program, path):
    committed, measured = read(path), measure(program)
    show(committed, measured)
    wrong = faults(committed, measured)
    if wrong:
        print("\nA scenario costs more than it did:", *wrong, sep="\n  ")
        print("Which functions: tests/cost/README.md. If it is worth it: tests/cost/check.py --accept, and say why in the commit.")
    elif any(new * 100 < old * (100 - CEILING_PERCENT) for name in measured for old, new in zip(committed[name], measured[name])):
        print("\nA scenario costs less than it did: tests/cost/check.py --accept makes that the new ceiling.")
    return 1 if wrong else 0


def expect(right, what):
    if not right:
        sys.exit(f"selftest: {what}")


def selftest(program):
    """The check can fail: a figure just over its ceiling, a scenario missing or new, and a program that really does everything twice."""
    base = {"a": (1000, 20)}
    expect(not faults(base, {"a": (1050, 21)}), "5 % more must pass")
    expect(not faults(base, {"a": (10, 0)}), "less must pass")
    for worse in ({"a": (1051, 20)}, {"a": (1000, 22)}, {}, {"a": (1000, 20), "b": (1, 1)}):
        expect(len(faults(base, worse)) == 1, f"{worse} must fail")
    once, twice = measure(program), measure(program, "twice")
    expect(not faults(once, once), "a run must pass its own figures")
    for name in once:
        lines = [line for line in faults(once, twice) if line.startswith(name + ": ")]
        expect(lines and f"{twice[name][0]} instructions" in lines[0] and f"are {once[name][0]}" in lines[0],
               f"{name} done twice must be named with both figures, not {lines}")
    poorer = measure(program, **POORER)
    expect(poorer == once, f"a processor without extensions must count the same: {poorer} and {once}")
    print(f"{len(once)} scenarios done twice are all noticed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare with the committed figures (this is the default)")
    what.add_argument("--accept", action="store_true", help="write what is measured to figures.txt")
    what.add_argument("--selftest", action="store_true", help="show that the comparison can fail")
    parser.add_argument("--built-by", metavar="TEXT", help=f"compiler and build type; skipped unless it is '{BUILT_BY}'")
    parser.add_argument("program", nargs="?", default=os.path.join(HERE, "..", "..", "build", "tests", "cost_scenarios"))
    options = parser.parse_args()
    if options.built_by not in (None, BUILT_BY):
        skip(f"the figures are those of {BUILT_BY}, this build is {options.built_by}")
    if shutil.which("valgrind") is None:
        skip("no valgrind")
    if not os.path.exists(options.program):
        skip(f"{options.program} is not built; valgrind's headers were missing, or it is a build with sanitizers")
    os.environ.setdefault("NW_SOURCE_DIR", os.path.join(HERE, "..", ".."))
    figures = os.path.join(HERE, "figures.txt")
    if options.selftest:
        selftest(options.program)
    elif options.accept:
        write(figures, measure(options.program))
        print(f"written: {figures}")
    else:
        sys.exit(check(options.program, figures))


if __name__ == "__main__":
    main()
