#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A deployment as Zero-OS clients make it (style ""): MD5 challenge by hashlib, Ed25519 by openssl; nothing of ours.
    zos_contract.py CONTRACT VERSION NAME BACKEND [request=TWIN,REQUIRED,WEIGHT]... [need=N] [sign=TWIN,KEYFILE[,TYPE]]...
The first request is the owner's. Key files are netwall's (ed25519 <hex seed>). Prints the signed JSON."""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile


def challenge(doc):
    """Plain concatenation in a fixed order, as the hash on the chain is made."""
    boolean = {True: "true", False: "false"}
    parts = [doc["version"], doc["twin_id"], doc["metadata"], doc["description"], doc["expiration"]]
    for w in doc["workloads"]:
        data = w["data"]
        parts += [w["version"], w["name"], w["type"], w["metadata"], w["description"], data["name"],
                  boolean[data["tls_passthrough"]], *data["backends"]]
    requirement = doc["signature_requirement"]
    for r in requirement["requests"]:
        parts += [r["twin_id"], boolean[r["required"]], r["weight"]]
    parts += [requirement["weight_required"], requirement["signature_style"]]
    return hashlib.md5("".join(map(str, parts)).encode()).digest()


def sign(message, key_file):
    seed = bytes.fromhex(pathlib.Path(key_file).read_text().split()[1])
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / "key.der").write_bytes(bytes.fromhex("302e020100300506032b657004220420") + seed)
        (directory / "message").write_bytes(message)
        return subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", directory / "key.der", "-in",
             directory / "message"], check=True, capture_output=True).stdout.hex()


def main():
    contract, version, name, backend, *options = sys.argv[1:]
    options = [o.split("=", 1) for o in options]
    requests = [v.split(",") for k, v in options if k == "request"]
    doc = {
        "version": int(version), "twin_id": int(requests[0][0]), "contract_id": int(contract), "metadata": "",
        "description": "", "expiration": 0,
        "signature_requirement": {
            "requests": [{"twin_id": int(t), "required": r == "true", "weight": int(w)} for t, r, w in requests],
            "weight_required": int(dict(options).get("need", 1)), "signatures": [], "signature_style": ""},
        "workloads": [{
            "version": int(version), "name": name, "type": "gateway-name-proxy", "metadata": "", "description": "",
            "data": {"tls_passthrough": False, "backends": [backend], "name": name},
            "result": {"created": 0, "state": "", "message": "", "data": None}}]}
    message = challenge(doc)
    for key, value in options:
        if key == "sign":
            twin, key_file, *kind = value.split(",")
            doc["signature_requirement"]["signatures"].append(
                {"twin_id": int(twin), "signature": sign(message, key_file),
                 "signature_type": kind[0] if kind else "ed25519"})
    print(json.dumps(doc))


main()
