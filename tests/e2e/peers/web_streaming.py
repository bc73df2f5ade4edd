"""Bodies, interim answers, upgrades and ends pass as they come, in memory that does not grow (57-http-streaming.sh)."""
import os
import queue
import random
import socket
import threading
import time
import zlib

from web import Ended, Origin, Visitor, eq, place, plain, refusal, request, run, wait_until

at = place()
ONE, TWO, NEAR = "one.gw1.localhost", "two.gw1.localhost", "near.gw1.localhost"
one, two, near = (Origin(name, at.ports[name], keep=False) for name in ("one", "two", "near"))
MB = 1 << 20
SANITIZED = bool(os.environ.get("NW_SANITIZED"))
BIG = {ONE: 30 if SANITIZED else 300, NEAR: 30}
BLOCK = random.Random(1).randbytes(MB)


def both(claim):
    """The claim for a tunnel and for a backend that is dialled."""

    def runs():
        for host, origin in ((ONE, one), (NEAR, near)):
            claim(host, origin)

    runs.__name__ = claim.__name__
    return runs


def memory(field="VmRSS"):
    with open("/proc/%d/status" % at.gateway) as status:
        return int([line.split()[1] for line in status if line.startswith(field)][0]) / 1024


def post(host, path, *lines):
    return b"POST %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (path.encode(), host.encode(), b"".join(line + b"\r\n" for line in lines))


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


@both
def a_100_of_the_service_lets_the_body_come(host, origin):
    def careful(conn, req):
        eq(req.get("expect"), "100-continue")
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.send(plain(req.body()))

    origin.answers["/careful"] = careful
    v = Visitor(at.http)
    for _ in range(2):
        v.send(post(host, "/careful", b"Expect: 100-continue", b"Content-Length: 5"))
        eq(v.head().line.split(" ")[1], "100")
        v.send(b"hello")
        eq(v.answer().body, b"hello")
    v.send(post(host, "/careful", b"Expect: 100-continue", b"Content-Length: 5") + b"hello")  # one that does not wait
    eq(v.answer().body, b"hello")


@both
def a_final_answer_instead_of_100_ends_the_request(host, origin):
    def refuses(conn, req):
        code = req.target[1:].encode()
        conn.send(b"HTTP/1.1 %s No\r\nContent-Length: 2\r\n\r\nno" % code)
        return False

    for code in ("417", "413"):
        origin.answers["/" + code] = refuses
        v = Visitor(at.http, post(host, "/" + code, b"Expect: 100-continue", b"Content-Length: 5000000"))
        answer = v.answer()
        eq((answer.status, answer.interim, answer.body), (int(code), [], b"no"))
        assert answer.closes() and v.is_closed(), "a body is due still: the connection cannot serve another request"


