# SPDX-License-Identifier: Apache-2.0
"""A second HTTP/1 reader, for check_messages.py: written from RFC 9110, 9112 and 3986 and from what the gateway promises
(refuse what two readers could read differently), not from the C code. It has the whole message at once, works by lines and
regular expressions, and tells every status with which the first bad line may be refused.

Where the RFCs leave a choice, the choice is: one empty line before a request line is passed over, none before a status line;
a target is any visible ASCII but '#', of the forms origin, absolute (http only) and, for OPTIONS, '*'; CONNECT and TRACE are
405; methods over 32 bytes 501; one unknown transfer coding 501, anything else that is not `chunked` 400; a length is
0|[1-9][0-9]{0,17}; lists in Connection have at most 32 elements that are not empty; chunk sizes have at most 16 digits and
63 bits, and no blanks around them; an answer's status is 100..599."""
import re
import socket
from dataclasses import dataclass, field

TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN = re.compile(TCHAR + rb"+")
TEXT = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
TARGET = re.compile(rb"[\x21\x22\x24-\x7e]+")
VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
REG_NAME = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
LABEL = re.compile(rb"[a-z0-9_]|[a-z0-9_][a-z0-9_-]{0,61}[a-z0-9_]")
QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
EXTENSION = rb";" + TCHAR + rb"+(?:=(?:" + TCHAR + rb"+|" + QUOTED + rb"))?"
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:" + EXTENSION + rb")*)\r\n")
SIZE_LINE_MAX = 1024
IDEMPOTENT = (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE")

# What may end an unfinished line; when nothing does, the line is bad already.
REQUEST_LINE_ENDS = [b"G / HTTP/1.1\r\n"[i:] for i in range(14)] + [b"\r\nG / HTTP/1.1\r\n", b"\nG / HTTP/1.1\r\n"]
STATUS_LINE_ENDS = [b"HTTP/1.1 200 \r\n"[i:] for i in range(15)] + [b"00\r\n", b"0\r\n"]
FIELD_LINE_ENDS = [b"\r\n", b"\n", b":\r\n", b"a:\r\n"]
SIZE_LINE_ENDS = [b"\r\n", b"\n", b"0\r\n", b"a\r\n", b'"\r\n', b'a"\r\n', b"=a\r\n"]


class Refused(Exception):
    """The first bad line; CODES are the statuses that its faults deserve."""

    def __init__(self, *codes, unfinished=False):
        super().__init__(*codes)
        self.codes = set(codes)
        self.unfinished = unfinished  # the line has no end yet: a reader may wait for it first


class More(Exception):
    """The bytes end before the message does, and are fine so far."""


@dataclass
class Limits:
    head_max: int = 16384
    target_max: int = 8192
    headers_max: int = 100


@dataclass
class Framing:
    minor: int = 0
    chunked: bool = False
    length: int | None = None
    options: list = field(default_factory=list)
    upgrades: list = field(default_factory=list)

    def take(self, name, value):
        if name == b"content-length":
            if self.length is not None or not LENGTH.fullmatch(value):
                raise Refused(400)
            self.length = int(value)
        elif name == b"transfer-encoding":
            self.take_coding(value)
        elif name == b"connection":
            elements = [e.strip(b" \t") for e in value.split(b",")]
            elements = [e.lower() for e in elements if e]
            if any(not TOKEN.fullmatch(e) for e in elements):
                raise Refused(400)
            self.options += elements
            if len(self.options) > 32:
                raise Refused(400)
        elif name == b"upgrade":
            self.upgrades.append(value)

    def take_coding(self, value):
        if self.chunked or self.minor == 0:
            raise Refused(400)
        if value.lower() == b"chunked":
            self.chunked = True
        else:
            raise Refused(501 if TOKEN.fullmatch(value) else 400)

    def finish(self):
        if self.chunked and self.length is not None:
            raise Refused(400)

    @property
    def upgrade(self):
        return self.upgrades[0] if self.upgrades else b""

    def summary(self):
        close, keep = b"close" in self.options, b"keep-alive" in self.options
        flags = "c" * close + "k" * keep
        flags += "u" * (b"upgrade" in self.options and self.upgrade != b"")
        flags += "n" * any(o not in (b"close", b"keep-alive", b"upgrade") for o in self.options)
        flags += "p" * (not close and (self.minor >= 1 or keep))
        how = "chunked" if self.chunked else "none" if self.length is None else "length"
        return f"1.{self.minor} {how} {self.length or 0} {flags}"


def is_ip4(name):
    """Every form that common programs take for an address."""
    try:
        socket.inet_aton(name.decode())
        return True
    except OSError:
        return False


def host_name(host):
    """The canonical name, or "" when HOST is sound but names no host; Refused when it is neither."""
    if host.startswith(b"["):
        try:
            socket.inet_pton(socket.AF_INET6, host[1:-1].decode("ascii"))
        except (OSError, ValueError):
            raise Refused(400) from None
        return ""
    if not REG_NAME.fullmatch(host):
        raise Refused(400)
    name = host.lower().removesuffix(b".")
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in name.split(b".")) or is_ip4(name):
        return ""
    return name.decode()


