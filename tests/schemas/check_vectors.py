#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks schemas/vectors with Python's json and `openssl pkeyutl`: each message is the canonical form of its document, the
signature in the document is right for it, and wrong for a changed message."""
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
    """The document as it is signed, and its signature."""
    if name.startswith("deployment"):
        signature = doc["signature_requirement"].pop("signatures")[0]["signature"]
        for workload in doc["workloads"]:
            workload.pop("result", None)
        return doc, signature
    return doc, doc.pop("signature")


def check(path):
    name = path.stem
    doc, signature = unsigned(name, json.loads(path.read_text(encoding="utf-8")))
    message = (VECTORS / f"{name}.message").read_bytes()
    if name != "deployment-zos":  # there the message is an MD5
        assert message == f"netwall {name} v1\n".encode() + canonical(doc), "the message is not the canonical form"
    key = KEYS["twin" if name.startswith(("deployment", "delete")) else "authority"]["public_key"]
    assert verifies(message, signature, key), "openssl does not take the signature"
    assert not verifies(message[:-1] + bytes([message[-1] ^ 1]), signature, key), "openssl takes any signature"


def main():
    paths = sorted(p for p in VECTORS.glob("*.json") if p.name != "keys.json")
    assert len(paths) >= 6, "vectors are missing"
    for path in paths:
        check(path)
        print("ok", path.stem)


sys.exit(main())
