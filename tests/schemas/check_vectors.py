#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks schemas/vectors with Python's json and `openssl pkeyutl`: each message is the canonical form of its document, the
signature in the document is right for it, and wrong for a changed message."""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

VECTORS = pathlib.Path(__file__).resolve().parent.parent.parent / "schemas/vectors"
KEYS = json.loads((VECTORS / "keys.json").read_text())


def canonical(doc):
    return json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def verifies(message, signature, key_hex):
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100" + key_hex))
        (directory / "message").write_bytes(message)
        (directory / "signature").write_bytes(bytes.fromhex(signature))
        run = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", directory / "key.der",
             "-in", directory / "message", "-sigfile", directory / "signature"], capture_output=True)
        return run.returncode == 0


def unsigned(name, doc):
    """The document as it is signed, and the signatures of the twin (of the authority) and of the guest, if there is one."""
    if name.startswith("deployment"):
        signatures = [s["signature"] for s in doc["signature_requirement"].pop("signatures")]
        for workload in doc["workloads"]:
            workload.pop("result", None)
        return doc, signatures
    return doc, [doc.pop("signature")]


def zos_challenge(doc):
    """The values in their order, with nothing in between."""
    out = [doc[k] for k in ("version", "twin_id", "metadata", "description", "expiration")]
    for w in doc["workloads"]:
        data = w["data"]
        out += [w[k] for k in ("version", "name", "type", "metadata", "description")]
        out += [data["name"] if "name" in data else data["fqdn"], data["tls_passthrough"], *data["backends"]]
        out.append(data.get("network", ""))
    for request in doc["signature_requirement"]["requests"]:
        out += [request["twin_id"], request["required"], request["weight"]]
    out += [doc["signature_requirement"]["weight_required"], doc["signature_requirement"]["signature_style"]]
    return "".join(str(v).lower() if isinstance(v, bool) else str(v) for v in out).encode()


def check(path):
    name = path.stem
    doc, signatures = unsigned(name, json.loads(path.read_text(encoding="utf-8")))
    message = (VECTORS / f"{name}.message").read_bytes()
    if name.startswith("deployment-zos"):
        assert message == hashlib.md5(zos_challenge(doc)).digest(), "the message is not the MD5 challenge"
    else:
        kind = name.split("-")[0]
        assert message == f"netwall {kind} v1\n".encode() + canonical(doc), "the message is not the canonical form"
    keys = [KEYS["twin" if name.startswith(("deployment", "delete")) else "authority"], KEYS["guest"]]
    for signature, key in zip(signatures, keys):
        key = key["public_key"]
        assert verifies(message, signature, key), "openssl does not take the signature"
        assert not verifies(message[:-1] + bytes([message[-1] ^ 1]), signature, key), "openssl takes any signature"


def main():
    paths = sorted(p for p in VECTORS.glob("*.json") if p.name != "keys.json")
    assert len(paths) >= 8, "vectors are missing"
    for path in paths:
        check(path)
        print("ok", path.stem)


sys.exit(main())
