"""Times, limits, refusals and the access log of the HTTP port (58-http-limits.sh)."""
import json
import os
import re
import signal
import threading
import time

from web import Ended, Origin, Visitor, eq, place, plain, refusal, request, run, wait_until

at = place()
ONE, NEAR = "one.gw1.localhost", "near.gw1.localhost"
one, near = Origin("one", at.ports["one"]), Origin("near", at.ports["near"])
LOG = at.dir + "/gw1/state/gateway/access.log"
LATE = 2.7  # seconds, for what is due after one


def both(claim):
    """The claim for a tunnel and for a backend that is dialled."""

    def runs():
        together([lambda host=host, origin=origin: claim(host, origin) for host, origin in ((ONE, one), (NEAR, near))])

    runs.__name__ = claim.__name__
    return runs


def together(claims):
    """Those that only wait, at once."""
    faults = []

    def tries(claim):
        try:
            claim()
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=tries, args=(claim,)) for claim in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def within(start, least, most):
    took = time.monotonic() - start
    assert least <= took <= most, "after %.2f s" % took


def timed_out(v, since):
    """A 408 with everything it needs, or just the end; in time."""
    answer = v.to_end()
    within(since, 0.9, LATE)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 "), answer
    assert not v.reset
    return answer


def a_head_must_be_there_in_time_on_every_request():
    def first():
        v, start = Visitor(at.http, request(ONE)[:-4]), time.monotonic()
        assert timed_out(v, start), "no 408"

    def drips():
        v, start = Visitor(at.http), time.monotonic()
        try:
            for byte in request(ONE, "/" + "a" * 2000):
                v.send(bytes([byte]))
                if not v.is_quiet(0.1):
                    break
        except (OSError, Ended):
            pass
        assert timed_out(v, start), "no 408"

    def later():
        v = Visitor(at.http)
        for _ in range(2):
            eq(v.ask(ONE).status, 200)
        v.send(request(ONE)[:20])
        start = time.monotonic()
        assert timed_out(v, start), "no 408"

    def silent():
        v, start = Visitor(at.http), time.monotonic()
        timed_out(v, start)

    before = one.count()
    together([first, drips, silent])
    eq(one.count(), before, "a head that is not complete reached the service")
    later()


@both
def an_idle_connection_ends_without_a_word(host, origin):
    v = Visitor(at.http)
    eq(v.ask(host).status, 200)
    start = time.monotonic()
    assert v.is_closed() and not v.reset, v.raw
    within(start, 0.8, LATE)


@both
def a_body_that_stops_ends_the_request(host, origin):
    v, start = Visitor(at.http, request(host, "/x", method="POST", body=b"hello")[:-2]), time.monotonic()
    timed_out(v, start)


@both
def a_service_that_says_nothing_is_504(host, origin):
    origin.answers["/silent"] = lambda conn, req: (conn.to_end(), False)[1]
    v, start = Visitor(at.http), time.monotonic()
    refusal(v.ask(host, "/silent"), 504)
    within(start, 0.9, 2 * LATE)


def a_service_that_is_down_is_502():
    for host in ("down.gw1.localhost", "neardown.gw1.localhost"):
        refusal(Visitor(at.http).ask(host), 502)
        refusal(Visitor(at.http).ask(host, method="POST", body=b"x"), 502)


def without_a_connector_503_says_when_to_come_back():
    start = time.monotonic()
    answer = Visitor(at.http).ask("nobody.gw1.localhost")
    refusal(answer, 503)
    assert int(answer.get("retry-after")) > 0
    within(start, 0.2, LATE)  # tunnel-wait


def who_is_not_allowed_gets_403():
    for host in ("denied.gw1.localhost", "allowed.gw1.localhost"):
        before = one.count()
        refusal(Visitor(at.http).ask(host), 403)
        eq(one.count(), before)
        eq(Visitor(at.http, source="127.0.0.8").ask(host).status, 200)


def an_address_is_looked_at_on_every_request_of_a_connection():
    v = Visitor(at.http)
    eq(v.ask(ONE).status, 200)
    refusal(v.ask("denied.gw1.localhost"), 403)


