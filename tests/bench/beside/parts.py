"""The service behind everything, and netwall in front of it: agent, gateway and connector, each a process tree."""
import json
import os
import socket
import subprocess
import sys

from beside import machine
from beside.process import listens, need, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "scale"))
from contracts import Signer, Twin  # noqa: E402
from node import Node  # noqa: E402

PAGES = {"1k": 1024, "100k": 100 * 1024}
HOSTS = {"web": "web.scale.test", "tls": "secure.scale.test"}


class Origin:
    """One nginx worker with two files, and an iperf3 server: what every path leads to."""

    def __init__(self, shop):
        need("nginx", "iperf3", "openssl")
        self.web, self.tls, self.bulk = shop.ports(3)
        for name, size in PAGES.items():
            shop.write(name, "x" * size)
        certificate(shop)
        config = shop.write("origin.conf", f"""daemon off; worker_processes 1; pid origin.pid; error_log origin-error.log;
events {{ worker_connections 30000; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
    keepalive_requests 1000000000; keepalive_timeout 1h;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    ssl_certificate bench.crt; ssl_certificate_key bench.key; ssl_session_cache shared:s:10m;
    server {{
        listen 127.0.0.1:{self.web} backlog=4096; listen 127.0.0.1:{self.tls} ssl backlog=4096;
        root {shop.folder}; default_type text/plain;
    }}
}}
""")
        shop.start("origin", ["nginx", "-p", shop.folder, "-e", "origin-error.log", "-c", config], measured=False)
        shop.start("iperf3", ["iperf3", "-s", "-B", "127.0.0.1", "-p", str(self.bulk)], measured=False)
        os.chmod(shop.folder, 0o755)  # the worker of a root's nginx is nobody
        for port in (self.web, self.tls, self.bulk):
            wait_for("the origin listens", lambda p=port: listens(p))


def certificate(shop):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=secure.scale.test", "-keyout", shop.path("bench.key"), "-out", shop.path("bench.crt")],
                   check=True, capture_output=True)


class Path:
    """One way from a visitor to the origin: where each service is reached, and what works on the way."""

    def __init__(self, name, web=None, bulk=None, tls=None):
        self.name = name
        self.web, self.bulk, self.tls = web, bulk, tls  # (address, port), or None where it cannot
        self.host = None  # for the Host field, where that finds the way
        self.hosts = None  # or many of them, for a new connection each in turn
        self.fields = {}  # more that visitors send
        self.idle_cpu = {}  # part -> CPU seconds a second without visitors, where that is to be left out of their cost

    def pids(self):
        """Name of what works on the way -> its processes."""
        return {}


class Direct(Path):
    def __init__(self, origin):
        super().__init__("direct", *(("127.0.0.1", p) for p in (origin.web, origin.bulk, origin.tls)))