def authority(text):
    """(host, port); port 0 = none."""
    match = re.fullmatch(rb"(\[[^\]]*\]|[^:]*)(?::([0-9]{0,5}))?", text, re.DOTALL)
    if not match or not match[1]:
        raise Refused(400)
    port = int(match[2]) if match[2] else 0
    if match[2] and not 1 <= port <= 65535:
        raise Refused(400)
    return host_name(match[1]), port


def target_parts(method, target):
    """(authority or None, path with query)."""
    if method in (b"CONNECT", b"TRACE"):
        raise Refused(405)
    if target.startswith(b"/"):
        return None, target
    if target == b"*":
        if method != b"OPTIONS":
            raise Refused(400)
        return None, b""
    if not target.lower().startswith(b"http://"):
        raise Refused(400)
    rest = target[7:]
    end = re.search(rb"[/?]|$", rest).start()
    return authority(rest[:end]), rest[end:]


class Lines:
    """The lines of the bytes, one after the other."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def next(self, check, ends):
        """The next line as CHECK makes it of its bytes with their line end. CHECK judges the grammar only."""
        stop = self.data.find(b"\n", self.at) + 1
        if stop > 0:
            line = self.data[self.at : stop]
            self.at = stop
            return check(line)
        codes = set()
        for end in ends:
            try:
                check(self.data[self.at :] + end)
                raise More
            except Refused as refused:
                codes |= refused.codes
        raise Refused(*codes, unfinished=True)


def field_line(line):
    """(name, value), or None for the empty line."""
    if line == b"\r\n":
        return None
    name, colon, value = line.partition(b":")
    if not colon or not TOKEN.fullmatch(name) or not value.endswith(b"\r\n") or not TEXT.fullmatch(value[:-2]):
        raise Refused(400)
    return name.lower(), value[:-2].strip(b" \t")


def fields(lines, limits, framing, take=None):
    """Read the field lines; each goes to TAKE or FRAMING."""
    count = 0
    while True:
        first = lines.data[lines.at : lines.at + 1]
        count += 1
        if count > limits.headers_max and first and TOKEN.match(first):
            raise Refused(431)  # whatever the rest of the line is
        item = lines.next(field_line, FIELD_LINE_ENDS)
        if item is None:
            return
        if take is None or not take(*item):
            framing.take(*item)


class Request:
    def __init__(self, data, limits):
        self.limits = limits
        self.framing = Framing()
        self.fields = []  # (name in lower case, value)
        self.host = None
        self.expect = False
        self.max_forwards = None  # of OPTIONS
        lines = Lines(data, 2 if data.startswith(b"\r\n") else 0)
        if data == b"\r":
            raise More
        self.method, self.target = lines.next(self.request_line, REQUEST_LINE_ENDS)
        named, self.path = target_parts(self.method, self.target)
        fields(lines, limits, self.framing, self.take)
        self.framing.finish()
        if len(self.framing.upgrades) > 1:
            raise Refused(400)
        self.agree(named)
        self.end = lines.at

    def request_line(self, line):
        codes = set()
        parts = line[:-2].split(b" ")
        if not line.endswith(b"\r\n") or len(parts) != 3:
            codes.add(400)
        method, target, version = (parts + [b"", b""])[:3]
        match = VERSION.fullmatch(version.partition(b"\r")[0])
        if not TOKEN.fullmatch(method) or not TARGET.fullmatch(target) or not match or b"\r" in version:
            codes.add(400)
        if len(method) > 32:
            codes.add(501)
        if len(target) > self.limits.target_max:
            codes.add(414)
        if match and match[1] != b"1":
            codes.add(505)
        if codes:
            raise Refused(*codes)
        self.framing.minor = int(match[2])
        return method, target

    def take(self, name, value):
        self.fields.append((name, value))
        if name == b"host":
            if self.host is not None:
                raise Refused(400)
            self.host = authority(value)
            return True
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect = True
        if name.replace(b"_", b"-") == b"max-forwards" and self.method == b"OPTIONS":
            if self.max_forwards is not None or not re.fullmatch(rb"[0-9]+", value):
                raise Refused(400)
            self.max_forwards = min(int(value), 10**8)
        return False

    def agree(self, named):
        if self.host is None:
            if named is None or self.framing.minor > 0:
                raise Refused(400)
            self.host = named
        elif named is not None:
            if named[0] != self.host[0] or (named[1] or 80) != (self.host[1] or 80):
                raise Refused(400)

    def summary(self):
        host, port = self.host
        flags = "e" * (self.expect and self.framing.minor > 0) + "h" * (self.method == b"HEAD")
        flags += "i" * (self.method in IDEMPOTENT)
        words = (self.framing.summary() + flags, self.path.hex() or "-", self.framing.upgrade.hex() or "-")
        return " ".join(("ok", str(self.end), host or "-", str(port)) + words)

    def body(self):
        return "chunked" if self.framing.chunked else "none" if self.framing.length is None else "length"


class Answer:
    def __init__(self, data, limits, to_head):
        self.framing = Framing()
        self.to_head = to_head
        self.fields = []  # (name in lower case, value)
        lines = Lines(data)
        self.code, self.reason = lines.next(self.status_line, STATUS_LINE_ENDS)
        fields(lines, limits, self.framing, lambda *item: self.fields.append(item))  # and to framing
        self.framing.finish()
        if self.code < 200 or self.code == 204:
            if self.framing.chunked or self.framing.length:
                raise Refused(400)
        if self.code == 101 and (len(self.framing.upgrades) > 1 or self.framing.minor == 0):
            raise Refused(400)
        self.end = lines.at

    def status_line(self, line):
        match = re.fullmatch(rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: (.*))?\r\n", line, re.DOTALL)
        if not match or not TEXT.fullmatch(match[3] or b""):
            raise Refused(400)
        self.framing.minor = int(match[1])
        return int(match[2]), match[3] or b""

    def summary(self):
        words = (self.framing.summary(), self.reason.hex() or "-", self.framing.upgrade.hex() or "-")
        return " ".join(("ok", str(self.end), str(self.code)) + words)

    def body(self):
        if self.to_head or self.code < 200 or self.code in (204, 304):
            return "none"
        if self.framing.chunked:
            return "chunked"
        return "close" if self.framing.length is None else "length"


def size_line(line):
    match = SIZE_LINE.fullmatch(line)
    if not match or len(line) > SIZE_LINE_MAX or int(match[1], 16) >= 1 << 63:
        raise Refused(400)
    return int(match[1], 16)


def chunks(data, at, limits):
    """Yields runs of payload; returns where the body ends."""
    while True:
        lines = Lines(data, at)
        size = lines.next(size_line, SIZE_LINE_ENDS)
        if size == 0:
            break
        yield data[lines.at : lines.at + size]
        at = lines.at + size
        if not b"\r\n".startswith(data[at : at + 2]):
            raise Refused(400)
        if len(data) < at + 2:
            raise More
        at += 2
    trailers = Lines(data[: lines.at + limits.head_max], lines.at)
    try:
        fields(trailers, limits, None, lambda name, value: True)
    except More:
        if len(data) > len(trailers.data):
            raise Refused(400) from None
        raise
    return trailers.at


def body_summaries(message, data, limits):
    """Mostly one: a reader may wait for the end of a line that is bad already."""
    kind, at, payload = message.body(), message.end, b""
    if kind == "chunked":
        try:
            pieces = chunks(data, at, limits)
            while True:
                payload += next(pieces)
        except StopIteration as stop:
            return [f"done {stop.value} {payload.hex() or '-'}"]
        except More:
            return [f"more {payload.hex() or '-'}"]
        except Refused as refused:
            return ["bad", f"more {payload.hex() or '-'}"] if refused.unfinished else ["bad"]
    if kind == "close":
        return [f"more {data[at:].hex() or '-'}"]
    length = 0 if kind == "none" else message.framing.length
    payload = data[at : at + length]
    if len(payload) < length:
        return [f"more {payload.hex() or '-'}"]
    return [f"done {at + length} {payload.hex() or '-'}"]


def read(kind, data, limits):
    """(The lines that check_messages may print, the message if it is sound) of KIND: Q request, A answer, H answer to HEAD."""
    seen = data[: limits.head_max]
    codes, more = set(), False
    try:
        message = Request(seen, limits) if kind == "Q" else Answer(seen, limits, kind == "H")
        return {f"{message.summary()} {body}" for body in body_summaries(message, data, limits)}, message
    except Refused as refused:
        codes, more = refused.codes, refused.unfinished
    except More:
        more = True
    if more and len(data) > limits.head_max:
        start = 2 if seen.startswith(b"\r\n") else 0
        codes.add(431 if b"\n" in seen[start:] else 414)
        more = False
    verdicts = {f"bad {code}" if kind == "Q" else "bad" for code in codes}
    return verdicts | {"more"} if more else verdicts, None
