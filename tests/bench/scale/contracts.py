"""Keys, grants and signed contracts by the thousand, in the canonical form that the node checks."""
import ctypes
import ctypes.util
import hashlib
import json

SODIUM = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
SODIUM.sodium_init()


def canonical(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Signer:
    """An Ed25519 key made from a text, so that two runs use the same."""

    def __init__(self, text):
        seed = hashlib.sha256(text.encode()).digest()
        public, self._secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        SODIUM.crypto_sign_seed_keypair(public, self._secret, seed)
        self.public = public.raw.hex()

    def sign(self, title, document):
        message = title.encode() + b"\n" + canonical(document)
        out = ctypes.create_string_buffer(64)
        SODIUM.crypto_sign_detached(out, None, message, ctypes.c_ulonglong(len(message)), self._secret)
        return out.raw.hex()


class Twin:
    """One tenant: its keys, its limits and what it exposes."""

    def __init__(self, number, exposures, tcp_ports):
        self.number, self.exposures, self.tcp_ports = number, exposures, tcp_ports
        self.signer = Signer(f"twin {number}")
        self.connector = hashlib.sha256(f"connector {number}".encode()).hexdigest()
        self.domain = f"t{number}.example.org"

    def grant(self, authority):
        document = {
            "twin_id": self.number, "public_key": self.signer.public, "serial": 1, "not_after": 0,
            "limits": {"exposures": self.exposures, "tcp_ports": self.tcp_ports}, "domains": [self.domain],
            "names": [], "authority": authority.public}
        document["signature"] = authority.sign("netwall grant v1", document)
        return document

    def contract(self, number, version, workloads, node):
        document = {
            "version": version, "twin_id": self.number, "contract_id": number, "nodes": [node], "metadata": "",
            "description": "", "expiration": 0,
            "signature_requirement": {
                "requests": [{"twin_id": self.number, "required": False, "weight": 1}], "weight_required": 1,
                "signature_style": "netwall-1"},
            "workloads": [{"version": version, "metadata": "", "description": "", **w} for w in workloads]}
        signature = self.signer.sign("netwall deployment v1", document)
        document["signature_requirement"]["signatures"] = [
            {"twin_id": self.number, "signature_type": "ed25519", "signature": signature}]
        return document

    def delete(self, number, version, node):
        document = {"twin_id": self.number, "contract_id": number, "version": version, "nodes": [node]}
        document["signature"] = self.signer.sign("netwall delete v1", document)
        return document


class Exposure:
    """One workload, and how a visitor tells that its route is there.

    Of ten in a row: five names (one dialled by the gateway itself), one name with passthrough, two names of the
    tenant's own, one of them with limits and filters, one more with passthrough, and a TCP port where the twin has one.
    """

    def __init__(self, twin, index, direct):
        kind = index % 10
        self.twin, self.index, self.tls, self.tcp = twin, index, kind in (5, 8), False
        self.direct = kind in (0, 9) and direct is not None
        self.name = f"x{index}"
        label = f"x{index}-t{twin.number}"
        self.host = f"{label}.scale.test" if kind < 6 else f"{self.name}.{twin.domain}"
        plain = "%s" if kind in (5, 8) or kind == 9 else "http://%s"
        backend = plain % direct if self.direct else f"tunnel:{twin.connector}/web"
        self.data = {"backends": [backend]}
        self.type = "gateway-name-proxy" if kind < 6 else "gateway-fqdn-proxy"
        self.data["name" if kind < 6 else "fqdn"] = label if kind < 6 else self.host
        if self.tls:
            self.data["tls_passthrough"] = True
        if kind == 7:
            self.data |= {"allow": ["127.0.0.0/8", "10.0.0.0/8"], "limits": {"connections": 100}}
        if kind == 9 and index // 10 < twin.tcp_ports:
            self.type, self.data, self.tcp = "gateway-tcp-proxy", {"port": 0, "backends": [backend]}, True
        elif kind == 9:
            self.data["backends"] = [f"http://{direct}" if self.direct else backend]

    def workload(self):
        return {"name": self.name, "type": self.type, "data": self.data}


def contracts_of(twin, per_contract, node, direct):
    """(contract id, document, exposures) of everything that TWIN exposes."""
    exposures = [Exposure(twin, i, direct) for i in range(twin.exposures)]
    for start in range(0, len(exposures), per_contract):
        part = exposures[start:start + per_contract]
        number = 1000 + start // per_contract
        yield number, twin.contract(number, 0, [x.workload() for x in part], node), part
