"""Requests and answers that two readers could understand differently (19-http-hostile.sh). The mark stands wherever the stranger can
put a word of its own: no page may show it, and no service may get it."""
import threading
import time

from web import Ended, Origin, Visitor, eq, place, refusal, request, run, wait_until

at = place()
ONE, NEAR = "one.gw1.localhost", "near.gw1.localhost"
one, near = Origin("one", at.ports["one"]), Origin("near", at.ports["near"])
MARK = b"zQx9mark"
SMUGGLED = b"GET /%s HTTP/1.1\r\nHost: one.gw1.localhost\r\n\r\n" % MARK


def head(*lines, method=b"GET", target=b"/", version=b"HTTP/1.1", host=b"Host: one.gw1.localhost"):
    lines = ([host] if host else []) + list(lines)
    return b"%s %s %s\r\n%s\r\n" % (method, target, version, b"".join(line + b"\r\n" for line in lines))


def post(*lines, **more):
    return head(*lines, method=b"POST", **more)


# name: (bytes, status); refused by the head alone, so the service gets nothing at all
HEADS = {
    "length and chunked": (post(b"Content-Length: 6", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "chunked and length": (post(b"Transfer-Encoding: chunked", b"Content-Length: 6") + b"0\r\n\r\n", 400),
    "two lengths that differ": (post(b"Content-Length: 0", b"Content-Length: 44"), 400),
    "two lengths that agree": (post(b"Content-Length: 0", b"Content-Length: 0"), 400),
    "a list of lengths": (post(b"Content-Length: 0, 0"), 400),
    "a length with a sign": (post(b"Content-Length: +0"), 400),
    "a negative length": (post(b"Content-Length: -1"), 400),
    "a length in hex": (post(b"Content-Length: 0x0"), 400),
    "a length with a leading zero": (post(b"Content-Length: 00"), 400),
    "a length too big for 64 bits": (post(b"Content-Length: 18446744073709551616"), 400),
    "an empty length": (post(b"Content-Length:"), 400),
    "a length with words": (post(b"Content-Length: 0 " + MARK), 400),
    "transfer coding identity": (post(b"Transfer-Encoding: identity"), (400, 501)),
    "transfer coding gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked"), (400, 501)),
    "chunked twice": (post(b"Transfer-Encoding: chunked, chunked"), (400, 501)),
    "chunked in two fields": (post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), (400, 501)),
    "chunked not last": (post(b"Transfer-Encoding: chunked, identity"), (400, 501)),
    "xchunked": (post(b"Transfer-Encoding: xchunked"), (400, 501)),
    "quoted chunked": (post(b'Transfer-Encoding: "chunked"'), (400, 501)),
    "chunked with a parameter": (post(b"Transfer-Encoding: chunked;" + MARK), (400, 501)),
    "chunked behind a vertical tab": (post(b"Transfer-Encoding: \x0bchunked"), 400),
    "chunked in a folded line": (post(b"Transfer-Encoding:\r\n chunked"), 400),
    "space before the colon of chunked": (post(b"Transfer-Encoding : chunked"), 400),
    "chunked on HTTP/1.0": (post(b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + b"0\r\n\r\n", 400),
    "a folded line": (head(b"X-A: a", b" " + MARK), 400),
    "a folded first field": (head(host=b" Host: one.gw1.localhost"), 400),
    "a bare LF ends the head": (b"GET / HTTP/1.1\nHost: one.gw1.localhost\n\n", 400),
    "a bare LF in a field": (head(b"X-A: a\nX-B: " + MARK), 400),
    "a bare CR in a field": (head(b"X-A: a\rX-B: " + MARK), 400),
    "NUL in a value": (head(b"X-A: a\0" + MARK), 400),
    "NUL in the target": (head(target=b"/\0" + MARK), 400),
    "NUL in the host": (head(host=b"Host: one.gw1.localhost\0" + MARK), 400),
    "a control character in a value": (head(b"X-A: \x01" + MARK), 400),
    "space before a colon": (head(b"X-A : " + MARK), 400),
    "tab before a colon": (head(b"X-A\t: " + MARK), 400),
    "no name": (head(b": " + MARK), 400),
    "no colon": (head(MARK), 400),
    "a name that is no token": (head(b"X(A): " + MARK), 400),
    "a name that is not ASCII": (head(b"X-\xe9: " + MARK), 400),
    "two hosts": (head(b"Host: two.gw1.localhost"), 400),
    "two hosts that agree": (head(b"Host: one.gw1.localhost"), 400),
    "no host": (head(host=b""), 400),
    "an empty host": (head(host=b"Host:"), (400, 404)),
    "userinfo in the host": (head(host=b"Host: %s@one.gw1.localhost" % MARK), 400),
    "a path in the host": (head(host=b"Host: one.gw1.localhost/" + MARK), 400),
    "two names in the host": (head(host=b"Host: one.gw1.localhost, two.gw1.localhost"), 400),
    "a port that is none": (head(host=b"Host: one.gw1.localhost:" + MARK), 400),
    "a port too big": (head(host=b"Host: one.gw1.localhost:65536"), 400),
    "two ports": (head(host=b"Host: one.gw1.localhost:80:80"), 400),
    "absolute form of another host": (head(target=b"http://two.gw1.localhost/" + MARK), 400),
    "absolute form with userinfo": (head(target=b"http://u@one.gw1.localhost/"), 400),
    "absolute form of another scheme": (head(target=b"ftp://one.gw1.localhost/"), 400),
    "a target without a slash": (head(target=MARK), 400),
    "a target with a space": (head(target=b"/a " + MARK), (400, 505)),
    "a target with a fragment": (head(target=b"/#" + MARK), 400),
    "star for a GET": (head(target=b"*"), 400),
    "two spaces in the request line": (b"GET  / HTTP/1.1\r\nHost: one.gw1.localhost\r\n\r\n", 400),
    "a space at its start": (b" GET / HTTP/1.1\r\nHost: one.gw1.localhost\r\n\r\n", 400),
    "a tab in the request line": (b"GET\t/ HTTP/1.1\r\nHost: one.gw1.localhost\r\n\r\n", 400),
    "a space at its end": (b"GET / HTTP/1.1 \r\nHost: one.gw1.localhost\r\n\r\n", (400, 505)),
    "no version": (b"GET /%s\r\nHost: one.gw1.localhost\r\n\r\n" % MARK, (400, 505)),
    "a second empty line": (b"\r\n\r\n" + head(), 400),
    "a method that is no token": (head(method=b"G(T"), 400),
    "CONNECT": (b"CONNECT one.gw1.localhost:443 HTTP/1.1\r\nHost: one.gw1.localhost:443\r\n\r\n", 405),
    "TRACE": (head(b"X-A: " + MARK, method=b"TRACE"), 405),
    "HTTP/2.0": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/2.0 by name": (head(version=b"HTTP/2.0"), 505),
    "HTTP/1.2 in other letters": (head(version=b"http/1.1"), (400, 505)),
    "HTTP/1.10": (head(version=b"HTTP/1.10"), (400, 505)),
    "HTTP/0.9": (head(version=b"HTTP/0.9"), 505),
    "TLS on the HTTP port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 32 + b"\r\n\r\n", 400),
    "a long target": (head(target=b"/" + MARK * 1200), 414),
    "an endless request line": (b"GET /" + MARK * 3000, 414),
    "a long field": (head(b"X-A: " + MARK * 3000), 431),
    "too many fields": (head(*[b"X-%d: a" % i for i in range(150)]), 431),
    "two upgrades": (head(b"Connection: upgrade", b"Upgrade: a", b"Upgrade: b"), 400),
}