@both
def other_interim_answers_pass_too(host, origin):
    origin.answers["/hints"] = (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + b"HTTP/1.1 102 Processing\r\n\r\n"
                                + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    v = Visitor(at.http)
    for _ in range(2):
        answer = v.ask(host, "/hints")
        eq((answer.interim, answer.status, answer.body), ([103, 102], 200, b"hi"))
    old = Visitor(at.http, b"GET /hints HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode()).answer()
    eq((old.interim, old.status), ([], 200), "HTTP/1.0 knows no interim answers")


@both
def events_arrive_one_by_one(host, origin):
    seen = queue.Queue()

    def events(conn, req):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(20):
            conn.send(chunk(b"data: %d\n\n" % n))
            eq(seen.get(timeout=5), n)  # the next only when this one was seen
        conn.send(b"0\r\n\r\n")

    def endless(conn, req):  # the same without any framing
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for n in range(20):
            conn.send(b"data: %d\n\n" % n)
            eq(seen.get(timeout=5), n)
        return False

    origin.answers["/events"], origin.answers["/endless"] = events, endless
    for path in ("/events", "/endless"):
        v = Visitor(at.http, request(host, path))
        eq(v.head().get("transfer-encoding"), "chunked")
        for n, data in enumerate(v.chunks()):
            eq(data, b"data: %d\n\n" % n)
            seen.put(n)
        eq(n, 19)
        eq(v.ask(host, "/on").json()["target"], "/on")


@both
def an_upload_arrives_as_it_is_sent(host, origin):
    came = queue.Queue()

    def takes(conn, req):
        for piece in req.pieces():
            came.put(piece)
        conn.send(plain(b"done"))

    origin.answers["/takes"] = takes
    v = Visitor(at.http, post(host, "/takes", b"Transfer-Encoding: chunked"))
    for n in range(20):
        v.send(chunk(b"piece %d" % n))
        eq(came.get(timeout=5), b"piece %d" % n)
    v.send(b"0\r\nX-Trailer: a\r\n\r\n")
    eq(v.answer().body, b"done")


@both
def question_and_answer_flow_at_once(host, origin):
    def echo(conn, req):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in req.pieces():
            conn.send(chunk(piece))
        conn.send(b"0\r\n\r\n")

    origin.answers["/echo"] = echo
    v = Visitor(at.http, post(host, "/echo", b"Transfer-Encoding: chunked") + chunk(b"0"))
    eq(v.head().status, 200)
    answer = v.chunks()
    for n in range(20):
        eq(next(answer), b"%d" % n)
        v.send(chunk(b"%d" % (n + 1)))
    v.send(b"0\r\n\r\n")
    eq(list(answer), [b"20"])


@both
def pipelined_bodies_keep_their_order(host, origin):
    v = Visitor(at.http)
    bodies = [BLOCK[:n * 77777] for n in range(1, 9)]
    data = b"".join(request(host, "/p%d" % n, method="POST", body=body) for n, body in enumerate(bodies))
    sender = threading.Thread(target=v.send, args=(data,))
    sender.start()
    for n, body in enumerate(bodies):
        said = v.answer().json()
        eq((said["target"], said["length"]), ("/p%d" % n, len(body)))
    sender.join()


@both
def trailers_of_an_answer_are_dropped(host, origin):
    origin.answers["/trailers"] = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2;a=b\r\nhi\r\n0\r\nX-T: 1\r\n\r\n")
    v = Visitor(at.http)
    for _ in range(2):
        eq(v.ask(host, "/trailers").body, b"hi")
        eq(v.trailers, [])
        assert b";a=b" not in bytes(v.raw)


@both
def answers_without_a_body_leave_the_connection_open(host, origin):
    origin.answers["/204"] = b"HTTP/1.1 204 No Content\r\n\r\n"
    origin.answers["/304"] = b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n"
    origin.answers["/head"] = b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"
    v = Visitor(at.http)
    for path, method, status in (("/204", "GET", 204), ("/304", "GET", 304), ("/head", "HEAD", 200)) * 2:
        answer = v.ask(host, path, method=method)
        eq(answer.status, status)
        assert answer.get("transfer-encoding") is None and not answer.closes(), answer.head
    eq(answer.get("content-length"), "12345")
    eq(v.ask(host, "/on").json()["target"], "/on")


@both
def http_1_0_closes_unless_it_asks_to_stay(host, origin):
    origin.answers["/chunks"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n4\r\n you\r\n0\r\n\r\n"
    origin.answers["/plain"] = plain(b"hi")
    line = b"GET %s HTTP/1.0\r\nHost: " + host.encode() + b"\r\n%s\r\n"
    for path, body in ((b"/plain", b"hi"), (b"/chunks", b"hi you")):
        v = Visitor(at.http, line % (path, b""))
        answer = v.answer()
        eq((answer.body, answer.get("transfer-encoding")), (body, None))
        assert v.is_closed()
    v = Visitor(at.http)
    for _ in range(3):
        v.send(line % (b"/plain", b"Connection: keep-alive\r\n"))
        answer = v.answer()
        eq(answer.body, b"hi")
        eq((answer.get("connection") or "").lower(), "keep-alive")
    v.send(line % (b"/plain", b""))
    eq(v.answer().body, b"hi")
    assert v.is_closed()


@both
def connection_close_of_the_visitor_is_heard(host, origin):
    v = Visitor(at.http, request(host, "/x", b"Connection: close\r\n") + request(host, "/behind"))
    answer = v.answer()
    assert answer.closes() and v.is_closed(), answer.head


@both
def an_answer_that_ends_with_its_connection_is_told_apart_from_a_cut_one(host, origin):
    def old(conn, req):
        conn.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"a" * 100000)
        time.sleep(0.05)
        return conn.cut() if req.target.endswith("?cut") else False

    origin.answers["/old"] = old
    v = Visitor(at.http)
    for _ in range(2):
        eq(len(v.ask(host, "/old").body), 100000)
    v.send(request(host, "/old?cut"))
    rest = v.to_end()
    assert v.reset and not rest.endswith(b"0\r\n\r\n"), rest[-40:]


@both
def half_a_connection_is_enough_for_the_answer(host, origin):
    def late(conn, req):
        time.sleep(0.2)
        conn.send(plain(req.body() * 2))

    origin.answers["/late"] = late
    v = Visitor(at.http, request(host, "/late", method="POST", body=b"hello"))
    v.shut()
    eq(v.answer().body, b"hellohello")
    assert v.is_closed()


@both
def a_visitor_that_leaves_takes_its_request_along(host, origin):
    ended = queue.Queue()

    def waits(conn, req):
        try:
            conn.send(plain(req.body()))
            ended.put("whole")
        except Ended:
            ended.put("cut")
            raise

    def idles(conn, req):
        conn.to_end()
        ended.put("gone")
        return False

    origin.answers["/waits"], origin.answers["/idles"] = waits, idles
    for framing, body in ((b"Content-Length: 10", b"hello"), (b"Transfer-Encoding: chunked", chunk(b"hello"))):
        for leave in (Visitor.close, Visitor.cut):
            before = len(origin.requests)
            v = Visitor(at.http, post(host, "/waits", framing) + body)
            wait_until(lambda: len(origin.requests) > before, "the request at the service")
            leave(v)
            eq(ended.get(timeout=5), "cut", framing)
    before = len(origin.requests)
    v = Visitor(at.http, request(host, "/idles"))
    wait_until(lambda: len(origin.requests) > before, "the request at the service")
    v.cut()
    eq(ended.get(timeout=5), "gone")


def upgrade(host, *more):
    return b"GET /switch HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n%s" % (host.encode(), b"".join(more))


@both
def only_a_101_switches_and_nothing_is_sent_on_before(host, origin):
    early = b"GET /early HTTP/1.1\r\n\0\xff not http"

    def switch(conn, req):
        eq((req.get("upgrade"), req.get("connection").lower()), ("echo", "upgrade"))
        assert conn.is_quiet(0.2), "bytes came before the 101"
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nserver first")
        eq(conn.exactly(len(early)), early)
        while True:
            conn.send(conn.exactly(5))

    origin.answers["/switch"] = switch
    v = Visitor(at.http, upgrade(host, early))
    answer = v.answer()
    eq((answer.status, answer.get("upgrade"), answer.get("connection").lower()), (101, "echo", "upgrade"))
    eq(v.exactly(12), b"server first")
    for word in (b"hello", b"\r\n\r\n\0", b"POST "):
        v.send(word)
        eq(v.exactly(5), word)
    v.shut()
    assert v.is_closed()


@both
def an_upgrade_that_is_refused_is_a_request_like_others(host, origin):
    origin.answers["/switch"] = plain(b"no")
    v = Visitor(at.http, upgrade(host, request(TWO, "/behind")))
    eq(v.answer().body, b"no")
    eq(v.answer().json()["origin"], "two")
    bad = Visitor(at.http, upgrade(host, b"\0\0\0\r\n\r\n"))
    eq(bad.answer().body, b"no")
    refusal(bad.answer(), 400)


def grown(work, most):
    """WORK may not make the gateway more than MOST MB bigger than it was, not even for a moment."""
    with open("/proc/%d/clear_refs" % at.gateway, "w") as refs:
        refs.write("5")  # the peak starts here
    before = memory()
    work()
    peak = memory("VmHWM") - before
    assert peak <= (4 * most if SANITIZED else most), "the gateway grew by %.1f MB" % peak


@both
def a_body_of_any_size_passes_in_constant_memory(host, origin):
    want, sums, blocks = 0, {}, range(BIG[host])
    for _ in blocks:
        want = zlib.crc32(BLOCK, want)
    size = len(blocks) * MB

    def down(conn, req):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size))
        for _ in blocks:
            conn.send(BLOCK)

    def up(conn, req):
        req.taken = True
        sums["up"] = conn.swallow(size)
        conn.send(plain(b"done"))

    origin.answers["/down"], origin.answers["/up"] = down, up

    def fetch():
        v = Visitor(at.http, request(host, "/down"))
        eq(v.head().status, 200)
        sums["down"] = v.swallow(size)

    def bring():
        v = Visitor(at.http, post(host, "/up", b"Content-Length: %d" % (size)))
        for _ in blocks:
            v.send(BLOCK)
        sums["done"] = v.answer().body

    grown(lambda: (fetch(), bring()), 24)
    eq(sums, {"up": want, "down": want, "done": b"done"})


