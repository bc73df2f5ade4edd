"""What one would pick instead: each one's usual way to bring a visitor to the origin, two hops where it can."""
import os
import pwd
import subprocess

from beside import machine
from beside.crowd import Crowd, CrowdPath
from beside.parts import Direct, Netwall, NetwallThreads, Origin, Path
from beside.process import Missing, listens, need, wait_for

STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
LOOPBACK = "127.0.0.1"


class Other(Path):
    """A path of processes that forward a port for each service."""

    def __init__(self, shop, name, origin):
        self.shop, self.parts = shop, {}
        self.ports = dict(zip(("web", "bulk"), shop.ports(2)))
        self.targets = {"web": origin.web, "bulk": origin.bulk}
        super().__init__(name, (LOOPBACK, self.ports["web"]), (LOOPBACK, self.ports["bulk"]))

    def start(self, part, command):
        self.parts[part] = self.shop.start(f"{self.name}-{part}", command)

    def ready(self, ports):
        for port in ports.values():
            wait_for(f"{self.name} listens", lambda p=port: listens(p))

    def pids(self):
        return {part: machine.tree(process.pid) for part, process in self.parts.items()}


class HaProxy(Other):
    """HAProxy 2.6, mode tcp, plain; with two hops a second process where our connector would be."""

    def __init__(self, shop, name, origin, hops):
        need("haproxy")
        super().__init__(shop, name, origin)
        far = self.targets
        if hops == 2:
            far = dict(zip(self.ports, shop.ports(2)))
            self._hop("far", far, self.targets)
            self.ready(far)
        self._hop("edge", self.ports, far)
        self.ready(self.ports)

    def _hop(self, part, ports, targets):
        listeners = "".join(f"listen {s}\n    bind {LOOPBACK}:{ports[s]}\n    server s {LOOPBACK}:{targets[s]}\n" for s in ports)
        config = self.shop.write(f"{self.name}-{part}.cfg", f"""global
    maxconn 9000
    no strict-limits
defaults
    mode tcp
    maxconn 9000
    timeout connect 10s
    timeout client 1h
    timeout server 1h
{listeners}""")
        self.start(part, ["haproxy", "-db", "-f", config])


class NginxStream(Other):
    """nginx's stream proxy, one worker, plain, one hop."""

    def __init__(self, shop, name, origin):
        need("nginx")
        if not os.path.exists(STREAM_MODULE):
            raise Missing("libnginx-mod-stream is not installed (deploy/install-deps --bench)")
        super().__init__(shop, name, origin)
        servers = "\n".join(f"    server {{ listen {LOOPBACK}:{self.ports[s]} backlog=4096; proxy_pass {LOOPBACK}:{self.targets[s]}; }}"
                            for s in self.ports)
        config = shop.write(f"{name}.conf", f"""load_module {STREAM_MODULE};
daemon off; worker_processes 1; pid {name}.pid; error_log {name}-error.log;
events {{ worker_connections 15000; }}
stream {{
    proxy_timeout 1h; tcp_nodelay on;
{servers}
}}
""")
        self.start("edge", ["nginx", "-p", shop.folder, "-e", f"{name}-error.log", "-c", config])
        self.ready(self.ports)


class Stunnel(Other):
    """A pair of stunnels: TLS 1.3 with AES-256-GCM, a connection and a handshake for each visitor."""

    def __init__(self, shop, name, origin):
        need("stunnel4")
        super().__init__(shop, name, origin)
        far = dict(zip(self.ports, shop.ports(2)))
        self._half("far", far, self.targets, f"cert = {shop.path('bench.crt')}\nkey = {shop.path('bench.key')}\n")
        self._half("edge", self.ports, far, "client = yes\n")
        self.ready(far)
        self.ready(self.ports)

    def _half(self, part, ports, targets, lines):
        services = "".join(f"[{s}]\naccept = {LOOPBACK}:{ports[s]}\nconnect = {LOOPBACK}:{targets[s]}\n{lines}" for s in ports)
        config = self.shop.write(f"{self.name}-{part}.conf", f"""foreground = yes
pid =
debug = 3
syslog = no
sslVersionMin = TLSv1.3
ciphersuites = TLS_AES_256_GCM_SHA384
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
{services}""")
        self.start(part, ["stunnel4", config])


