#!/usr/bin/python3
"""A zbus 1.0 client, written from the protocol and not from our code.

zbus.py SOCKET [OPTION]... status                    what the module's status object says
zbus.py SOCKET [OPTION]... call METHOD [JSON]...     one argument for each JSON; prints the value
  --object M.N@V   default gateway.manager@0.0.1     --deadline MS   our optional key, from now on (may be negative)
  --wait S         for the answer, default 5; 0 = push the request and go

An application or protocol error goes to stderr with exit status 1."""
import argparse
import json
import sys
import time
import uuid

import msgpack
import redis


class Refused(Exception):
    """The method (or the protocol) said no; `value` stands beside the text."""

    def __init__(self, text, value=None):
        super().__init__(text)
        self.value = value


def push(bus, target, method, arguments, deadline_ms=None):
    """Queue a request for "module.object@version"; returns its reply list."""
    module, name = target.split(".", 1)
    name, version = name.split("@")
    reply = str(uuid.uuid4())
    request = {"ID": reply, "Inputs": [msgpack.packb(a) for a in arguments],
               "Object": {"Name": name, "Version": version}, "ReplyTo": reply, "Method": method}
    if deadline_ms is not None:
        request["Deadline"] = int(time.time() * 1000) + deadline_ms
    bus.rpush(f"{module}.{name}@{version}", msgpack.packb(request))
    return reply


def call(bus, target, method, arguments, deadline_ms=None, wait=5):
    """Call and return the value; raises Refused."""
    reply = push(bus, target, method, arguments, deadline_ms)
    if not wait:
        return None
    answer = bus.blpop(reply, wait)
    if answer is None:
        raise TimeoutError("no answer")
    response = msgpack.unpackb(answer[1], timestamp=3)
    assert response["ID"] == reply and set(response) == {"ID", "Output", "Error"}, response
    assert set(response["Output"]) == {"Data", "Error"}, response
    if response["Error"]:
        raise Refused("protocol error: " + response["Error"])
    data = response["Output"]["Data"]
    value = msgpack.unpackb(data, timestamp=3) if data else None
    if response["Output"]["Error"]:
        raise Refused("error: " + response["Output"]["Error"]["Message"], value)
    return value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("--object", default="gateway.manager@0.0.1")
    parser.add_argument("--deadline", type=int)
    parser.add_argument("--wait", type=float, default=5)
    parser.add_argument("what", choices=["status", "call"])
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    bus = redis.Redis(unix_socket_path=options.socket)
    try:
        if options.what == "status":
            value = call(bus, options.object.split(".")[0] + ".zbus@1.0", "", [], wait=options.wait)
        else:
            value = call(bus, options.object, options.words[0], [json.loads(w) for w in options.words[1:]],
                         options.deadline, options.wait)
    except Refused as no:
        sys.exit(f"{no} (value {no.value!r})")
    except TimeoutError as no:
        sys.exit(str(no))
    print(json.dumps(value, default=str))


if __name__ == "__main__":
    main()