# the head is sound, the body is not: the service never gets a whole request, and nothing behind it
CHUNKED = {
    "a size with a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size with a space": b"5 \r\nhello\r\n0\r\n\r\n",
    "a space before a size": b" 5\r\nhello\r\n0\r\n\r\n",
    "an empty size": b"\r\nhello\r\n0\r\n\r\n",
    "a size that is no number": b"g\r\nhello\r\n0\r\n\r\n",
    "a size too big for 64 bits": b"10000000000000000\r\nhello\r\n0\r\n\r\n",
    "a negative size": b"-1\r\nhello\r\n0\r\n\r\n",
    "a bare LF behind a size": b"5\nhello\r\n0\r\n\r\n",
    "a bare CR behind a size": b"5\rhello\r\n0\r\n\r\n",
    "a chunk longer than its size": b"5\r\nhelloo\r\n0\r\n\r\n",
    "a chunk shorter than its size": b"6\r\nhello\r\n0\r\n\r\n",
    "a bare LF behind a chunk": b"5\r\nhello\n0\r\n\r\n",
    "a bare LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "a bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "an endless extension": b"5;" + b"a" * 20000 + b"\r\nhello\r\n0\r\n\r\n",
    "a trailer that is none": b"5\r\nhello\r\n0\r\nX A: b\r\n\r\n",
    "a folded trailer": b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "a bare LF in a trailer": b"5\r\nhello\r\n0\r\nX-A: b\n\r\n\r\n",
    "endless trailers": b"5\r\nhello\r\n0\r\n" + b"X-A: b\r\n" * 4000 + b"\r\n",
    "NUL in a size": b"5\0\r\nhello\r\n0\r\n\r\n",
}


