"""One node that dies often: its agent and gateway, its bus, what was asked of it, and whether all of that came true."""
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time


class Redis:
    """As much of a client as is needed; one connection, dialled when there is none."""

    def __init__(self, path):
        self.path, self.file = path, None

    def do(self, *words):
        if self.file is None:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(20)
            sock.connect(self.path)
            self.file = sock.makefile("rwb")
        try:
            self.file.write(b"*%d\r\n" % len(words))
            for word in words:
                data = str(word).encode()
                self.file.write(b"$%d\r\n%s\r\n" % (len(data), data))
            self.file.flush()
            return self.read()
        except (OSError, EOFError):
            self.file = None
            raise

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("the bus went away")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if int(rest) < 0:
            return None
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        return self.file.read(int(rest) + 2)[:-2].decode()


def until(what, condition, limit=60):
    """Waits for CONDITION; the bus may be away meanwhile."""
    end, why = time.monotonic() + limit, ""
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
        except (OSError, EOFError, RuntimeError) as problem:
            why = problem
        time.sleep(0.005)
    raise AssertionError("not within %d s: %s %s" % (limit, what, why))


class Node:
    """FOLDER holds agent.conf, gateway.conf and state/; the bus is a socket and a prefix."""

    def __init__(self, name, folder, bus, prefix=""):
        self.name, self.folder, self.prefix = name, folder, prefix
        self.redis = Redis(bus)
        self.agent = None
        self.log_path = os.path.join(os.path.dirname(folder), "agent-%s.log" % name)
        self.log = open(self.log_path, "ab")
        self.commands, self.entries = {}, {}  # id -> (contract, version)
        self.asked = 0  # commands so far
        self.wanted = {}  # contract -> newest version asked for
        self.arm_gateway("")

    # --- life and death

    def arm_gateway(self, point):
        with open(os.path.join(self.folder, "arm"), "w") as file:
            file.write(point + "\n")

    def start(self, point=None):
        env = dict(os.environ)
        env.pop("NETWALL_CRASH_AT", None)
        if point:
            env["NETWALL_CRASH_AT"] = point
        self.agent = subprocess.Popen(["netwall-agent", "--config", os.path.join(self.folder, "agent.conf")],
                                      stdout=self.log, stderr=self.log, env=env)

    def gateway_pid(self):
        """From the module's lock; None when nobody holds it."""
        try:
            with open(os.path.join(self.folder, "state", "module-gateway.lock")) as file:
                pid = int(file.read().split()[0])
            with open("/proc/%d/cmdline" % pid) as file:
                return pid if self.folder in file.read() else None
        except (OSError, ValueError, IndexError):
            return None

    def kill_all(self):
        """Agent and gateway, and with the agent an embedded bus."""
        gateway = self.gateway_pid()
        if self.agent is not None:
            self.agent.kill()
        if gateway is not None:
            try:
                os.kill(gateway, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.agent is not None:
            self.agent.wait()
        until("the gateway is gone", lambda: self.gateway_pid() is None)

    def deaths(self):
        """At crash points, by the log of agent and gateway."""
        with open(self.log_path, "rb") as file:
            return file.read().count(b'event="crash point"')

    def is_up(self):
        """The agent answers, and a gateway has reported to it."""
        name = "up-%d" % random.getrandbits(60)
        self.command({"id": name, "command": "netwall.node.info"})
        text = self.do("BRPOPLPUSH", "result:" + name, self.prefix + "result:" + name, 5)
        return text and json.loads(json.loads(text)["data"]).get("tunnel", {}).get("public_key")

    # --- asking

    def do(self, verb, key, *rest):
        return self.redis.do(verb, self.prefix + key, *rest)

    def command(self, body):
        self.do("RPUSH", "core:default", json.dumps(body))

    def deploy_by_list(self, contract):
        number, version, text = contract
        self.asked += 1  # never the same id twice, whatever the bus still has of the first time
        name = "%s-%d-%d-%d" % (self.name, number, version, self.asked)
        self.commands[name] = contract
        self.wanted[number] = max(version, self.wanted.get(number, 0))
        self.do("RPUSH", "core:default", '{"id":"%s","command":"zos.deployment.deploy","max_time":%d,"arguments":%s}'
                % (name, random.choice([0, 10]), text))

    def deploy_by_stream(self, contract):
        number, version, text = contract
        self.wanted[number] = max(version, self.wanted.get(number, 0))
        entry = self.do("XADD", "stream:deployments", "*", "op", "deploy", "body", text)
        self.entries[entry] = contract

    def admit(self, grant):
        entry = self.do("XADD", "stream:deployments", "*", "op", "admit", "body", grant)
        until("the twin is admitted", lambda: "SUCCESS" in self.results().get(entry, [""])[0])

    # --- what came of it

    def results(self):
        answers = {}
        for _, fields in self.do("XRANGE", "stream:results", "-", "+"):
            pairs = dict(zip(fields[::2], fields[1::2]))
            answers.setdefault(pairs["id"], []).append(pairs["body"])
        return answers

    def answered(self):
        results = self.results()
        return all(results.get(entry) for entry in self.entries) and all(
            self.do("LLEN", "result:" + name) for name in self.commands)

    def nothing_left(self):
        return not self.do("LLEN", "core:default") and not self.do("LLEN", "core:default:taken") and not self.do(
            "XLEN", "stream:deployments") and not self.do("XPENDING", "stream:deployments", "netwall-agent")[0]

    def check_answers(self):
        until("%s: everything is answered" % self.name, self.answered)
        until("%s: nothing is left on the bus" % self.name, self.nothing_left)
        results = self.results()
        for entry, contract in self.entries.items():
            self.check_answer(entry, contract, results[entry])
        for name, contract in self.commands.items():
            self.check_answer(name, contract, self.do("LRANGE", "result:" + name, 0, -1))

    def check_answer(self, name, contract, answers):
        """One, and good; or an older version was asked again after a newer one had been accepted."""
        number, version = contract[:2]
        assert len(answers) == 1, (self.name, name, number, version, answers)
        result = json.loads(answers[0])
        if result["state"] != "SUCCESS":
            code = json.loads(result["data"])["code"]
            assert code == "version_conflict" and version < self.wanted[number], (self.name, name, number, version, result)

    def state_of(self, number):
        text = self.do("HGET", "netwall:workloads", "7-%d-w" % number)
        return json.loads(text)["state"] if text else None

    def serves_all(self):
        shown = dict(zip(*[iter(self.do("HGETALL", "netwall:workloads"))] * 2))
        rows = {key: json.loads(text) for key, text in shown.items()}
        return all(rows.get("7-%d-w" % number, {}).get("state") == "ok" and rows["7-%d-w" % number]["version"] == version
                   for number, version in self.wanted.items())

    def desired(self):
        fields = dict(zip(*[iter(self.do("HGETALL", "netwall:assign:gateway"))] * 2))
        entries = {key: json.loads(text) for key, text in fields.items()}
        return {key: (e["rev"], e["hash"]) for key, e in entries.items() if e["op"] == "set"}

    def applied(self):
        """What the gateway's file says: entries, then changes; a last line without its end was never finished."""
        with open(os.path.join(self.folder, "state", "gateway", "exposures.state")) as file:
            lines = [json.loads(line.split(" ", 1)[1]) for line in file if line.endswith("\n")]
        found = {}
        for e in lines[1:]:
            if "id" in e:
                found[e["id"]] = e
            found.pop(e.get("removed"), None)
        return {key: (e["rev"], e["hash"]) for key, e in found.items() if not e["gone"]}

    def check_state(self):
        until("%s: everything asked for is served" % self.name, self.serves_all)
        until("%s: applied is what is desired" % self.name, lambda: self.applied() == self.desired())
        assert set(self.desired()) == {"7-%d-w" % number for number in self.wanted}, self.name

    def visit(self, host):
        """The status that a visitor of HOST gets."""
        with open(os.path.join(self.folder, "gateway.conf")) as file:
            port = next(line.rsplit(":", 1)[1] for line in file if line.startswith("http ="))
        visit = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
        try:
            visit.request("GET", "/", headers={"Host": host})
            return visit.getresponse().status
        finally:
            visit.close()

    def check_visitors(self):
        """Each name is known at the door; behind it nobody listens."""
        until("%s: the door is open" % self.name, lambda: self.visit("nobody.localhost") == 404)
        for number in self.wanted:
            status = self.visit("n%d.%s.localhost" % (number, self.name))
            assert status == 502, (self.name, number, status)

    def check_applied_once(self):
        """In the history every state of every version stands once: the newest version was brought into service once, an
        older one at most once."""
        for number in self.wanted:
            self.command({"id": "h-%d" % number, "command": "zos.deployment.changes",
                          "arguments": {"twin_id": 7, "contract_id": number}})
        for number, newest in self.wanted.items():
            text = self.do("BRPOPLPUSH", "result:h-%d" % number, self.prefix + "result:h-%d" % number, 20)
            lines = json.loads(json.loads(text)["data"])
            for version in range(newest + 1):
                count = sum(line["version"] == version and line["result"]["state"] == "ok" for line in lines)
                assert count == 1 or (count == 0 and version < newest), (self.name, number, version, lines)

    def check(self):
        self.check_answers()
        self.check_state()
        self.check_visitors()
        self.check_applied_once()
