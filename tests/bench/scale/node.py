"""A node for measurements: agent, embedded redis and gateway in a folder of their own; their CPU time and memory."""
import os
import random
import socket
import subprocess
import sys
import time

TICKS = os.sysconf("SC_CLK_TCK")


class Redis:
    """A pipelining client of the bus, only what is needed here."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(300)
        self._socket.connect(path)
        self._in = self._socket.makefile("rb")

    def send(self, *words):
        return self.send_all([words])

    def send_all(self, commands):
        out = []
        for words in commands:
            out.append(b"*%d\r\n" % len(words))
            for word in words:
                word = word if isinstance(word, bytes) else str(word).encode()
                out.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self._socket.sendall(b"".join(out))

    def read(self):
        line = self._in.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self._in.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        return int(rest) if kind == b":" else rest

    def ask(self, *words):
        self.send(*words)
        return self.read()

    def close(self):
        self._in.close()
        self._socket.close()


def status(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith(key + ":"):
                return line.split(":", 1)[1].strip()
    return ""


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def wait_for(what, condition, limit_s=60, step_s=0.01):
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            sys.exit(f"FAIL: not within {limit_s} s: {what}")
        time.sleep(step_s)


class Node:
    """One gateway node on an address of its own under 127/8."""

    def __init__(self, binaries, folder, authority, tcp_ports, tunnel_wait="1ms"):
        self.binaries, self.folder = binaries, folder
        self.name = "scale"
        self.address = f"127.{random.randrange(1, 250)}.{random.randrange(1, 250)}.1"
        self.http, self.https, self.tunnel = 8080, 8443, 7443
        self.socket = f"{folder}/bus.sock"
        self.process = None
        self.started = 0.0
        self._tunnel_wait = tunnel_wait
        self._write_config(authority, tcp_ports)

    def _write_config(self, authority, tcp_ports):
        with open(f"{self.folder}/agent.conf", "w", encoding="ascii") as f:
            f.write(f"""[node]
name = {self.name}
state-dir = {self.folder}/state
[bus]
url = embedded
socket = {self.socket}
[trust]
authority = {authority}
[module gateway]
exec = {self.binaries}/netwall-gateway
config = {self.folder}/gateway.conf
""")
        with open(f"{self.folder}/gateway.conf", "w", encoding="ascii") as f:
            f.write(f"""[gateway]
state-dir = {self.folder}/state/gateway
domain = scale.test
public-address = {self.address}
direct-backends = 127.0.0.0/8
[listen]
http = {self.address}:{self.http}
https = {self.address}:{self.https}
tunnel = {self.address}:{self.tunnel}
tunnel-endpoint = {self.address}:{self.tunnel}
tcp-address = {self.address}
tcp-ports = 20000-{20000 + tcp_ports - 1}
[limits]
tunnel-wait = {self._tunnel_wait}
visitors-per-source = 1000000
""")

    def start(self):
        with open(f"{self.folder}/node.log", "ab") as log:
            self.started = time.monotonic()
            self.process = subprocess.Popen([f"{self.binaries}/netwall-agent", "--config", f"{self.folder}/agent.conf"],
                                            stdout=log, stderr=log)

    def since_start(self):
        return time.monotonic() - self.started

    def bus(self):
        def dial():
            try:
                bus = Redis(self.socket)
                bus.ask("PING")
                return bus
            except (OSError, RuntimeError, ValueError):
                return None
        return wait_for("the bus answers", dial)

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process = None

    def pids(self):
        """Name -> pid of agent, redis and gateway."""
        found = {"agent": self.process.pid}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if status(pid, "PPid") != str(self.process.pid):
                    continue
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    word = f.read().split(b"\0")[0].decode()
            except OSError:
                continue
            if "redis-server" in word:
                found["redis"] = int(pid)
            elif "gateway" in word:
                found["gateway"] = int(pid)
        return found

    def cpu(self):
        return {name: cpu_s(pid) for name, pid in self.pids().items()}

    def memory_kib(self):
        return {name: int(status(pid, "VmRSS").split()[0]) for name, pid in self.pids().items()}