SLOW = 12  # visitors at once


def within_buffers(sent):
    """No more went in than the kernel's buffers of the three connections on the way may take and a few MB in our own
    programs, whose memory is measured apart: how far the kernel lets a receive buffer grow is each machine's setting."""
    most = [int(open("/proc/sys/net/ipv4/tcp_" + name).read().split()[2]) for name in ("rmem", "wmem")]
    assert sent < 3 * sum(most) + 8 * MB, sent


@both
def a_reader_that_stops_holds_back_the_service(host, origin):
    sent = []

    def endless(conn, req):
        index = len(sent)
        sent.append(0)
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            conn.send(chunk(BLOCK[:65536]))
            sent[index] += 65536

    origin.answers["/endless"] = endless
    stopped = []

    def work():
        for _ in range(SLOW):
            stopped.append(Visitor(at.http, request(host, "/endless")))
        standing(lambda: sum(sent) if len(sent) == SLOW else None)
        eq(Visitor(at.http).ask(host, "/beside").json()["target"], "/beside")

    grown(work, 2 + SLOW * 1.5)
    within_buffers(max(sent))
    for v in stopped:
        v.cut()


@both
def a_service_that_does_not_read_holds_back_the_visitor(host, origin):
    go = threading.Event()
    origin.answers["/deaf"] = lambda conn, req: (go.wait(20), False)[1]
    sent = [0] * SLOW
    visitors = []

    def pour(n):
        try:
            while True:
                visitors[n].send(BLOCK[:65536])
                sent[n] += 65536
        except OSError:
            pass

    def work():
        for n in range(SLOW):
            visitors.append(Visitor(at.http, post(host, "/deaf", b"Content-Length: 1000000000")))
            threading.Thread(target=pour, args=(n,), daemon=True).start()
        standing(lambda: sum(sent))
        eq(Visitor(at.http).ask(host, "/beside").json()["target"], "/beside")

    grown(work, 2 + SLOW * 1.5)
    within_buffers(max(sent))
    go.set()
    for v in visitors:
        v.sock.shutdown(socket.SHUT_RDWR)


