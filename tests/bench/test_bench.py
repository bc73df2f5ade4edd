#!/usr/bin/python3
"""What tests/bench/run says of samples: ratios, goals, parts of a run; that pace, the open loop, leaves no stall out,
and that bare, the plainest two hops, carries everything.

test_bench.py PACE BARE: the programs. Runs in ctest; measures nothing of netwall.
"""
import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import types
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from beside import report  # noqa: E402
from beside.loads import Capacity, HalfLoad, Outcome  # noqa: E402
from beside.measure import Sample, Table  # noqa: E402
from beside.parts import Path  # noqa: E402
from beside.process import listens, wait_for  # noqa: E402
from beside.scenarios import Column, Cost, Ratio, Scenario  # noqa: E402

OPTIONS = argparse.Namespace(seconds=2, pin=False, first=False)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


def table(rates, goals=(), column="64 x 1k", noisy=(), ratios=()):
    """A table of one column: path -> a rate for each round; the rounds NOISY were disturbed."""
    columns = [Column(column, None, ("requests/s",), 1000, "CPU s per 1 000 requests")]
    filled = Table(Scenario("made up", "samples", tuple(rates), columns, goals, ratios=ratios), columns, [Path(name) for name in rates])
    for path, values in rates.items():
        filled.cell(columns[0], path).samples = [
            Sample(Outcome(value, 1.0), {"edge": 2.0}, 0.5 if i in noisy else 0.0, 0.1) for i, value in enumerate(values)]
    return filled


def document(*tables):
    return report.document({"date": "today", "commit": "1234"}, tables, OPTIONS)


def goals_of(*arguments, **more):
    return document(table(*arguments, **more))["scenarios"][0]["goals"]


class Figures(unittest.TestCase):
    def test_ratio_is_taken_within_each_round(self):
        # the machine slows down to a tenth; of medians of each, the ratio would be 1
        (goal,) = goals_of({"ours": [200, 100, 20], "theirs": [100, 200, 10]}, [Ratio("ours", "theirs", least=1.5)])
        self.assertEqual((goal["measured"]["median"], goal["measured"]["min"], goal["measured"]["max"]), (2.0, 0.5, 2.0))
        self.assertTrue(goal["met"])

    def test_goal_just_missed_is_missed(self):
        rates = {"ours": [99.9] * 3, "theirs": [100] * 3}
        self.assertFalse(goals_of(rates, [Ratio("ours", "theirs", least=1.0)])[0]["met"])
        self.assertTrue(goals_of(rates, [Ratio("ours", "theirs", most=1.0)])[0]["met"])
        self.assertFalse(goals_of(rates, [Ratio("theirs", "ours", most=1.0)])[0]["met"])

    def test_path_without_any_request_meets_no_goal(self):
        rates = {"ours": [100] * 3, "theirs": [0] * 3}
        self.assertFalse(goals_of(rates, [Ratio("ours", "theirs", least=1.0)])[0]["met"])
        self.assertFalse(goals_of(rates, [Ratio("ours", "theirs", most=1.0)])[0]["met"])
        self.assertFalse(goals_of(rates, [Cost("theirs", "edge", most=1.0)])[0]["met"])

    def test_cost_is_for_what_was_counted(self):
        (goal,) = goals_of({"ours": [100, 200, 400]}, [Cost("ours", "edge", most=10)])
        self.assertEqual(goal["measured"], {"median": 10.0, "min": 5.0, "max": 20.0})

    def test_disturbed_rounds_do_not_count_while_three_are_calm(self):
        found = document(table({"ours": [1, 100, 100, 100, 1]}, noisy=(0, 4)))["scenarios"][0]["columns"][0]["cells"]["ours"]
        self.assertEqual((found["figures"]["requests/s"]["min"], found["disturbed"]), (100, False))
        found = document(table({"ours": [1, 100, 100, 1, 1]}, noisy=(0, 3, 4)))["scenarios"][0]["columns"][0]["cells"]["ours"]
        self.assertEqual((found["figures"]["requests/s"]["min"], found["disturbed"]), (1, True))

    def test_half_load_is_half_of_the_slowest(self):
        capacity = Capacity()
        capacity._sustained = {"fast": 900.0, "slow": 300.0, "slowest": 100.0}
        for among, rate in ((None, 50.0), (("fast", "slow"), 150.0)):
            load = HalfLoad(capacity, among)
            load.prepare(None, [], OPTIONS)
            self.assertEqual(load.rate, rate)


