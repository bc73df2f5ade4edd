#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two HTTP/1 readers, one verdict: messages made by a grammar and then damaged go through nw_http (the program
check_messages, whole and in pieces) and through second_parser.py. Both must agree on verdict, status, host, framing, flags,
path, payload and where the message ends; and what nw_http sends on must be what second_forward.py expects. NW_HTTP_CASES sets how many messages (default 6000), NW_HTTP_SEED the first seed."""
import os
import random
import struct
import subprocess
import sys
from collections import Counter

import second_forward
from second_parser import Limits, read

CHECKER = sys.argv[1]
CASES = int(os.environ.get("NW_HTTP_CASES", "6000"))
SEED = int(os.environ.get("NW_HTTP_SEED", "1"))
BATCH = 20000

HOSTS = [
    b"A.Example", b"a.example.", b"a.example:80", b"a.example:8080", b"a.example:", b"a.example.:80", b"b.example", b"a_b.example",
    b"xn--bcher-kva.example", b"127.0.0.1", b"127.1", b"0x7f.1", b"2130706433", b"1.2.3.4.5", b"[::1]", b"[2001:DB8::1]:81",
    b"[::ffff:1.2.3.4]", b"*.example", b"a..example", b".example", b"a%20b", b"-a.example", b"a-.example", b"a,b", b"a.b..", b".",
    b"x" * 63 + b".example", b"x" * 64 + b".example", b"abc." * 62 + b"abcde", b"abc." * 62 + b"abcdef",
]  # fmt: skip
BAD_HOSTS = [
    b"", b"u@a.example", b"u:p@a.example", b"a.example:0", b"a.example:65536", b"a.example:000080", b":80", b"a b", b"a.example:x",
    b"[::1", b"[zz]", b"::1", b"a%2", b"a%zz", b"\xc3\xa4", b"a/b", b"a.example:80:80", b"[::1]x", b"[fe80::1%1]", b"[v1.x]",
    b"http://a.example", b"a\\b", b"[]", b"[127.0.0.1]",
]  # fmt: skip
METHODS = [b"GET"] * 8 + [b"POST"] * 6 + [b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND", b"M-SEARCH", b"get"]
BAD_METHODS = [b"CONNECT", b"TRACE", b"PRI", b"", b"G(T", b"G\tT", b"X" * 32, b"X" * 33, b"\x16\x03"]
TARGETS = [b"/"] * 6 + [b"/a/b?c=d&e", b"//b.example/", b"/%2e%2e/", b"/a|b\"<>^`{}", b"/" + b"p" * 60, b"/?", b"/*", b"/@:;,"]
BAD_TARGETS = [b"*", b"", b"a.example:80", b"/a#b", b"/\x00", b"/\x7f", b"/\xc3\xa4", b"?q", b"https://a.example/", b"http:/a", b"x"]
COUNTS = [b"0", b"1", b"10", b"007", b"9" * 40, b"100000001", b"4294967296", b"", b"-1", b"1 1", b"1,1", b"+1", b"x", b"1.0"]
VERSIONS = [b"HTTP/1.1"] * 20 + [b"HTTP/1.0"] * 3 + [b"HTTP/1.2", b"HTTP/1.9"]
BAD_VERSIONS = [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.10", b"http/1.1", b"HTTP/1,1", b"HTTP/11", b"", b"HTTP/1.", b"XTTP/1.1"]
CODES = [b"200"] * 20 + [b"100", b"101", b"103", b"204", b"205", b"206", b"301", b"304", b"404", b"426", b"500", b"599"]
BAD_CODES = [b"099", b"600", b"20", b"2000", b"20x", b"", b"+20", b" 20"]
REASONS = [b" OK"] * 6 + [b"", b" ", b" Not Found", b" \xc3\xa4\t!", b"  ", b"\tOK", b" O\x01K", b"OK"]
OPTIONS = [
    b"close", b"Close", b"keep-alive", b"Keep-Alive", b"Upgrade", b"upgrade", b"TE", b"X-Mine", b"", b" ", b"\t", b"closed", b"clos",
    b"transfer-encoding", b"host", b"close close", b"close;x", b'"close"', b"\xff", b"HTTP2-Settings",
]  # fmt: skip
LENGTHS = [
    b"", b"00", b"+5", b"-5", b"5,5", b"5, 5", b"0x5", b"5 5", b"5.", b"05", b"9" * 18, b"9" * 19, b"1" + b"0" * 18, b"\x0b5", b"5;",
]  # fmt: skip
CODINGS = [
    b"Chunked", b"CHUNKED", b"gzip", b"identity", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"chunked,", b",chunked",
    b"", b"chunked;q=1", b'"chunked"', b"chunke", b"chunkedd", b"chun ked", b"\x0bchunked", b"xchunked", b"chunked\x00",
]  # fmt: skip
NAMES = [b"Accept", b"X-A", b"Cookie", b"Via", b"X-Forwarded-For", b"TE", b"Trailer", b"Hos", b"Hostt", b"Content_Length", b"a" * 17]
NAMES += [b"Forwarded", b"X-Real-IP", b"X_Forwarded_For", b"X-Forwarded-Proto", b"X-Forwarded", b"X-Request-Id", b"Keep-Alive"]
NAMES += [b"Proxy-Connection", b"X-Mine", b"HTTP2-Settings", b"Proxy", b"Transfer_Encoding", b"Connection_"]
BLANKS = [b"", b" ", b" ", b" ", b" ", b"\t", b"  ", b" \t "]
LINE_ENDS = [b"\n", b"\r", b"\r\r\n", b"\n\r", b"", b"\r\n ", b"\r\n\t", b"\x00\r\n", b"\x0b\r\n", b"\x85\r\n"]
COLONS = [b" :", b"\t:", b"", b"::", b":\x0b", b";", b":\x00", b":\r\n "]
SIZE_TRICKS = [
    b"", b"x", b"+%x", b"-%x", b"0x%x", b" %x", b"%x ", b"%x\t", b"%x;", b"%x;;a", b"%x; a", b"%x ;a", b"%x;a=", b"%x;a =b", b"%x;a=b c",
    b'%x;a="b', b'%x;a="b"c', b"%x,%x", b"%x.0", b"1000000000000000%x", b"f000000000000000", b"8000000000000000",
    b"7fffffffffffffff", b"\x00%x", b"%x\x00", b'%x;a="\\"', b"%x;a=\xff",
]  # fmt: skip
EXTENSIONS = [b""] * 6 + [b";a", b";a=b", b';a="b;\\" c\xff"', b";a;b=c", b";x=" + b"y" * 30]
BYTES = [b"\x00", b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b",", b"\x7f", b"\xff", b"#", b"@", b"%", b"0", b"a", b"\x0b", b";", b'"', b"/"]


class Message:
    """A head as parts that can be damaged one by one, and a body."""

    def __init__(self, rng, kind):
        self.rng, self.kind = rng, kind
        self.fields = []  # [name, colon, value, line end]
        self.body = b""
        self.trailer_len = 0
        self.end = b"\r\n"
        self.start = self.request_line() if kind == "Q" else self.status_line()
        for _ in range(rng.choice((0, 0, 1, 2, 4))):
            self.add(rng.choice(NAMES), rng.choice((b"", b"x", b"a, b;q=0.5", b"\xc3\xa4", b"v" * rng.randrange(80))))
        self.framing()
        self.connection()
        rng.shuffle(self.fields)

    def some(self, good, bad, odds=40):
        return self.rng.choice(bad if self.rng.randrange(odds) == 0 else good)

    def add(self, name, value):
        colon = b":" + self.rng.choice(BLANKS)
        self.fields.append([name, colon, value, self.rng.choice((b"", b"", b"", b" ", b"\t ")) + b"\r\n"])

    def request_line(self):
        rng = self.rng
        host = self.some([b"a.example"] * 20 + HOSTS, BAD_HOSTS, 15)
        target = self.some(TARGETS, BAD_TARGETS)
        if rng.randrange(4) == 0:
            same = (host, host.upper(), host.removesuffix(b".").lower(), host.removesuffix(b":80"), host + b":80")
            other = rng.choice(same + (rng.choice(HOSTS + BAD_HOSTS),))
            target = rng.choice((b"http://", b"http://", b"HTTP://")) + other + rng.choice((b"/", b"", b"?q", b"/x?y=@"))
        if rng.randrange(30) > 0:
            self.add(rng.choice((b"Host", b"Host", b"host", b"HOST")), host)
        method = self.some(METHODS, BAD_METHODS)
        if method == b"OPTIONS" and rng.randrange(2) == 0:
            target = b"*"
        if rng.randrange(2 if method == b"OPTIONS" else 30) == 0:
            self.add(rng.choice((b"Max-Forwards", b"max-forwards", b"Max_Forwards")), rng.choice(COUNTS))
        parts = [method, target, self.some(VERSIONS, BAD_VERSIONS)]
        blanks = [rng.choice((b"  ", b"\t", b"")) if rng.randrange(80) == 0 else b" " for _ in range(2)]
        line = parts[0] + blanks[0] + parts[1] + blanks[1] + parts[2] + b"\r\n"
        empty = rng.choice((b"\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"\r")) if rng.randrange(15) == 0 else b""
        return empty + line

    def status_line(self):
        version = self.some(VERSIONS, BAD_VERSIONS, 40)
        return version + b" " + self.some(CODES, BAD_CODES) + self.some(REASONS[:11], REASONS[11:]) + b"\r\n"

    def payload(self):
        rng = self.rng
        n = rng.choice((0, 1, 5, 16, 17, rng.randrange(300)))
        return rng.choice((rng.randbytes(n), b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n" * (n // 30)))

    def framing(self):
        rng = self.rng
        how = rng.randrange(24)
        if how < 8:
            payload = self.payload()
            self.add(rng.choice((b"Content-Length", b"content-length")), b"%d" % len(payload))
            self.body = payload[: rng.choice((len(payload),) * 6 + (len(payload) // 2,))]
        elif how < 16:
            self.add(rng.choice((b"Transfer-Encoding", b"transfer-ENCODING")), self.some([b"chunked"] * 8 + CODINGS[:2], CODINGS, 20))
            self.body = self.chunked()
        elif how == 16:
            self.add(b"Content-Length", rng.choice(LENGTHS))
        if rng.randrange(6) == 0:
            self.body += rng.choice((b"GET / HTTP/1.1\r\n", b"\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n"))

    def chunked(self):
        rng, out = self.rng, b""
        for _ in range(rng.choice((0, 1, 1, 2, 5))):
            data = self.payload() or b"x"
            form = rng.choice((b"%x", b"%X", b"0%x", b"%016x")) + rng.choice(EXTENSIONS)
            if rng.randrange(25) == 0:
                form = rng.choice(SIZE_TRICKS)
            size = form % ((len(data),) * form.count(b"%")) if b"%" in form else form
            out += size + self.some([b"\r\n"], LINE_ENDS, 60) + data + self.some([b"\r\n"], LINE_ENDS + [b"x\r\n"], 60)
        out += self.some([b"0", b"0", b"00", b"0" * 16], [b"0" * 17, b"", b"0 ", b"0;", b"-0"], 20) + rng.choice(EXTENSIONS) + b"\r\n"
        start = len(out)
        for _ in range(rng.choice((0, 0, 0, 1, 3, 9))):
            name = self.some(NAMES, [b"", b" X", b"X ", b"X(", b"\x00", b"Content-Length"], 20)
            out += name + b": " + rng.choice((b"y", b"", b"\xff", b"z" * rng.randrange(400))) + self.some([b"\r\n"], LINE_ENDS, 20)
        out += self.some([b"\r\n"], LINE_ENDS, 30)
        self.trailer_len = len(out) - start
        return out[: rng.choice((len(out),) * 8 + (rng.randrange(len(out) + 1),))]

    def connection(self):
        rng = self.rng
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            elements = [self.some(OPTIONS[:14], OPTIONS, 10) for _ in range(rng.choice((1, 1, 2, 4)))]
            if rng.randrange(40) == 0:
                elements = [rng.choice((b"a", b"", b"close"))] * rng.randrange(28, 40)
            self.add(rng.choice((b"Connection", b"connection")), rng.choice((b",", b", ", b" ,\t")).join(elements))
        if rng.randrange(5) == 0:
            if rng.randrange(2) == 0:
                self.add(b"Connection", rng.choice((b"Upgrade", b"keep-alive, upgrade")))
            self.add(b"Upgrade", rng.choice((b"websocket", b"WebSocket", b"h2c", b"a/1, b", b"")))
        if rng.randrange(8) == 0:
            self.add(b"Expect", rng.choice((b"100-continue", b"100-Continue", b"x", b"", b"100-continue, x")))

    def damage(self):
        """One change of a part."""
        rng = self.rng
        line = rng.choice(self.fields) if self.fields else [b"", b"", b"", b""]
        how = rng.randrange(8)
        if how == 0:  # one field, often of framing, twice
            framing = [f for f in self.fields if f[0].lower() in (b"host", b"content-length", b"transfer-encoding", b"upgrade")]
            self.fields.insert(rng.randrange(len(self.fields) + 1), list(rng.choice(framing or [line])))
        elif how == 1:
            line[1] = rng.choice(COLONS)
        elif how == 2:
            line[3] = rng.choice(LINE_ENDS)
        elif how == 3:
            line[0] = rng.choice((b" " + line[0], b"", line[0] + b"\x00", b"\xc3" + line[0], line[0].swapcase(), b"\t"))
        elif how == 4:
            line[2] = rng.choice((b"\x0b", b"\x00", b"\x7f", b"\x01", b" ", b"\x80")) + line[2]
        elif how == 5:
            self.end = rng.choice(LINE_ENDS + [b""])
        elif how == 6:
            name, values = rng.choice(((b"Content-Length", LENGTHS + [b"0", b"5"]), (b"Transfer-Encoding", CODINGS + [b"chunked"])))
            self.fields.insert(rng.randrange(len(self.fields) + 1), [name, b": ", rng.choice(values), b"\r\n"])
        elif self.fields:
            self.fields.remove(line)

    def bytes(self):
        return self.start + b"".join(b"".join(line) for line in self.fields) + self.end + self.body


def scratch(rng, data):
    """One change of the bytes."""
    at = rng.randrange(len(data) + 1)
    stop = min(len(data), at + rng.choice((1, 1, 1, 2, 8, 40)))
    how = rng.randrange(6)
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + data[stop:]
    if how == 2:
        return data[:stop] + data[at:]
    middle = rng.choice(BYTES) if rng.randrange(3) else rng.randbytes(1)
    return data[:at] + middle + data[at if how == 3 else at + 1 :]


def limits_for(rng, data, trailer_len):
    """Mostly the gateway's own; else some at the very edge of what the message has."""
    limits = Limits()
    if rng.randrange(12) == 0:
        head = (data.find(b"\r\n\r\n") + 4) % (len(data) + 1)
        limits.head_max = max(1, head + rng.choice((-1, 0, 0, 1, -rng.randrange(head + 1))))
    if trailer_len > 2 and rng.randrange(3) == 0:
        limits.head_max = trailer_len + rng.choice((-1, 0))
    elif trailer_len > 2 and rng.randrange(3) == 0:
        limits.headers_max = rng.randrange(4, 10)
    if rng.randrange(12) == 0:
        target = (data.split(b" ") + [b"", b""])[1]
        limits.target_max = max(1, len(target) + rng.choice((-1, 0, 0, 1)))
    if rng.randrange(12) == 0:
        limits.headers_max = rng.randrange(1, 9)
    return limits


