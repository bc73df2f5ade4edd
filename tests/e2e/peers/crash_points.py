#!/usr/bin/python3
"""crash_points.py TMP BUS TIMES POINT...: a node for each POINT, several at a time. Contracts keep coming by list and by stream
while agent or gateway end at that point TIMES times; then everything that was asked for must be answered once, served, and applied
once. TMP holds a folder for each point, grant.json, and contracts.json: a list of [contract, version, signed text]."""
import concurrent.futures
import json
import os
import random
import sys
import time

from node_life import Node, until

AT_ONCE = 3
OF_GATEWAY = ("assigned", "applied", "saved", "reported")


class Driver:
    def __init__(self, tmp, bus, times, point):
        self.times, self.point = times, point
        self.node = Node(point, os.path.join(tmp, point), bus, point + ":")
        self.random = random.Random(point)
        with open(os.path.join(tmp, "contracts.json")) as file:
            self.contracts = json.load(file)
        with open(os.path.join(tmp, "grant.json")) as file:
            self.grant = file.read()
        self.next = 0

    def ask(self):
        """One contract by list or stream; a newer version goes the way of the older one, or it could overtake it."""
        contract = self.contracts[self.next % len(self.contracts)]
        self.next += 1
        if contract[0] % 2:
            self.node.deploy_by_list(contract)
        else:
            self.node.deploy_by_stream(contract)

    def ask_until(self, dead):
        """A contract or two, and more whenever nothing came of them for a while."""
        end, patience = time.monotonic() + 30, 0.0
        while not dead():
            assert time.monotonic() < end, "%s: nobody dies" % self.point
            if time.monotonic() >= patience:
                patience = time.monotonic() + 0.15
                for _ in range(self.random.randint(1, 2)):
                    self.ask()
            time.sleep(0.003)

    def agent_dies(self, number):
        node = self.node
        node.start("%s:%d" % (self.point, self.random.randint(1, 4)))
        self.ask_until(lambda: node.agent.poll() is not None)
        assert node.agent.returncode == -9 and node.deaths() == number, (self.point, node.agent.returncode)

    def gateway_dies(self, number):
        """It is armed when it starts, by its agent; every third time the agent ends with it."""
        node = self.node
        known = len(node.wanted) if self.point == "reported" else 0  # each is reported at the start
        node.arm_gateway("%s:%d" % (self.point, self.random.randint(1, 3 + known)))
        if number % 3 == 1:
            node.kill_all()
            node.start()
        self.ask_until(lambda: node.deaths() >= number)

    def run(self):
        begun, node = time.monotonic(), self.node
        node.start()
        until("%s: the node is up" % self.point, node.is_up)
        node.admit(self.grant)
        is_gateway = self.point in OF_GATEWAY
        if not is_gateway:
            node.kill_all()
        for number in range(1, self.times + 1):
            if is_gateway:
                self.gateway_dies(number)
            else:
                self.agent_dies(number)
        node.arm_gateway("")
        node.kill_all()
        node.start()
        node.check()
        deaths = node.deaths()
        node.kill_all()
        assert deaths >= self.times, self.point
        return "%-10s %d deaths, %d commands, %d entries, %d contracts, %.1f s" % (
            self.point, deaths, len(node.commands), len(node.entries), len(node.wanted), time.monotonic() - begun)


def main():
    tmp, bus, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
    failed = False
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(Driver(tmp, bus, times, point).run) for point in sys.argv[4:]]
        for future in futures:
            try:
                print(future.result(), flush=True)
            except Exception as problem:  # the others still tell how they fared
                failed = True
                print("FAIL: %s: %s" % (type(problem).__name__, problem), file=sys.stderr)
    sys.exit(failed)


main()