class SshReverse(Other):
    """ssh -R from the origin's side to an sshd of our own: one encrypted connection for all visitors."""

    def __init__(self, shop, name, origin):
        need("ssh", "sshd", "ssh-keygen")
        super().__init__(shop, name, origin)
        user = pwd.getpwuid(os.getuid()).pw_name
        for key in ("ssh-host", "ssh-user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", shop.path(key)], check=True, capture_output=True)
        (port,) = shop.ports(1)
        config = shop.write("sshd_config", f"""Port {port}
ListenAddress {LOOPBACK}
HostKey {shop.path("ssh-host")}
PidFile none
AuthorizedKeysFile {shop.path("ssh-user.pub")}
StrictModes no
UsePAM no
PermitRootLogin yes
Ciphers aes256-gcm@openssh.com
""")
        self._sshd(config)
        wait_for("sshd listens", lambda: listens(port))
        forwards = [w for s in self.ports for w in ("-R", f"{LOOPBACK}:{self.ports[s]}:{LOOPBACK}:{self.targets[s]}")]
        self.start("far", ["ssh", "-N", "-F", "none", "-p", str(port), "-i", shop.path("ssh-user"), "-o", "ExitOnForwardFailure=yes",
                           "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={shop.path('ssh-known')}", *forwards,
                           f"{user}@{LOOPBACK}"])
        self.ready(self.ports)

    def _sshd(self, config):
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # sshd wants it, and the unit that makes it does not run
        self.start("edge", ["/usr/sbin/sshd", "-D", "-e", "-f", config])


class Bare(Other):
    """tests/bench/bare: two plain processes with one connection between them, and hardly more."""

    def __init__(self, shop, name, origin):
        super().__init__(shop, name, origin)
        pairs = [str(p) for s in self.ports for p in (self.ports[s], self.targets[s])]
        self.start("both", [shop.tool("bare"), *pairs])
        self.ready(self.ports)


OTHERS = {
    "haproxy": lambda shop, origin: HaProxy(shop, "haproxy", origin, 1),
    "haproxy-2": lambda shop, origin: HaProxy(shop, "haproxy-2", origin, 2),
    "bare-2": lambda shop, origin: Bare(shop, "bare-2", origin),
    "nginx-stream": lambda shop, origin: NginxStream(shop, "nginx-stream", origin),
    "stunnel-2": lambda shop, origin: Stunnel(shop, "stunnel-2", origin),
    "ssh-2": lambda shop, origin: SshReverse(shop, "ssh-2", origin),
}


def crowd(name, **shape):
    return lambda shop, origin: CrowdPath(name, Crowd(shop, origin, **shape))


# A node of its own each.
CROWDS = {
    "1 exposure": crowd("1 exposure"),
    "1 000 exposures": crowd("1 000 exposures", exposures=1000),
    "100 000 exposures": crowd("100 000 exposures", exposures=100000),
    "2 000 tunnels": crowd("2 000 tunnels", tunnels=2000),
}


class Paths:
    """The paths by name; each is started when it is first asked for."""

    def __init__(self, shop, binaries):
        self._shop, self._binaries = shop, binaries
        self._origin = Origin(shop)
        self._made = {"direct": Direct(self._origin)}

    def get(self, name):
        """Raises Missing where its program is not installed."""
        if name == "netwall-threads" and name not in self._made:
            self._made[name] = NetwallThreads(self._shop, self._binaries, self._origin)
        elif name.startswith("netwall") and "netwall" not in self._made:
            netwall = Netwall(self._shop, self._binaries, self._origin)
            self._made |= {path.name: path for path in netwall.paths()}
        if name not in self._made:
            self._made[name] = (OTHERS | CROWDS)[name](self._shop, self._origin)
        return self._made[name]