def who_is_one_too_many_gets_429():
    go = threading.Event()
    one.answers["/hold"] = lambda conn, req: (go.wait(10), conn.send(plain(b"held")))[1]
    held = Visitor(at.http, request("single.gw1.localhost", "/hold"))
    wait_until(lambda: any(r.target == "/hold" for r in one.requests), "the first request at the service")
    answer = Visitor(at.http).ask("single.gw1.localhost")
    refusal(answer, 429)
    assert int(answer.get("retry-after")) > 0
    go.set()
    eq(held.answer().body, b"held")
    held.close()
    wait_until(lambda: Visitor(at.http).ask("single.gw1.localhost").status == 200, "room for another")


def who_comes_too_often_gets_429():
    statuses = [Visitor(at.http).ask("seldom.gw1.localhost").status for _ in range(30)]
    assert set(statuses) == {200, 429}, statuses
    wait_until(lambda: Visitor(at.http).ask("seldom.gw1.localhost").status == 200, "room for another")


def a_redirect_names_https_and_leaves_acme_alone():
    v = Visitor(at.http)
    answer = v.ask("secure.gw1.localhost", "/a/b?c=d&e=%0d%0aSet-Cookie:x")
    refusal(answer, 308, closes=False)
    assert re.fullmatch(r"https://secure\.gw1\.localhost(:\d+)?/a/b\?c=d&e=%0d%0aSet-Cookie:x", answer.get("location")), answer.head
    for path in ("/.well-known/acme-challenge/token-1",):
        eq(Visitor(at.http).ask("secure.gw1.localhost", path).json()["target"], path)
    eq(Visitor(at.http).ask("secure.gw1.localhost", "/.well-known/acme-challenged").status, 308)


def http_off_is_an_unknown_name():
    off = Visitor(at.http).ask("off.gw1.localhost")
    refusal(off, 404)
    eq(off.body.split(b"id=")[0], Visitor(at.http).ask("unknown.gw1.localhost").body.split(b"id=")[0])


def refusals_are_on_the_farmers_page():
    for host, status, reason in (("unknown.gw1.localhost", 404, b"Not Found"), ("denied.gw1.localhost", 403, b"Forbidden")):
        answer = Visitor(at.http).ask(host)
        found = re.fullmatch(rb"<p>farmer's page (\d+) ([^.]+)\. [^<]+ id=([!-~]+)</p>\s*", answer.body)
        assert found, answer.body
        eq((int(found[1]), found[2]), (status, reason))
        wait_until(lambda: found[3] in logged(), "the id of the page in the log")
    assert Visitor(at.http).ask("unknown.gw1.localhost", method="HEAD").body == b""


def logged(path=LOG):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


PAIR = re.compile(r'(?:^| )([a-z_]+)=("(?:[^"\\]|\\["\\]|\\x[0-9a-f]{2})*"|[^ "=\\]+)')


def text_line(line):
    """A line of the log as a dict; nothing may be left over."""
    pairs, rest = {}, line
    while rest:
        found = PAIR.match(rest)
        assert found, "%r in %r" % (rest, line)
        assert found[1] not in pairs, line
        pairs[found[1]], rest = found[2].strip('"'), rest[found.end():]
    return pairs


ODD = ["/a=b", "/%0a%22", "/'`$(x)", "/a;b|c", "/time=2020-01-01T00:00:00.000Z", "/a\\b", '/"q"', "/{}", "/\xe9", "/" + "l" * 5000]


def lines_for(parse, first):
    """Ask for the odd paths and malformed things, each with a mark; return the lines that tell of them."""
    told = []
    for n, path in enumerate(ODD):
        status = Visitor(at.http).ask(ONE if n % 2 else NEAR, first + path).status
        told.append((first + path, status))
    for bad in (b"GET " + first.encode() + b'/bad\x01" status=200 HTTP/1.1\r\n\r\n', b"GE\nT " + first.encode() + b"/bad HTTP/1.1\r\n\r\n"):
        v = Visitor(at.http, bad)
        told.append((None, v.answer().status))
        v.close()
    ends = Visitor(at.http).ask(ONE, first + "/the-end").status
    eq(ends, 200)
    wait_until(lambda: (first + "/the-end").encode() in logged(), "the last line")
    text = logged()
    assert text.endswith(b"\n") and not re.search(rb"[^\n -~]", text), "raw bytes in the log"
    lines = [parse(line) for line in text.decode().splitlines()]
    mine = lines[[n for n, line in enumerate(lines) if (line["path"] or "").startswith(first)][0]:]
    eq(len(mine), len(told) + 1, "lines")
    for (path, status), line in zip(told, mine):
        eq(int(line["status"]), status, line)
    return told, mine


