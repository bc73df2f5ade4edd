#!/usr/bin/python3
"""The other side of zbus_compat, in another language: zbus_compat.py SOCKET server | zbus_compat.py SOCKET client.
The client's checks are those of the reference's own suite."""
import sys
import threading
import time

import msgpack
import redis
import zbus

SOCKET = sys.argv[1]
CALCULATOR, UTILS = "server.calculator@1.0", "server.utils@1.0"


class Wrong(Exception):
    """A protocol error."""


def divide(a, b):
    return (a / b, None) if b else (0.0, "division by zero")


def panic():
    raise Wrong("remote method call utils@1.0.Panic() paniced: Aaaaah!")


METHODS = {  # (object, method): (types of the arguments, function)
    ("calculator", "Add"): ((float, float), lambda a, b: (a + b, None)),
    ("calculator", "AddSub"): ((float, float), lambda a, b: ([a + b, a - b], None)),
    ("calculator", "Pow"): ((float, float), lambda a, b: (a ** b, None)),
    ("calculator", "Divide"): ((float, float), divide),
    ("calculator", "Avg"): ((list,), lambda v: (sum(v) / len(v), None)),
    ("utils", "Capitalize"): ((str,), lambda t: (t.upper(), None)),
    ("utils", "Tuple"): ((), lambda: ([10, "hello world", 0.5], None)),
    ("utils", "Sleep"): ((int,), lambda ns: (time.sleep(ns / 1e9), None)),
    ("utils", "Panic"): ((), panic),
}
GO = {float: "float64", list: "[]float64", str: "string", int: "time.Duration"}


def run(request):
    """The Data and Error of Output."""
    name, inputs = request["Object"]["Name"], [msgpack.unpackb(i) for i in request["Inputs"]]
    if (name, "x") == ("zbus", "x"):
        worker = {"State": "free", "StartTime": msgpack.Timestamp.from_unix(time.time()), "Action": ""}
        return {"Objects": [{"Name": n, "Version": "1.0"} for n in ("calculator", "utils")], "Workers": [worker]}, None
    if (name, request["Method"]) not in METHODS:
        raise Wrong("not a function")
    types, function = METHODS[name, request["Method"]]
    if len(types) != len(inputs):
        raise Wrong(f"invalid number of arguments expecting {len(types)} got {len(inputs)}")
    for i, (kind, value) in enumerate(zip(types, inputs)):
        if not isinstance(value, kind):
            raise Wrong(f"invalid argument type [{i}] expecting {GO[kind]} got")
    return function(*inputs)


def tick(bus):
    while True:
        time.sleep(0.05)
        bus.publish("server.utils@1.0.TikTok", msgpack.packb(msgpack.Timestamp.from_unix(time.time())))


def serve(bus):
    threading.Thread(target=tick, args=(redis.Redis(unix_socket_path=SOCKET),), daemon=True).start()
    while True:
        request = msgpack.unpackb(bus.blpop([CALCULATOR, UTILS, "server.zbus@1.0"])[1])
        response = {"ID": request["ID"], "Output": {"Data": None, "Error": None}, "Error": None}
        try:
            value, error = run(request)
            response["Output"] = {"Data": msgpack.packb(value), "Error": {"Message": error} if error else None}
        except Wrong as wrong:
            response["Error"] = str(wrong)
        bus.rpush(request["ReplyTo"], msgpack.packb(response))
        bus.expire(request["ReplyTo"], 300)


def listen(bus, count):
    channel = bus.pubsub()
    channel.subscribe("server.utils@1.0.TikTok")
    start, times = time.time(), []
    for message in channel.listen():
        if message["type"] == "message":
            times.append(msgpack.unpackb(message["data"], timestamp=1))
        if len(times) == count:
            return all(t > start - 1 for t in times)


def check(bus):
    def refused(method, *arguments):
        try:
            zbus.call(bus, UTILS, method, arguments)
        except zbus.Refused as no:
            return str(no)

    assert zbus.call(bus, CALCULATOR, "Add", [1.0, 2.0]) == 3.0
    assert zbus.call(bus, CALCULATOR, "Pow", [2.0, 2.0]) == 4.0
    assert zbus.call(bus, CALCULATOR, "Divide", [4.0, 2.0]) == 2.0
    try:
        zbus.call(bus, CALCULATOR, "Divide", [2.0, 0.0])
        assert False, "divided by zero"
    except zbus.Refused as no:
        assert str(no) == "error: division by zero" and no.value == 0.0, (no, no.value)
    assert zbus.call(bus, CALCULATOR, "Avg", [[10.0, 10.0, 10.0]]) == 10.0
    assert zbus.call(bus, CALCULATOR, "AddSub", [5.0, 3.0]) == [8.0, 2.0]
    assert zbus.call(bus, UTILS, "Capitalize", ["hello world"]) == "HELLO WORLD"
    assert zbus.call(bus, UTILS, "Tuple", []) == [10, "hello world", 0.5]
    assert zbus.call(bus, UTILS, "Sleep", [1000]) is None
    assert refused("Panic") == "protocol error: remote method call utils@1.0.Panic() paniced: Aaaaah!"
    assert refused("NoSuch") == "protocol error: not a function"
    assert refused("Capitalize") == "protocol error: invalid number of arguments expecting 1 got 0"
    assert listen(bus, 3)


(serve if sys.argv[2] == "server" else check)(redis.Redis(unix_socket_path=SOCKET))
