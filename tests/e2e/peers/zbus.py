#!/usr/bin/python3
"""A zbus 1.0 client: zbus.py SOCKET status | zbus.py SOCKET call METHOD JSON-ARGUMENT... (object gateway.manager@0.0.1).
Prints the value as JSON; an application or protocol error goes to stderr with exit status 1."""
import json
import sys
import uuid

import msgpack
import redis


def call(bus, queue, name, version, method, arguments):
    reply = str(uuid.uuid4())
    bus.rpush(queue, msgpack.packb({
        "ID": reply, "Inputs": [msgpack.packb(a) for a in arguments],
        "Object": {"Name": name, "Version": version}, "ReplyTo": reply, "Method": method}))
    answer = bus.blpop(reply, 5)
    if answer is None:
        sys.exit("no answer")
    return msgpack.unpackb(answer[1], timestamp=3)


def main():
    bus = redis.Redis(unix_socket_path=sys.argv[1])
    if sys.argv[2] == "status":
        response = call(bus, "gateway.zbus@1.0", "zbus", "1.0", "", [])
    else:
        response = call(bus, "gateway.manager@0.0.1", "manager", "0.0.1", sys.argv[3],
                        [json.loads(a) for a in sys.argv[4:]])
    if response["Error"]:
        sys.exit("protocol error: " + response["Error"])
    output = response["Output"]
    value = msgpack.unpackb(output["Data"], timestamp=3) if output["Data"] else None
    if output["Error"]:
        sys.exit("error: %s (value %r)" % (output["Error"]["Message"], value))
    print(json.dumps(value, default=str))


main()
