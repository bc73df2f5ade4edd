"""What else is on a node while one service is visited: exposures by the hundred thousand, tunnels by the thousand."""
import json
import subprocess
import time

from beside import machine
from beside.parts import Netwall, Path
from beside.process import wait_for
from contracts import Twin, contracts_of

EACH = 1000  # exposures of one twin
PER_CONTRACT = 50
KEYS_PER_WORKLOAD, KEYS_PER_CONTRACT = 16, 640  # backends that a workload may have; a contract stays below 64 KiB
AT_ONCE = 200  # contracts on their way
SETTLED_S = 10.5  # a tunnel that lived so long begins its backoff anew


class Crowd(Netwall):
    """A node of its own with EXPOSURES in all, of which the visited twin has the first thousand, and what TUNNELS need: a key each,
    16 of them in an exposure. The tunnels are those of a Herd."""

    def __init__(self, shop, origin, exposures=1, tunnels=0):
        self.exposures, self.tunnels = exposures, tunnels
        super().__init__(shop, shop.binaries, origin, f"crowd-{exposures}-{tunnels}")

    def own_twin(self):
        return Twin(1, min(self.exposures, EACH) + self.tunnels, 0)

    def workloads(self):
        return [self.exposure("web")]

    def exposure(self, name):
        return {"name": name, "type": "gateway-name-proxy", "data": {"name": name, "backends": [f"tunnel:{self.key}/web"]}}

    def hosts(self):
        """Those of the visited twin."""
        return ["web.scale.test"] + [f"more{i}.scale.test" for i in range(1, min(self.exposures, EACH))]

    def deploy(self):
        super().deploy()
        bus = self.node.bus()
        self._run_all(bus, [("zos.deployment.deploy", c) for c in self._own_contracts()])
        twins = [Twin(n + 2, EACH, 0) for n in range(-(-max(0, self.exposures - EACH) // EACH))]
        self._run_all(bus, [("netwall.twin.admit", t.grant(self.authority)) for t in twins])
        for twin in twins:
            contracts = contracts_of(twin, PER_CONTRACT, self.node.name, None)
            self._run_all(bus, [("zos.deployment.deploy", document) for _, document, _ in contracts])
        wait_for("the node is settled", lambda: bus.ask("XLEN", "netwall:report:gateway") == 0, 300, 0.1)
        bus.close()

    def _own_contracts(self):
        more = [self.exposure(f"more{i}") for i in range(1, min(self.exposures, EACH))]
        for first in range(0, len(more), PER_CONTRACT):
            yield self.twin.contract(100 + first, 0, more[first:first + PER_CONTRACT], self.node.name)
        keys = herd_keys(self.shop, self.tunnels)
        for first in range(0, len(keys), KEYS_PER_CONTRACT):
            part = keys[first:first + KEYS_PER_CONTRACT]
            workloads = [{"name": f"herd{first + i}", "type": "gateway-name-proxy", "data": {
                "name": f"herd{first + i}", "backends": [f"tunnel:{key}/web" for key in part[i:i + KEYS_PER_WORKLOAD]]}}
                for i in range(0, len(part), KEYS_PER_WORKLOAD)]
            yield self.twin.contract(5000 + first, 0, workloads, self.node.name)

    def _run_all(self, bus, commands):
        for first in range(0, len(commands), AT_ONCE):
            part = commands[first:first + AT_ONCE]
            bus.send_all([("RPUSH", "core:default", json.dumps(
                {"id": f"b{first + i}", "command": verb, "arguments": document, "max_time": 120}))
                for i, (verb, document) in enumerate(part)])
            for _ in part:
                bus.read()
            for i in range(len(part)):
                self._check(bus.ask("BLPOP", f"result:b{first + i}", 120))

    @staticmethod
    def _check(reply):
        answer = json.loads(reply[1]) if reply else {"state": "nothing", "data": ""}
        if answer["state"] != "SUCCESS":
            raise RuntimeError(f"a contract was refused: {answer['state']} {answer['data'][:300]}")

    def herd(self):
        """Starts the tunnels."""
        return Herd(self.shop, self)


def herd_keys(shop, count):
    if count == 0:
        return []
    done = subprocess.run([shop.tool("connectors"), "--seed", shop.folder, "--count", str(count), "--print-keys"],
                          capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


class Herd:
    """All tunnels of a Crowd: one process with the connector's own code, whose log tells when they come and go."""

    def __init__(self, shop, crowd):
        self._shop, self._log = shop, f"{crowd.name}-herd.log"
        self.process = shop.start(f"{crowd.name}-herd", [
            shop.tool("connectors"), "--seed", shop.folder, "--count", str(crowd.tunnels),
            "--gateway", f"{crowd.node.address}:{crowd.node.tunnel}#{crowd.gateway_key()}"])

    def back_at_ms(self, since_ms=0):
        """Waits until all are up again after SINCE_MS; unix ms."""
        return wait_for("all tunnels are up", lambda: self._all(since_ms), 120)

    def _all(self, since_ms):
        with open(self._shop.path(self._log), encoding="ascii") as f:
            found = [json.loads(line) for line in f if line.startswith('{"event":"all"') and line.endswith("}\n")]
        return next((x["at"] for x in found if x["at"] > since_ms), None)


class CrowdPath(Path):
    """Visitors of a Crowd, by Host; HERD are its tunnels once they are up."""

    def __init__(self, name, crowd):
        super().__init__(name, (crowd.node.address, crowd.node.http))
        self.crowd, self.pids = crowd, crowd.pids
        self.hosts = crowd.hosts()
        self.host = self.hosts[len(self.hosts) // 2]
        self.herd = None

    def fill(self):
        """Brings up the tunnels, if there are to be any and they are not, and that of the visited service."""
        if self.crowd.tunnels and self.herd is None:
            self.herd = self.crowd.herd()
            self.herd.back_at_ms()
        wait_for("the origin is served", self.crowd.serves, 60)

    def kill_gateway(self):
        """Returns when it was killed and when its successor answered, unix ms."""
        (pid,) = self.crowd.pids()["gateway"]
        killed = time.time() * 1000
        machine.end_now(pid)
        wait_for("the gateway is back", lambda: self.crowd.answers(pid), 60, 0.005)
        return killed, time.time() * 1000