def standing(progress):
    """Until the value stays for 0.3 s."""
    last, since = None, time.monotonic()

    def stands():
        nonlocal last, since
        value = progress()
        if value is None or value != last:
            last, since = value, time.monotonic()
        return time.monotonic() - since > 0.3

    wait_until(stands, "an end of the flow")


run([a_100_of_the_service_lets_the_body_come, a_final_answer_instead_of_100_ends_the_request, other_interim_answers_pass_too,
     events_arrive_one_by_one, an_upload_arrives_as_it_is_sent, question_and_answer_flow_at_once, pipelined_bodies_keep_their_order,
     trailers_of_an_answer_are_dropped, answers_without_a_body_leave_the_connection_open, http_1_0_closes_unless_it_asks_to_stay,
     connection_close_of_the_visitor_is_heard, an_answer_that_ends_with_its_connection_is_told_apart_from_a_cut_one,
     half_a_connection_is_enough_for_the_answer, a_visitor_that_leaves_takes_its_request_along, only_a_101_switches_and_nothing_is_sent_on_before,
     an_upgrade_that_is_refused_is_a_request_like_others, a_reader_that_stops_holds_back_the_service,
     a_service_that_does_not_read_holds_back_the_visitor, a_body_of_any_size_passes_in_constant_memory], [one, two, near])
