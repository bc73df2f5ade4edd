"""What processes of a tree used of the machine, what went elsewhere meanwhile, and what the machine is."""
import contextlib
import os
import platform
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
CALM = 0.10  # more of the machine than that elsewhere, and a sample does not count
CALM_FIRST = 0.40  # the same when ours run first: others get what ours leave


def _read(path):
    try:
        with open(path, encoding="ascii", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def _stats():
    """pid -> (parent, ticks of its own, ticks of its ended children)"""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if fields:
            user, system, ended_user, ended_system = map(int, fields[11:15])
            found[int(pid)] = int(fields[1]), user + system, ended_user + ended_system
    return found


def tree(root, stats=None):
    """ROOT and everything below it."""
    stats = _stats() if stats is None else stats
    children = {}
    for pid, (parent, _, _) in stats.items():
        children.setdefault(parent, []).append(pid)
    todo, found = [root], []
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo.extend(children.get(pid, ()))
    return found


def cpu_s(pids):
    """CPU seconds of PIDS so far: to the nanosecond from their threads, in ticks where some threads have ended."""
    total, stats = 0.0, _stats()
    for pid in pids:
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        exact = [_read(f"/proc/{pid}/task/{t}/schedstat").split() for t in threads]
        total += max(sum(int(e[0]) for e in exact if e) / 1e9, stats.get(pid, (0, 0, 0))[1] / TICKS)
    return total


def rss_kib(pids):
    total = 0
    for pid in pids:
        for line in _read(f"/proc/{pid}/status").splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def end_now(pid):
    os.kill(pid, signal.SIGKILL)


def prefer(pids):
    """Let PIDS run before all others: nice for them, and for their sessions where the kernel schedules by these."""
    for pid in pids:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.setpriority(os.PRIO_PROCESS, int(thread), -20)
            with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as f:
                f.write("-20")


class Elsewhere:
    """Since it was made: the part of the machine that neither our own tree nor idling used."""

    def __init__(self):
        self._begin = self._now()

    @staticmethod
    def _now():
        user, nice, system, _, _, _, _, steal = map(int, _read("/proc/stat").split()[1:9])
        stats = _stats()
        own = sum(stats[p][1] + stats[p][2] for p in tree(os.getpid(), stats) if p in stats)
        return time.monotonic(), user + nice + system + steal, own

    def part(self):
        begin, now = self._begin, self._now()
        capacity = (now[0] - begin[0]) * TICKS * os.cpu_count()
        return max(0.0, (now[1] - begin[1] - (now[2] - begin[2])) / capacity)


def _first_line(*command, holds=""):
    """The first line that COMMAND says (and that HOLDS some text), or None."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    lines = [x.strip() for x in (done.stdout + "\n" + done.stderr).splitlines() if x.strip() and holds in x]
    return lines[0] if lines else None


def facts(binaries):
    """What a reader needs beside the figures."""
    model = [x.split(":", 1)[1].strip() for x in _read("/proc/cpuinfo").splitlines() if x.startswith("model name")]
    build = [x.split("=", 1)[1] for x in _read(f"{binaries}/../CMakeCache.txt").splitlines() if x.startswith("CMAKE_BUILD_TYPE")]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": model[0] if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "netwall": _first_line(f"{binaries}/netwall-gateway", "--version"),
        "commit": _first_line("git", "-C", os.path.dirname(__file__), "describe", "--always", "--dirty"),
        "build": build[0] if build else "unknown",
        "wrk": _first_line("dpkg-query", "-W", "-f", "${Version}", "wrk"),
        "nginx": _first_line("nginx", "-v"),
        "haproxy": _first_line("haproxy", "-v"),
        "stunnel": _first_line("stunnel4", "-version", holds="stunnel 5"),
        "ssh": _first_line("ssh", "-V"),
        "iperf3": _first_line("iperf3", "--version"),
    }
