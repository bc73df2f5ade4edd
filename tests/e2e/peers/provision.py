#!/usr/bin/python3
"""A Zero-OS client of provision.provision@0.0.1, written from ZOS.md: structs as msgpack with Go's names, the MD5 challenge.

provision.py SOCKET create|update KEYFILE TWIN CONTRACT VERSION NAME WORKLOAD-JSON [forge]
provision.py SOCKET get TWIN CONTRACT | list TWIN | changes TWIN CONTRACT | status ID | decommission ID REASON

Prints the answer as JSON (workload data decoded); an error goes to stderr with exit status 1."""
import hashlib
import json
import sys

import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import zbus

OBJECT = "provision.provision@0.0.1"


def data_challenge(data):
    """name, passthrough, each backend, network: one after the other."""
    return data["name"] + str(data["tls_passthrough"]).lower() + "".join(data["backends"]) + data.get("network", "")


def challenge(d):
    """The hash of a deployment, over its values without separators."""
    text = f'{d["Version"]}{d["TwinID"]}{d["Metadata"]}{d["Description"]}{d["Expiration"]}'
    for w in d["Workloads"]:
        text += f'{w["Version"]}{w["Name"]}{w["Type"]}{w["Metadata"]}{w["Description"]}'
        text += data_challenge(json.loads(w["Data"]))
    need = d["SignatureRequirement"]
    for r in need["Requests"]:
        text += f'{r["TwinID"]}{str(r["Required"]).lower()}{r["Weight"]}'
    text += f'{need["WeightRequired"]}{need["SignatureStyle"]}'
    return hashlib.md5(text.encode()).digest()


def deployment(keyfile, twin, contract, version, name, data):
    d = {"Version": version, "TwinID": twin, "ContractID": contract, "Metadata": "", "Description": "", "Expiration": 0,
         "SignatureRequirement": {"Requests": [{"TwinID": twin, "Required": False, "Weight": 1}], "WeightRequired": 1,
                                  "Signatures": [], "SignatureStyle": ""},
         "Workloads": [{"Version": version, "Name": name, "Type": "gateway-name-proxy", "Data": data.encode(),
                        "Metadata": "", "Description": "",
                        "Result": {"Created": 0, "State": "", "Error": "", "Data": None}}]}
    seed = bytes.fromhex(open(keyfile).read().split()[1])
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(challenge(d)).hex()
    d["SignatureRequirement"]["Signatures"] = [{"TwinID": twin, "Signature": signature, "SignatureType": "ed25519"}]
    return d


def readable(value):
    """Bytes that hold JSON (a workload's data) as JSON."""
    if isinstance(value, bytes):
        return json.loads(value)
    if isinstance(value, dict):
        return {k: readable(v) for k, v in value.items()}
    return [readable(v) for v in value] if isinstance(value, list) else value


def ask(bus, verb, words):
    if verb in ("create", "update"):
        keyfile, twin, contract, version, name, data = words[:6]
        d = deployment(keyfile, int(twin), int(contract), int(version), name, data)
        if words[6:] == ["forge"]:
            d["Description"] = "not what was signed"
        return zbus.call(bus, OBJECT, "CreateOrUpdate", [int(twin), d, verb == "update"])
    method = {"get": "Get", "list": "List", "changes": "Changes", "status": "GetWorkloadStatus",
              "decommission": "DecommissionCached"}[verb]
    return zbus.call(bus, OBJECT, method, words if verb in ("status", "decommission") else [int(w) for w in words])


def main():
    try:
        print(json.dumps(readable(ask(redis.Redis(unix_socket_path=sys.argv[1]), sys.argv[2], sys.argv[3:]))))
    except zbus.Refused as no:
        sys.exit(str(no))


main()
