# SPDX-License-Identifier: Apache-2.0
"""How requests and answers go on, for check_messages.py, written from RFC 9110 section 7.6 and from what the gateway
promises: its visitor is no trusted proxy here and speaks HTTP/1.1, and connections persist. What is sent must be sound for
the second parser too, mean the same, and tell the service nothing that the visitor made up."""
from collections import Counter

from second_parser import Answer, Limits, Request, TOKEN

# As check_messages.c says them.
VISITOR, PORT, REQUEST_ID = b"192.0.2.7", b"80", b"r-1"

# About one connection, or written anew. Proxy is a variable of CGI services, no field.
OWN = {
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length",
    b"host", b"http2-settings", b"proxy",
}  # fmt: skip
ABOUT_VISITOR = {b"forwarded", b"x-real-ip", b"x-request-id"}


def passes_hop(message, name):
    # services that make variables of fields cannot tell '_' from '-'
    return name.replace(b"_", b"-") not in OWN and name not in message.framing.options


def goes_on(request, name, value):
    plain = name.replace(b"_", b"-")
    if not passes_hop(request, name) or plain in ABOUT_VISITOR or plain.startswith(b"x-forwarded"):
        return False
    if plain == b"max-forwards":
        return request.method != b"OPTIONS"
    return plain != b"expect" or value.lower() != b"100-continue"


def protocols(framing):
    """Those of Upgrade that go on: never HTTP itself, whose requests would pass unread."""
    out = []
    for item in framing.upgrade.split(b","):
        item = item.strip(b" \t")
        name, slash, version = item.partition(b"/")
        sound = TOKEN.fullmatch(name) and (not slash or TOKEN.fullmatch(version))
        if sound and name.lower() not in (b"h2c", b"h2", b"http"):
            out.append(item)
    return out


def upgrade(framing):
    if b"upgrade" in framing.options and framing.minor > 0 and not framing.chunked and not framing.length:
        yield from upgrade_to(framing)


def upgrade_to(framing):
    if protocols(framing):
        yield b"connection", b"upgrade"
        yield b"upgrade", b", ".join(protocols(framing))


def told(request):
    """What stands behind the visitor's own fields, in any order."""
    host, port = request.host
    host = host.encode() + (b":%d" % port if port else b"")
    quote = b'"' if port else b""
    yield b"x-forwarded-for", VISITOR
    yield b"x-forwarded-proto", b"http"
    yield b"x-forwarded-host", host
    yield b"x-forwarded-port", PORT
    yield b"x-real-ip", VISITOR
    yield b"x-request-id", REQUEST_ID
    yield b"forwarded", b"for=" + VISITOR + b";proto=http;host=" + quote + host + quote
    yield b"via", b"1.%d netwall" % request.framing.minor
    if request.framing.chunked:
        yield b"transfer-encoding", b"chunked"
    elif request.framing.length is not None:
        yield b"content-length", b"%d" % request.framing.length
    if request.expect and request.framing.minor > 0:
        yield b"expect", b"100-continue"
    if request.max_forwards is not None:
        yield b"max-forwards", b"%d" % max(request.max_forwards - 1, 0)
    yield from upgrade(request.framing)


def origin_form(request):
    if not request.path:
        return b"*" if request.method == b"OPTIONS" else b"/"
    return request.path if request.path.startswith(b"/") else b"/" + request.path


def request_fault(request, sent):
    kept = [(name, value) for name, value in request.fields if goes_on(request, name, value)]
    if (sent.method, sent.target) != (request.method, origin_form(request)):
        return "has another request line"
    if sent.host != request.host or sent.fields[0][0] != b"host":
        return "names another host, or not first"
    if sent.fields[1 : 1 + len(kept)] != kept:
        return "has not the fields that go on"
    if Counter(sent.fields[1 + len(kept) :]) != Counter(told(request)):
        return "tells something else about its visitor or its framing"
    return None


def told_visitor(answer):
    """What stands behind the service's own fields, in any order."""
    yield b"via", b"1.%d netwall" % answer.framing.minor
    if answer.body() == "chunked":
        yield b"transfer-encoding", b"chunked"
    elif answer.framing.length is not None and answer.code >= 200 and answer.code != 204:
        yield b"content-length", b"%d" % answer.framing.length
    if answer.code == 101:
        yield from upgrade(answer.framing)
    if answer.code == 426:
        yield from upgrade_to(answer.framing)


def answer_fault(answer, sent):
    kept = [(name, value) for name, value in answer.fields if passes_hop(answer, name)]
    if (sent.code, sent.reason) != (answer.code, answer.reason):
        return "has another status line"
    if sent.fields[: len(kept)] != kept:
        return "has not the fields that go on"
    if Counter(sent.fields[len(kept) :]) != Counter(told_visitor(answer)):
        return "tells something else about its framing"
    if sent.body() != answer.body():
        return "has another body"
    return None


def fault(message, data):
    """None, or what is wrong with DATA, which was sent for MESSAGE."""
    limits = Limits(len(data), len(data), 1000)
    is_request = isinstance(message, Request)
    try:
        sent = Request(data, limits) if is_request else Answer(data, limits, message.to_head)
    except Exception as error:  # Refused or More
        return f"is not sound: {error!r}"
    if sent.end != len(data) or sent.framing.minor != 1:
        return "ends early, or is not HTTP/1.1"
    return request_fault(message, sent) if is_request else answer_fault(message, sent)