def each_request_has_its_line_and_nothing_can_forge_one():
    told, lines = lines_for(text_line, "/text")
    for (path, _), line in zip(told, lines):
        if path and path.isascii() and "\\" not in path and '"' not in path and len(path) < 1000:
            eq((line["method"], line["path"]), ("GET", path))


def a_line_tells_where_the_time_went():
    one.answers["/slow"] = lambda conn, req: (req.body(), time.sleep(0.2), conn.send(plain(b"x" * 1000)))[2]
    near.answers["/slow"] = one.answers["/slow"]
    for host in (ONE, NEAR):
        v = Visitor(at.http)
        v.ask(host, "/first-of-two")
        answer = v.ask(host, "/slow?" + host, method="POST", body=b"y" * 500)
        size = len(answer.head) + len(answer.body)
        wait_until(lambda: ("/slow?" + host).encode() in logged(), "the line")
        line = [text_line(t) for t in logged().decode().splitlines() if "/slow?" + host in t][0]
        eq((line["visitor"], line["host"], line["method"], line["status"]), ("127.0.0.1", host, "POST", "200"))
        eq(line["path"], "/slow?" + host)
        assert line["exposure"].startswith("7-") and line["exposure"].endswith(host.split(".")[0]), line
        eq(line["connector"], os.environ["WEB_KEY"][:16] if host == ONE else "direct")
        eq((int(line["rx"]), int(line["tx"])), (len(request(host, "/slow?" + host, method="POST", body=b"y" * 500)), size))
        assert 200 <= float(line["service_ms"]) <= float(line["first_ms"]) + 1 <= float(line["total_ms"]) + 2, line
        assert float(line["wait_ms"]) < 190, line
        seen = [r for o in (one, near) for r in o.requests if r.target == "/slow?" + host][-1]
        eq(line["id"], seen.get("x-request-id"))
    line = text_line([t for t in logged().decode().splitlines() if "denied.gw1" in t][0])
    eq((line["status"], line["refused"], line["connector"]), ("403", "not_allowed", "-"))


def sigusr1_opens_the_log_anew():
    os.rename(LOG, LOG + ".1")
    os.kill(at.gateway, signal.SIGUSR1)
    wait_until(lambda: os.path.exists(LOG), "a new file")
    Visitor(at.http).ask(ONE, "/after-rotation")
    wait_until(lambda: b"/after-rotation" in logged(), "the line in the new file")
    assert b"/after-rotation" not in logged(LOG + ".1")


def json_lines_are_json():
    config = at.dir + "/gw1/gateway.conf"
    with open(config) as file:
        text = file.read()
    with open(config, "w") as file:
        file.write(text.replace("access-log-format = text", "access-log-format = json"))
    os.kill(at.gateway, signal.SIGHUP)
    wait_until(lambda: (Visitor(at.http).ask(ONE, "/which"), time.sleep(0.05), b'"path":"/which"' in logged())[2], "a line of JSON")
    os.rename(LOG, LOG + ".2")
    os.kill(at.gateway, signal.SIGUSR1)
    wait_until(lambda: os.path.exists(LOG), "a new file")
    told, lines = lines_for(json.loads, "/json")
    for (path, status), line in zip(told, lines):
        if path and status != 400 and len(path) < 1000:
            eq((line["method"], line["path"]), ("GET", path))
        assert isinstance(line["total_ms"], (int, float)) and isinstance(line["rx"], int), line


run([a_head_must_be_there_in_time_on_every_request, an_idle_connection_ends_without_a_word, a_body_that_stops_ends_the_request,
     a_service_that_says_nothing_is_504, a_service_that_is_down_is_502, without_a_connector_503_says_when_to_come_back,
     who_is_not_allowed_gets_403, an_address_is_looked_at_on_every_request_of_a_connection, who_is_one_too_many_gets_429,
     who_comes_too_often_gets_429, a_redirect_names_https_and_leaves_acme_alone, http_off_is_an_unknown_name,
     refusals_are_on_the_farmers_page, each_request_has_its_line_and_nothing_can_forge_one, a_line_tells_where_the_time_went,
     sigusr1_opens_the_log_anew, json_lines_are_json], [one, near])