class Netwall:
    """A node whose twin exposes the origin by TCP port, by Host and by SNI, through one connector with so many THREADS."""

    def __init__(self, shop, binaries, origin, name="netwall", threads=1):
        self.shop, self.name, self._binaries, self._threads = shop, name, binaries, threads
        self.authority = Signer("authority")
        self.twin = self.own_twin()
        self.folder = shop.path(name)
        os.mkdir(self.folder)
        self.node = Node(binaries, self.folder, self.authority.public, 10, tunnel_wait="3s")
        self.node.process = shop.start(f"{name}-agent", [f"{binaries}/netwall-agent", "--config", f"{self.folder}/agent.conf"])
        wait_for("the bus listens", lambda: os.path.exists(self.node.socket))
        self._netwall("--json", "node", until='"public_key"')
        self._make_key()
        self._netwall("admit", shop.write(f"{name}/grant.json", json.dumps(self.twin.grant(self.authority))))
        self.deploy()
        self._connect(origin)

    def own_twin(self):
        """The tenant whose service is visited."""
        return Twin(1, 100, 10)

    def _netwall(self, *words, until=None):
        command = [f"{self._binaries}/netwall", "--bus", f"unix://{self.node.socket}", *words]

        def ask():
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            if until is None and done.returncode != 0:
                raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
            return done.stdout if until is None or until in done.stdout else None

        return wait_for(" ".join(words), ask)

    def _make_key(self):
        key = f"{self.folder}/connector.key"
        subprocess.run([f"{self._binaries}/netwall", "keygen", "--type", "x25519", "--out", key], check=True, capture_output=True)
        public = subprocess.run([f"{self._binaries}/netwall", "pubkey", key], check=True, capture_output=True, text=True)
        self.key = self.twin.connector = public.stdout.strip()

    def _connect(self, origin):
        config = self.shop.write(f"{self.name}/connector.conf", f"[connector]\nthreads = {self._threads}\n")
        self.connector = self.shop.start(f"{self.name}-connector", [
            f"{self._binaries}/netwall-connector", "--config", config, "--key", f"{self.folder}/connector.key", "--twin", "1",
            "--gateway", f"{self.node.address}:{self.node.tunnel}#{self.gateway_key()}",
            "--service", f"web=127.0.0.1:{origin.web},tls=127.0.0.1:{origin.tls}",
            "--service", f"bulk=127.0.0.1:{origin.bulk}"])
        wait_for("the origin is served", self.serves)

    def gateway_key(self):
        return json.loads(self._netwall("--json", "node"))["tunnel"].get("public_key")

    def deploy(self):
        contract = self.twin.contract(1, 0, self.workloads(), self.node.name)
        self._netwall("deploy", self.shop.write(f"{self.name}/contract.json", json.dumps(contract)))

    def workloads(self):
        web, bulk = f"tunnel:{self.key}/web", f"tunnel:{self.key}/bulk"
        return [
            {"name": "web", "type": "gateway-name-proxy", "data": {"name": "web", "backends": [web]}},
            {"name": "tls", "type": "gateway-name-proxy",
             "data": {"name": "secure", "backends": [web], "tls_passthrough": True}},
            {"name": "port", "type": "gateway-tcp-proxy", "data": {"port": 20000, "backends": [web]}},
            {"name": "bulk", "type": "gateway-tcp-proxy", "data": {"port": 20001, "backends": [bulk]}},
        ]

    def serves(self):
        try:
            with socket.create_connection((self.node.address, self.node.http), 5) as s:
                s.sendall(f"GET /1k HTTP/1.1\r\nHost: {HOSTS['web']}\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in s.recv(64)
        except OSError:
            return False

    def answers(self, former):
        """Whether another gateway than the one with the pid FORMER answers visitors."""
        if self.node.pids().get("gateway", former) == former:
            return False
        try:
            with socket.create_connection((self.node.address, self.node.http), 1) as s:
                s.sendall(b"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
                return s.recv(64) != b""
        except OSError:
            return False

    def pids(self):
        return {"gateway": [self.node.pids()["gateway"]], "connector": machine.tree(self.connector.pid)}

    def paths(self):
        return [NetwallPort(self), NetwallHost(self), NetwallFields(self)]


class NetwallPort(Path):
    """By TCP port: bytes that nobody looks at. By SNI for TLS."""

    def __init__(self, netwall):
        address = netwall.node.address
        super().__init__("netwall", (address, 20000), (address, 20001), (address, netwall.node.https))
        self.pids = netwall.pids


class NetwallThreads(NetwallPort):
    """By TCP port on a node of its own, whose connector has as many threads as there are cores."""

    def __init__(self, shop, binaries, origin):
        super().__init__(Netwall(shop, binaries, origin, "netwall-threads", min(os.cpu_count(), 8)))
        self.name = "netwall-threads"


class NetwallHost(Path):
    """By the Host field of each request."""

    def __init__(self, netwall):
        super().__init__("netwall-http", (netwall.node.address, netwall.node.http))
        self.host = HOSTS["web"]
        self.pids = netwall.pids


class NetwallFields(NetwallPort):
    """By TCP port from visitors who send the fields that the gateway adds to a request: the service reads the same as by Host."""

    def __init__(self, netwall):
        super().__init__(netwall)
        self.name = "netwall-fields"
        self.fields = {
            "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": HOSTS["web"],
            "X-Forwarded-Port": str(netwall.node.http), "X-Real-IP": "127.0.0.1",
            "Forwarded": f"for=127.0.0.1;proto=http;host={HOSTS['web']}", "X-Request-Id": "0123456789abcdef0123456789abcdef",
            "Via": "1.1 netwall"}