def refused(name, data, status, pieces):
    """Refused with the status, the connection closed, the page no echo. Returns nothing; the services are looked at by the caller."""
    v = Visitor(at.http)
    try:
        for i in range(0, len(data), pieces):
            v.send(data[i:i + pieces])
        answer = v.answer()
    except (Ended, OSError) as gone:
        raise AssertionError("%s (pieces of %d): no answer: %r" % (name, pieces, gone))
    wanted = status if isinstance(status, tuple) else (status,)
    assert answer.status in wanted, "%s (pieces of %d): %d, want %r" % (name, pieces, answer.status, wanted)
    refusal(answer, answer.status)
    assert MARK not in bytes(v.raw), "%s: the page shows what was sent: %r" % (name, v.raw)
    assert v.is_closed(), "%s: bytes behind the refusal" % name
    v.close()


def heads_that_could_be_read_in_two_ways_are_refused_and_never_forwarded():
    before = one.count(), near.count(), len(one.conns), len(near.conns)
    for name, (data, status) in HEADS.items():
        for pieces in (1 << 20, 7) if len(data) < 4096 else (1 << 20,):
            refused(name, data + SMUGGLED, status, pieces)
    eq((one.count(), near.count(), len(one.conns), len(near.conns)), before, "the services got something")


def the_same_behind_a_good_request_on_one_connection():
    for name, (data, status) in HEADS.items():
        if name == "a second empty line":
            continue  # one of the two is forgiven behind each request
        v = Visitor(at.http, request(ONE, "/good") + data + SMUGGLED)
        eq(v.answer().json()["target"], "/good", name)
        answer = v.answer()
        assert answer.status in (status if isinstance(status, tuple) else (status,)), "%s: %d" % (name, answer.status)
        assert v.is_closed() and MARK not in bytes(v.raw), name
        v.close()
    assert MARK not in one.seen(), "a service got what was refused"
    assert {r.target for r in one.requests} <= {"/good", "/"}, {r.target for r in one.requests}


def bodies_that_could_be_read_in_two_ways_are_never_whole():
    whole = []
    for origin in (one, near):
        origin.answers["/chunked"] = lambda conn, req: (req.body(), whole.append(req), conn.send(b"HTTP/1.1 204 None\r\n\r\n"))[-1]
    for host in (ONE, NEAR):
        for name, body in CHUNKED.items():
            lines = b"POST /chunked HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % host.encode()
            refused(name, lines + body + SMUGGLED, 400, 1 << 20)
        v = Visitor(at.http, lines + b"5\r\nhello\r\n")  # the head and a chunk are there already
        wait_until(lambda: b"hello" in (one if host == ONE else near).seen(), "the first chunk at the service")
        v.send(b"+5\r\nhello\r\n0\r\n\r\n" + SMUGGLED)
        refusal(v.answer(), 400)
        assert v.is_closed()
    eq(whole, [], "the service read a whole body")
    for origin in (one, near):
        assert MARK not in origin.seen(), "a service got what was refused"


def what_is_odd_but_clear_is_served():
    for good in (b"\r\n" + head(), head(b"X-A:"), head(target=b"/%00%0d%0a"), head(host=b"hOsT:one.gw1.localhost"), head(b"Content-Length: 0"),
                 head(b"X-A: \x80\xff"), head(target=b"http://one.gw1.localhost"), head(target=b"HTTP://ONE.gw1.localhost:80/",
                 host=b"Host: one.gw1.localhost:80"), post(b"Transfer-Encoding: Chunked") + b"005;a=\"b\"\r\nhello\r\n0\r\nX-T: a\r\n\r\n"):
        v = Visitor(at.http, good + request(ONE, "/next"))
        eq(v.answer().status, 200, good)
        eq(v.answer().json()["target"], "/next", good)
    assert b"X-T" not in one.seen(), "a trailer went on"


