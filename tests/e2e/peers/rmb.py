#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""rmb-peer as a service on the node sees it, and the caller behind it; written from the wire format alone.
    rmb.py SOCKET call SRC COMMAND [JSON-FILE] [KEY=VALUE...]
Delivers a request of SRC (twin[:connection]) to COMMAND with the file as its data, waits for the reply, checks every field
of it as rmb-peer's strict decoder would, and prints the data. Exit status 3: an error, printed as {"code","message"}; 4: no
reply within 20 s. KEY=VALUE replaces a field of the request (now: seconds from now on); wait=0 only delivers.
    rmb.py - print SRC COMMAND [JSON-FILE] [KEY=VALUE...]: the request itself"""
import base64
import json
import socket
import sys
import time
import uuid

REPLIES = "msgbus.system.reply"


class Bus:
    """As much of a Redis client as a peer needs; the usual module takes longer to load than all of this to run."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.input = self.socket.makefile("rb")

    def do(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self.reply()

    def reply(self):
        kind, rest = (line := self.input.readline())[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind in b"+:":
            return rest
        if kind == b"$":
            return None if rest == b"-1" else self.input.read(int(rest) + 2)[:-2]
        return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]


def deliver(bus, command, payload):
    bus.do("LPUSH", "msgbus." + command, payload)
    bus.do("LTRIM", "msgbus." + command, 0, 9999)


def request(source, command, path, changes):
    data = open(path, "rb").read() if path else b"null"
    message = {"ver": 1, "ref": str(uuid.uuid4()), "src": source, "cmd": command, "exp": 300,
               "dat": base64.b64encode(data).decode(), "tag": None, "ret": REPLIES, "shm": "application/json",
               "now": int(time.time())}
    for change in changes:
        key, value = change.split("=", 1)
        if key == "now":
            value = message["now"] + int(value)
        elif key in ("exp", "ver"):
            value = int(value)
        message[key] = value
    return message


def check(message, reply):
    """What a decoder with fixed types demands, and what the caller's peer finds it by."""
    assert set(reply) <= {"ver", "ref", "dat", "dst", "shm", "now", "err"}, reply
    assert type(reply["ver"]) is int and reply["ver"] == 1, reply
    assert reply["ref"] == message["ref"], reply
    assert reply["dst"] == message["src"], reply
    assert type(reply["now"]) is int and abs(reply["now"] - time.time()) < 30, reply
    assert type(reply["dat"]) is str and type(reply["shm"]) is str, reply
    if reply["err"] is not None:
        assert type(reply["err"]["code"]) is int and reply["err"]["code"] > 0, reply
        assert type(reply["err"]["message"]) is str and reply["err"]["message"], reply


def await_reply(bus, message):
    end = time.time() + 20
    while time.time() < end:
        popped = bus.do("BRPOP", message["ret"], 1)
        reply = json.loads(popped[1]) if popped else None
        if reply is None:
            continue
        if reply["ref"] == message["ref"]:
            return reply
        bus.do("LPUSH", message["ret"], popped[1])  # another caller's
    return None


def call(bus, source, command, rest):
    path = rest.pop(0) if rest and "=" not in rest[0] else None
    waits = "wait=0" not in rest
    message = request(source, command, path, [c for c in rest if c != "wait=0"])
    deliver(bus, command, json.dumps(message))
    if not waits:
        return 0
    reply = await_reply(bus, message)
    if reply is None:
        return 4
    check(message, reply)
    if reply["err"] is not None:
        print(json.dumps(reply["err"]))
        return 3
    print(base64.b64decode(reply["dat"], validate=True).decode())
    return 0


def main():
    bus_path, verb, source, command, *rest = sys.argv[1:]
    if verb == "call":
        return call(Bus(bus_path), source, command, rest)
    print(json.dumps(request(source, command, rest[0], rest[1:])))
    return 0


sys.exit(main())