class Report(unittest.TestCase):
    RATES = {"ours": [90, 100, 110], "theirs": [100, 100, 100]}

    def test_missed_goal_is_in_the_table(self):
        text = report.markdown(document(table(self.RATES, [Ratio("ours", "theirs", least=1.15)])))
        self.assertIn("| made up | 64 x 1k | ours / theirs | 1.000 (0.900-1.100) | >= 1.15 | **MISSED** |", text)
        text = report.markdown(document(table(self.RATES, [Ratio("ours", "theirs", least=1.15)], noisy=(0, 1))))
        self.assertIn("**MISSED**, but others used the machine: measure again", text)

    def test_ratio_without_a_goal_is_told_and_not_judged(self):
        text = report.markdown(document(table(self.RATES, ratios=[Ratio("ours", "theirs")])))
        self.assertIn("| ours / theirs | **1.000** (0.900-1.100) |", text)
        self.assertNotIn("## Goals", text)

    def test_markdown_is_made_from_the_json_alone(self):
        whole = document(table(self.RATES, [Ratio("ours", "theirs", least=1.0)]))
        self.assertEqual(report.markdown(whole), report.markdown(json.loads(json.dumps(whole))))

    def test_parts_of_a_run_become_one(self):
        one, two = (document(table(self.RATES, [Ratio("ours", "theirs", least=1.0)], column=name)) for name in ("a", "b"))
        whole = report.merged([one, two])
        self.assertEqual([c["name"] for c in whole["scenarios"][0]["columns"]], ["a", "b"])
        self.assertEqual([g["column"] for g in whole["scenarios"][0]["goals"]], ["a", "b"])
        self.assertIn("| requests/s | a | b |", report.markdown(whole))
        self.assertEqual(len(one["scenarios"][0]["columns"]), 1, "the parts stay as they are")

    def test_parts_of_different_runs_are_refused(self):
        one, two = document(table(self.RATES, column="a")), document(table(self.RATES, column="b"))
        with self.assertRaises(ValueError):
            report.merged([one, one])
        two["facts"]["commit"] = "5678"
        with self.assertRaises(ValueError):
            report.merged([one, two])

    def test_plot_has_a_bar_with_its_spread_for_each_path(self):
        script = report.plot_script(document(table(self.RATES))["scenarios"][0], "/out.svg")
        self.assertIn('"64 x 1k" 100.0 90.0 110.0 100.0 100.0 100.0\n', script)
        self.assertIn('title "ours", $d using 5:6:7 title "theirs"', script)


class Service:
    """Answers every request, but the one after WARM only after STALL_S, and with it all others; None: never again.
    Ends a connection that says bye."""

    def __init__(self, warm, stall_s):
        self._left, self._stall_s = warm, stall_s
        self._lock, self._end = threading.Lock(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            peer, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer, contextlib.suppress(OSError):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while peer.recv(4096) not in (b"", b"bye"):
                with self._lock:
                    self._left -= 1
                    if self._left < 0 and self._stall_s is None:
                        self._end.wait()
                    if self._left == -1:
                        time.sleep(self._stall_s)
                peer.sendall(ANSWER)


def ask(port, clients, rate, seconds):
    done = subprocess.run([PACE, "127.0.0.1", str(port), "/", "x", str(clients), str(rate), str(seconds)], check=True,
                          capture_output=True, text=True, timeout=60)
    return types.SimpleNamespace(**json.loads(done.stdout))


def pace(warm, stall_s, rate, seconds):
    return ask(Service(warm, stall_s).port, warm, rate, seconds)


class Pace(unittest.TestCase):
    def test_stall_costs_every_request_that_it_holds_up(self):
        told = pace(4, 0.4, 200, 0.6)  # a closed loop of 4 clients would have 4 slow ones among 120
        self.assertEqual((told.requests + told.unanswered, told.errors), (121, 0))
        self.assertGreater(told.p90_us, 100_000)
        self.assertGreaterEqual(told.max_us, 390_000)

    def test_what_is_never_answered_counts_with_its_age(self):
        told = pace(4, None, 100, 0.1)
        self.assertEqual((told.requests, told.unanswered), (0, 11))
        self.assertGreater(told.p50_us, 900_000)

    def test_service_that_is_not_there_is_a_failure(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            done = subprocess.run([PACE, "127.0.0.1", str(unused.getsockname()[1]), "/", "x", "1", "1", "1"], check=False,
                                  capture_output=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)


class Bare(unittest.TestCase):
    def setUp(self):
        self.service = Service(1 << 30, None)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        process = subprocess.Popen([BARE, str(self.port), str(self.service.port)])
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.kill)
        wait_for("bare listens", lambda: listens(self.port))

    def test_every_request_is_answered(self):
        told = ask(self.port, 16, 500, 0.5)
        self.assertEqual((told.requests, told.errors, told.unanswered), (251, 0, 0))

    def test_connections_come_and_go(self):
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", self.port), 10) as visitor:
                visitor.sendall(b"GET / HTTP/1.1\r\n\r\n")
                self.assertEqual(visitor.recv(4096), ANSWER)

    def test_end_of_the_service_is_the_visitors(self):
        with socket.create_connection(("127.0.0.1", self.port), 10) as visitor:
            visitor.sendall(b"bye")
            self.assertEqual(visitor.recv(4096), b"")


if __name__ == "__main__":
    PACE, BARE = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main()
