"""HTTP at the level of bytes, for the tests: a service that keeps every byte it got and answers with whatever it is told, and a
visitor on a bare socket. Imported by the web_*.py beside it; the claims of such a file run one after the other (run)."""
import collections
import json
import os
import socket
import struct
import sys
import threading
import time
import traceback
import zlib

WAIT = 15  # seconds for what must happen at all


class Ended(Exception):
    """The other side ended or cut the connection where more was due."""


class Wire:
    """A socket with a buffer; `raw` is everything that ever came."""

    def __init__(self, sock):
        self.sock, self.raw, self.at, self.reset = sock, bytearray(), 0, False
        sock.settimeout(WAIT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        try:
            piece = self.sock.recv(262144)
        except (ConnectionResetError, BrokenPipeError):
            self.reset = True
            raise Ended("reset after %r" % bytes(self.raw[-200:]))
        if not piece:
            raise Ended("end after %r" % bytes(self.raw[-200:]))
        self.raw += piece

    def until(self, mark):
        start = self.at
        while True:
            end = self.raw.find(mark, start)
            if end >= 0:
                break
            start = max(self.at, len(self.raw) - len(mark) + 1)
            self.more()
        taken, self.at = bytes(self.raw[self.at:end + len(mark)]), end + len(mark)
        return taken

    def exactly(self, count):
        while len(self.raw) - self.at < count:
            self.more()
        taken, self.at = bytes(self.raw[self.at:self.at + count]), self.at + count
        return taken

    def swallow(self, count):
        """COUNT bytes that are not kept; returns their CRC."""
        crc = 0
        while count:
            if len(self.raw) == self.at:
                self.raw, self.at = bytearray(), 0
                self.more()
            piece = memoryview(self.raw)[self.at:self.at + count]
            crc, count, self.at = zlib.crc32(piece, crc), count - len(piece), self.at + len(piece)
            piece.release()
        return crc

    def to_end(self):
        """Everything up to the end; self.reset tells how it ended."""
        try:
            while True:
                self.more()
        except Ended:
            taken, self.at = bytes(self.raw[self.at:]), len(self.raw)
            return taken

    def is_quiet(self, seconds):
        """Nothing more comes within SECONDS."""
        if len(self.raw) > self.at:
            return False
        self.sock.settimeout(seconds)
        try:
            self.more()
            return False
        except (TimeoutError, socket.timeout):
            return True
        finally:
            self.sock.settimeout(WAIT)

    def chunks(self):
        """The payload of a chunked body, chunk by chunk; the trailers in self.trailers."""
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            yield self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        self.trailers = []
        while (line := self.until(b"\r\n")) != b"\r\n":
            self.trailers.append(line)

    def shut(self):
        self.sock.shutdown(socket.SHUT_WR)

    def cut(self):
        """Reset the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


class Fields:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.head, self.line = head, lines[0]
        self.fields = [(n, v.strip()) for n, v in (line.split(":", 1) for line in lines[1:] if line)]

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        """The value, None when there is none; two of them are a fault."""
        values = self.all(name)
        assert len(values) <= 1, "%d times %s in %r" % (len(values), name, self.head)
        return values[0] if values else None


class Request(Fields):
    def __init__(self, conn, head):
        super().__init__(head)
        self.conn, self.method, self.target = conn, *self.line.split(" ")[:2]
        self.has_body = self.get("content-length") not in (None, "0") or self.get("transfer-encoding") is not None
        self.taken = not self.has_body

    def pieces(self):
        self.taken = True
        if self.get("transfer-encoding"):
            yield from self.conn.chunks()
        elif self.has_body:
            left = int(self.get("content-length"))
            while left:
                piece = self.conn.exactly(min(left, 65536))
                left -= len(piece)
                yield piece

    def body(self):
        return b"".join(self.pieces())


class Conn(Wire):
    """A connection at the service."""

    def __init__(self, origin, sock, number):
        super().__init__(sock)
        self.origin, self.number, self.served = origin, number, 0

    def serve(self):
        try:
            while True:
                request = Request(self, self.until(b"\r\n\r\n"))
                with self.origin.lock:
                    self.origin.requests.append(request)
                self.served += 1
                answer = self.origin.answers.get(request.target.split("?")[0], self.origin.usual)
                if (self.send(answer) if isinstance(answer, bytes) else answer(self, request)) is False:
                    break
                for _ in () if request.taken else request.pieces():
                    pass
                if not self.origin.keep:
                    self.forget()
        except (Ended, OSError, socket.timeout):
            pass
        except Exception:
            self.origin.faults.append(traceback.format_exc())
        finally:
            self.sock.close()

    def forget(self):
        self.raw, self.at = self.raw[self.at:], 0


class Origin:
    """A service. `answers[path]`: bytes to send, or a function of (conn, request) that returns False to hang up. Every byte that came
    is in conns[n].raw (with keep), every head in requests."""

    def __init__(self, name, port, keep=True):
        self.name, self.keep = name, keep
        self.conns, self.requests, self.answers, self.faults = [], [], {}, []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.9", port), backlog=128)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            conn = Conn(self, sock, len(self.conns))
            self.conns.append(conn)
            threading.Thread(target=conn.serve, daemon=True).start()

    def usual(self, conn, request):
        """Says who answered what; the body of the request is read first."""
        body = request.body()
        said = {"origin": self.name, "conn": conn.number, "nth": conn.served, "method": request.method, "target": request.target,
                "fields": request.fields, "body": body[:1000].decode("latin-1"), "length": len(body)}
        conn.send(plain(json.dumps(said).encode(), b"Content-Type: application/json\r\n", request.method == "HEAD"))

    def count(self):
        """Bytes that ever came."""
        return sum(len(conn.raw) for conn in self.conns)

    def seen(self):
        return b"\0".join(bytes(conn.raw) for conn in self.conns)


def plain(body, fields=b"", head_only=False, status=b"200 OK"):
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, fields, len(body), b"" if head_only else body)


class Answer(Fields):
    """An answer as the visitor reads it; interim = the 1xx before it."""

    def __init__(self, head):
        super().__init__(head)
        assert self.line.startswith("HTTP/1.1 "), self.line
        self.status, self.body, self.interim = int(self.line.split(" ")[1]), b"", []

    def json(self):
        return json.loads(self.body)

    def closes(self):
        return "close" in [t.strip().lower() for v in self.all("connection") for t in v.split(",")]


class Visitor(Wire):
    def __init__(self, port, data=b"", source=None):
        super().__init__(socket.create_connection(("127.0.0.1", port), WAIT, source and (source, 0)))
        if data:
            self.send(data)

    def head(self):
        return Answer(self.until(b"\r\n\r\n"))

    def answer(self, method="GET"):
        """The next final answer with its body."""
        interim = []
        while (answer := self.head()).status < 200 and answer.status != 101:
            interim.append(answer.status)
        answer.interim = interim
        if method == "HEAD" or answer.status in (101, 204, 304):
            return answer
        if answer.get("transfer-encoding"):
            assert answer.get("content-length") is None
            answer.body = b"".join(self.chunks())
        elif answer.get("content-length") is not None:
            answer.body = self.exactly(int(answer.get("content-length")))
        else:
            answer.body = self.to_end()
        return answer

    def ask(self, host, path="/", fields=b"", method="GET", body=b""):
        self.send(request(host, path, fields, method, body))
        return self.answer(method)

    def is_closed(self):
        """The end, and nothing before it."""
        return self.to_end() == b""


def request(host, path="/", fields=b"", method="GET", body=b""):
    if body or method == "POST":
        fields += b"Content-Length: %d\r\n" % len(body)
    return b"%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s" % (method.encode(), path.encode("latin-1"), host.encode(), fields, body)


def wait_until(condition, what, seconds=WAIT):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not within %s s: %s" % (seconds, what)
        time.sleep(0.01)


def eq(got, want, what=""):
    assert got == want, "%s: got %r, want %r" % (what, got, want)


def refusal(answer, status, closes=True):
    """What every answer of the gateway's own must be."""
    eq(answer.status, status, answer.head)
    assert (answer.get("proxy-status") or "").startswith("netwall"), answer.head
    if closes:
        assert answer.closes(), answer.head


Place = collections.namedtuple("Place", "http ports pids dir gateway")


def place():
    """Where the script put things (web_lib.sh)."""
    ports = {k[5:].lower(): int(v) for k, v in os.environ.items() if k.startswith("PORT_")}
    pids = {k[4:].lower(): int(v) for k, v in os.environ.items() if k.startswith("PID_")}
    return Place(int(os.environ["WEB_HTTP"]), ports, pids, os.environ["TMP"], int(os.environ["WEB_GATEWAY"]))


def run(claims, origins):
    """Run the functions whose names are the claims; all of them are tried, then the status says whether one failed."""
    failed = 0
    only = sys.argv[1:]
    for claim in claims:
        if only and claim.__name__ not in only:
            continue
        start = time.monotonic()
        try:
            claim()
            for origin in origins:
                assert not origin.faults, "the service got what it could not read: " + origin.faults[0]
            word = "ok"
        except Exception:
            traceback.print_exc(file=sys.stdout)
            failed, word = failed + 1, "FAILED"
        print("-- %s: %s (%.1f s)" % (claim.__name__.replace("_", " "), word, time.monotonic() - start), flush=True)
    sys.stdout.flush()
    os._exit(1 if failed else 0)  # threads of services may still wait