# answers of a hostile service that must never be seen by a visitor
ANSWERS = {
    "no HTTP": b"SSH-2.0-%s\r\n\r\n" % MARK,
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 8\r\n\r\n%s" % MARK,
    "an odd code": b"HTTP/1.1 99 OK\r\nContent-Length: 8\r\n\r\n%s" % MARK,
    "a code of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 8\r\n\r\n%s" % MARK,
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n%s\r\n0\r\n\r\n" % MARK,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Length: 9\r\n\r\n%s" % MARK,
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 8, 8\r\n\r\n%s" % MARK,
    "a length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +8\r\n\r\n%s" % MARK,
    "another transfer coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n8\r\n%s\r\n0\r\n\r\n" % MARK,
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n%s\r\n0\r\n\r\n" % MARK,
    "chunked on HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n%s\r\n0\r\n\r\n" % MARK,
    "a folded line": b"HTTP/1.1 200 OK\r\nX-A: a\r\n %s\r\nContent-Length: 0\r\n\r\n" % MARK,
    "space before a colon": b"HTTP/1.1 200 OK\r\nX-A : %s\r\nContent-Length: 0\r\n\r\n" % MARK,
    "a bare LF": b"HTTP/1.1 200 OK\nX-A: %s\nContent-Length: 0\n\n" % MARK,
    "a bare CR": b"HTTP/1.1 200 OK\r\nX-A: a\r%s\r\nContent-Length: 0\r\n\r\n" % MARK,
    "NUL": b"HTTP/1.1 200 OK\r\nX-A: a\0%s\r\nContent-Length: 0\r\n\r\n" % MARK,
    "a name that is no token": b"HTTP/1.1 200 OK\r\nX(%s): a\r\nContent-Length: 0\r\n\r\n" % MARK,
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"X-A: %s\r\n" % MARK * 4000,
    "101 unasked": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + MARK,
    "101 unasked without fields": b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + MARK,
    "nothing at all": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nX-A: " + MARK,
}


def hostile_answers_are_502_and_no_byte_of_them_is_seen():
    for host, origin in ((ONE, one), (NEAR, near)):
        for name, data in ANSWERS.items():
            def answer(conn, req, data=data, hold=name == "an endless head"):
                conn.send(data)
                return None if hold else False

            origin.answers["/hostile"] = answer
            v = Visitor(at.http)
            got = v.ask(host, "/hostile", method="POST" if name in ("nothing at all", "half a head") else "GET")
            eq(got.status, 502, "%s of %s" % (name, host))
            refusal(got, 502)
            assert v.is_closed() and MARK not in bytes(v.raw), "%s: %r" % (name, v.raw)


def what_follows_an_answer_is_not_the_next_one():
    stuffed = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" + b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + MARK
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + MARK
    empty = b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + MARK
    for host, origin in ((ONE, one), (NEAR, near)):
        for data in (stuffed, chunked, empty):
            for late in (False, True):  # with the answer, or when the way lies idle
                def answer(conn, req, data=data, late=late):
                    cut = data.find(b"HTTP/1.1", 8) if late else len(data)
                    conn.send(data[:cut])
                    if late:
                        time.sleep(0.05)
                        conn.send(data[cut:])

                origin.answers["/stuffed"] = answer
                v = Visitor(at.http)
                assert v.ask(host, "/stuffed").status in (200, 204)
                if late:
                    time.sleep(0.1)
                eq(v.ask(host, "/real").json()["target"], "/real", "behind %r" % data)
                assert MARK not in bytes(v.raw), v.raw
                v.close()


def a_body_that_may_not_be_is_not_passed_on():
    for host, origin in ((ONE, one), (NEAR, near)):
        origin.answers["/head"] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + MARK  # also to HEAD
        origin.answers["/304"] = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\n" + MARK
        v = Visitor(at.http)
        for path, method in (("/head", "HEAD"), ("/304", "GET")):
            v.ask(host, path, method=method)
            eq(v.ask(host, "/real").json()["target"], "/real", path)
        assert MARK not in bytes(v.raw), v.raw


def an_answer_cut_in_its_middle_is_seen_as_cut():
    for host, origin in ((ONE, one), (NEAR, near)):
        for data in (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n+0\r\n\r\n"):
            for end in (lambda conn: False, lambda conn: conn.cut()):
                def answer(conn, req, data=data, end=end):
                    conn.send(data)
                    time.sleep(0.05)
                    return end(conn)

                origin.answers["/cut"] = answer
                v = Visitor(at.http, request(host, "/cut"))
                got = v.to_end()
                assert got.startswith(b"HTTP/1.1 200") and b"hello" in got, got
                assert v.reset, "ended as if it were whole: %r" % got
                assert not got.endswith(b"0\r\n\r\n"), got


def the_gateway_is_alive_and_keeps_nothing():
    eq(Visitor(at.http).ask(ONE, "/alive").json()["target"], "/alive")
    threads = [threading.Thread(target=lambda: refused("storm", HEADS["two hosts"][0] + SMUGGLED, 400, 11)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eq(Visitor(at.http).ask(NEAR, "/alive").json()["target"], "/alive")


run([heads_that_could_be_read_in_two_ways_are_refused_and_never_forwarded, the_same_behind_a_good_request_on_one_connection,
     bodies_that_could_be_read_in_two_ways_are_never_whole, what_is_odd_but_clear_is_served,
     hostile_answers_are_502_and_no_byte_of_them_is_seen, what_follows_an_answer_is_not_the_next_one,
     a_body_that_may_not_be_is_not_passed_on, an_answer_cut_in_its_middle_is_seen_as_cut, the_gateway_is_alive_and_keeps_nothing],
    [])