def make(seed):
    """(kind, bytes, limits); the same for the same seed."""
    rng = random.Random(seed)
    message = Message(rng, rng.choice("QQQAAH"))
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        message.damage()
    data = message.bytes()
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        data = scratch(rng, data)
    return message.kind, data, limits_for(rng, data, message.trailer_len)


def first_reader(cases):
    """The lines of check_messages."""
    records = b"".join(
        struct.pack(">c5I", kind.encode(), seed, limits.head_max, limits.target_max, limits.headers_max, len(data)) + data
        for seed, (kind, data, limits) in cases
    )
    run = subprocess.run([CHECKER], input=records, capture_output=True, check=False)
    if run.returncode != 0:
        sys.exit(f"check_messages: exit code {run.returncode}\n{run.stderr.decode(errors='replace')[-4000:]}")
    return run.stdout.decode().splitlines()


def kind_of_verdict(kind, line):
    words = line.split(" ")
    if words[0] != "ok":
        return f"{kind} {line}"
    ending = next(w for w in words[::-1] if w in ("done", "more", "bad"))
    return f"{kind} ok {next(w for w in words if w in ('none', 'chunked', 'length'))} {ending}"


def check(cases, counts):
    faults = 0
    lines = first_reader(cases)
    if len(lines) != len(cases):
        sys.exit(f"check_messages: {len(lines)} lines for {len(cases)} messages")
    for (seed, (kind, data, limits)), first in zip(cases, lines):
        first, _, sent = first.partition(" sent ")
        second, message = read(kind, data, limits)
        counts[kind_of_verdict(kind, first)] += 1
        fault = None
        if first not in second:
            fault = f"\n  nw_http: {first}\n  second:  {' or '.join(sorted(second))}"
        elif sent:
            counts[f"{kind} sent on"] += 1
            fault = second_forward.fault(message, bytes.fromhex(sent))
            fault = fault and f"\n  sent as {bytes.fromhex(sent)!r}\n  {fault}"
        if fault:
            faults += 1
            if faults <= 10:
                print(f"seed {seed}: {kind} {data!r} {limits}{fault}")
    return faults


# A corpus without one of these would show little.
WANTED = (
    [f"Q bad {code}" for code in (400, 405, 414, 431, 501, 505)]
    + [f"{kind} ok {how}" for kind in "QA" for how in ("none", "length done", "length more", "chunked done", "chunked more", "chunked bad")]
    + ["Q more", "Q sent on", "A sent on", "A more", "A bad", "H bad", "H ok chunked done"]
)


def main():
    faults, counts = 0, Counter()
    for start in range(SEED, SEED + CASES, BATCH):
        seeds = range(start, min(start + BATCH, SEED + CASES))
        faults += check([(seed, make(seed)) for seed in seeds], counts)
    for name, count in sorted(counts.items()):
        print(f"{count:7} {name}")
    missing = [want for want in WANTED if not any(name.startswith(want) for name in counts)]
    if missing:
        print(f"no message of the corpus was: {', '.join(missing)}")
    print(f"{CASES} messages, {faults} differences")
    return 1 if faults or missing else 0


if __name__ == "__main__":
    sys.exit(main())
