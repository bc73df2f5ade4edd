#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the signed examples in this folder with Python's json and openssl alone, so that they say nothing about our own
code. Run it by hand after changing an example; the tests only read the files."""
import copy
import hashlib
import json
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SEEDS = {"authority": bytes(range(1, 33)), "twin": bytes(range(33, 65)), "guest": bytes(range(65, 97))}
CONNECTOR = "11" * 32


def canonical(doc):
    return json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def openssl(*args, **kw):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, **kw).stdout


def pem_of(seed, directory):
    der = bytes.fromhex("302e020100300506032b657004220420") + seed
    path = pathlib.Path(directory) / "key.pem"
    path.write_bytes(openssl("pkey", "-inform", "DER", input=der))
    return path


def public_key(seed):
    with tempfile.TemporaryDirectory() as directory:
        return openssl("pkey", "-in", pem_of(seed, directory), "-pubout", "-outform", "DER")[-32:].hex()


def sign(message, who):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "message"
        path.write_bytes(message)
        return openssl("pkeyutl", "-sign", "-rawin", "-inkey", pem_of(SEEDS[who], directory), "-in", path).hex()


def write(name, doc, message):
    (HERE / f"{name}.json").write_text(json.dumps(doc, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (HERE / f"{name}.message").write_bytes(message)


def statement(name, who, doc):
    message = b"netwall %s v1\n" % name.encode() + canonical(doc)
    write(name, {**doc, "signature": sign(message, who)}, message)


def zos_challenge(doc):
    """ZOS.md 3.6: plain concatenation."""
    boolean = {True: "true", False: "false"}
    parts = [doc["version"], doc["twin_id"], doc["metadata"], doc["description"], doc["expiration"]]
    for w in doc["workloads"]:
        d = w["data"]
        parts += [w["version"], w["name"], w["type"], w["metadata"], w["description"]]
        parts += [d.get("name", d.get("fqdn")), boolean[d["tls_passthrough"]], *d["backends"], d.get("network", "")]
    requirement = doc["signature_requirement"]
    for r in requirement["requests"]:
        parts += [r["twin_id"], boolean[r["required"]], r["weight"]]
    parts += [requirement["weight_required"], requirement["signature_style"]]
    return "".join(map(str, parts)).encode()


def signed(doc, message, who=(("twin", None),)):
    """Signed by each (key, twin id; None = the owner)."""
    out = copy.deepcopy(doc)
    out["signature_requirement"]["signatures"] = [
        {"twin_id": twin or doc["twin_id"], "signature_type": "ed25519", "signature": sign(message, key)}
        for key, twin in who]
    return out


def weighed(twin, style):
    """The owner's weight alone is not enough; twin 8 must sign, too; twin 9 may."""
    return {"requests": [{"twin_id": twin, "required": False, "weight": 1}, {"twin_id": 8, "required": True, "weight": 20},
                         {"twin_id": 9, "required": False, "weight": 300}], "weight_required": 21,
            "signature_style": style}


def requirement(twin, style):
    return {"requests": [{"twin_id": twin, "required": False, "weight": 1}], "weight_required": 1,
            "signature_style": style}


def main():
    public = {who: public_key(seed) for who, seed in SEEDS.items()}
    keys = {who: {"seed": SEEDS[who].hex(), "public_key": public[who]} for who in SEEDS}
    (HERE / "keys.json").write_text(json.dumps(keys, indent=2) + "\n")

    doc = {"version": 3, "twin_id": 7, "contract_id": 1001, "nodes": ["gw1", "key:" + "22" * 32],
           "metadata": "h\u00e9llo \u20ac \U0001f600", "description": "line\nquote\" back\\slash \u001f \u007f /",
           "expiration": 1893456000, "signature_requirement": requirement(7, "netwall-1"),
           "workloads": [
               {"version": 0, "name": "blog", "type": "gateway-name-proxy", "metadata": "", "description": "",
                "data": {"name": "blog", "tls_passthrough": True, "backends": [f"tunnel:{CONNECTOR}/web"]}},
               {"version": 3, "name": "db", "type": "gateway-tcp-proxy", "metadata": "", "description": "",
                "data": {"port": 0, "backends": [f"tunnel:{CONNECTOR}/db"], "limits": {"connections": 5},
                         "allow": ["192.0.2.0/24"]}}]}
    message = b"netwall deployment v1\n" + canonical(doc)
    out = signed(doc, message)
    out["workloads"][1]["result"] = {"created": 1, "state": "ok", "message": "not signed", "data": {"port": 20001}}
    write("deployment", out, message)

    zos = {"version": 0, "twin_id": 12, "contract_id": 345, "metadata": "", "description": "", "expiration": 0,
           "signature_requirement": requirement(12, ""),
           "workloads": [{"version": 0, "name": "gw", "type": "gateway-name-proxy", "metadata": "",
                          "description": "", "data": {"name": "web", "tls_passthrough": False,
                                                      "backends": ["http://10.1.2.3:80"], "network": ""}}]}
    message = hashlib.md5(zos_challenge(zos)).digest()
    write("deployment-zos", signed(zos, message), message)

    several = (("twin", None), ("guest", 8))
    doc = {**doc, "contract_id": 1002, "signature_requirement": weighed(7, "netwall-1")}
    message = b"netwall deployment v1\n" + canonical(doc)
    write("deployment-weights", signed(doc, message, several), message)

    zos = {"version": 4294967295, "twin_id": 7, "contract_id": 9007199254740991, "metadata": "h\u00e9llo \u20ac \U0001f600",
           "description": "line\nquote\" back\\slash \u001f \u007f /", "expiration": 1893456000,
           "signature_requirement": weighed(7, ""),
           "workloads": [{"version": 3, "name": "gw_1", "type": "gateway-fqdn-proxy", "metadata": "m1", "description": "d1",
                          "data": {"fqdn": "www.example.org", "tls_passthrough": True,
                                   "backends": ["10.1.2.3:443", "[2001:db8::1]:8443"]}},
                         {"version": 4294967295, "name": "gw_2", "type": "gateway-name-proxy", "metadata": "",
                          "description": "d2", "data": {"tls_passthrough": False, "network": "", "name": "web",
                                                        "backends": ["http://10.1.2.3", f"tunnel:{CONNECTOR}/web"]}}]}
    message = hashlib.md5(zos_challenge(zos)).digest()
    write("deployment-zos-weights", signed(zos, message, several), message)

    authority = public["authority"]
    statement("grant", "authority", {
        "twin_id": 7, "public_key": public["twin"], "serial": 1700000000000, "not_after": 0,
        "limits": {"exposures": 10, "tcp_ports": 2}, "domains": ["example.org"], "names": ["blog"],
        "authority": authority})
    statement("revoke", "authority", {
        "twin_id": 7, "reason": "unpaid", "serial": 1700000000001, "authority": authority})
    statement("lock", "authority", {
        "twin_id": 7, "contract_id": 1001, "lock": True, "reason": "late", "serial": 1700000000002,
        "authority": authority})
    statement("delete", "twin", {"twin_id": 7, "contract_id": 1001, "version": 3, "nodes": ["gw1"]})


main()
