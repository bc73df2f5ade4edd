"""What services and visitors are told by fields of the gateway, and what ends at it (18-http-headers.sh)."""
import re

from web import Origin, Visitor, eq, place, run

at = place()
ONE, NEAR = "one.gw1.localhost", "near.gw1.localhost"
one, near = Origin("one", at.ports["one"]), Origin("near", at.ports["near"])
TRUSTED = "127.0.0.2"  # [http] trusted-proxies


class Seen:
    """The fields as the service saw them."""

    def __init__(self, host, fields=b"", source=None, **more):
        self.said = Visitor(at.http, source=source).ask(host, "/", fields, **more).json()
        self.fields = [(n.lower(), v) for n, v in self.said["fields"]]

    def __getitem__(self, name):
        """The one value of the field; a second one is a fault."""
        values = [v for n, v in self.fields if n == name]
        assert len(values) == 1, "%s: %r" % (name, values)
        return values[0]

    def has(self, name):
        return any(n == name for n, _ in self.fields)


def both(claim):
    """The claim for a tunnel and for a backend that is dialled."""

    def runs():
        for host in (ONE, NEAR):
            claim(host)

    runs.__name__ = claim.__name__
    return runs


@both
def the_service_learns_who_asks_and_how(host):
    seen = Seen(host)
    eq(seen["x-forwarded-for"], "127.0.0.1")
    eq(seen["x-real-ip"], "127.0.0.1")
    eq(seen["x-forwarded-proto"], "http")
    eq(seen["x-forwarded-host"], host)
    eq(seen["x-forwarded-port"], str(at.http))
    eq(seen["host"], host)
    forwarded = dict(part.split("=", 1) for part in seen["forwarded"].split(";"))
    eq(forwarded["for"].strip('"'), "127.0.0.1")
    eq(forwarded["proto"], "http")
    assert re.fullmatch(r"[!-~]{8,128}", seen["x-request-id"]), seen["x-request-id"]
    assert seen["via"].startswith("1.1 "), seen["via"]


@both
def request_ids_differ(host):
    v = Visitor(at.http)
    ids = {dict((n.lower(), x) for n, x in v.ask(host).json()["fields"])["x-request-id"] for _ in range(20)}
    eq(len(ids), 20)


LIES = (b"Forwarded: for=203.0.113.9;proto=https;by=lie\r\nX-Forwarded-For: 203.0.113.9\r\nX-FORWARDED-FOR: 203.0.113.10\r\n"
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: lie.example\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 203.0.113.9\r\n"
        b"X-Request-Id: lie-1234567\r\n")
TWINS = (b"X_Forwarded_For: 203.0.113.9\r\nX_Forwarded-Proto: https\r\nX_Real_IP: 203.0.113.9\r\nX_Request_Id: lie-1234567\r\n"
         b"X_Forwarded_Host: lie.example\r\nX_Forwarded_Port: 1\r\n")


@both
def what_a_stranger_says_about_itself_is_thrown_away(host):
    seen = Seen(host, LIES)
    eq((seen["x-forwarded-for"], seen["x-real-ip"], seen["x-forwarded-proto"]), ("127.0.0.1", "127.0.0.1", "http"))
    eq((seen["x-forwarded-host"], seen["x-forwarded-port"]), (host, str(at.http)))
    assert "203.0.113" not in str(seen.fields) and "lie" not in str(seen.fields), seen.fields


@both
def underscore_twins_are_thrown_away_too(host):
    seen = Seen(host, TWINS)
    assert not [n for n, _ in seen.fields if "_" in n], seen.fields
    assert "203.0.113" not in str(seen.fields) and "lie" not in str(seen.fields), seen.fields


@both
def a_trusted_proxy_is_believed_and_ours_is_appended(host):
    seen = Seen(host, LIES.replace(b"X-FORWARDED-FOR: 203.0.113.10\r\n", b""), TRUSTED)
    eq(seen["x-forwarded-for"].replace(" ", ""), "203.0.113.9," + TRUSTED)
    eq((seen["x-forwarded-proto"], seen["x-forwarded-host"], seen["x-forwarded-port"]), ("https", "lie.example", "1"))
    eq((seen["x-real-ip"], seen["x-request-id"]), ("203.0.113.9", "lie-1234567"))
    assert seen["forwarded"].startswith("for=203.0.113.9;proto=https;by=lie,"), seen["forwarded"]
    assert TRUSTED in seen["forwarded"], seen["forwarded"]


@both
def a_trusted_proxy_that_says_nothing_is_the_visitor(host):
    seen = Seen(host, b"", TRUSTED)
    eq((seen["x-forwarded-for"], seen["x-real-ip"], seen["x-forwarded-proto"]), (TRUSTED, TRUSTED, "http"))


@both
def an_odd_request_id_is_not_believed(host):
    for odd in (b'a"b', b"a b", b"x" * 200, b"a,b"):
        assert Seen(host, b"X-Request-Id: %s\r\n" % odd, TRUSTED)["x-request-id"].encode() != odd


@both
def fields_of_the_hop_end_here(host):
    seen = Seen(host, b"Connection: keep-alive, X-Secret ,x-other,\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"
                b"TE: trailers\r\nX-Secret: 1\r\nX-OTHER: 2\r\nX-Kept: 3\r\nConnection: x-third\r\nX-Third: 4\r\n")
    for name in ("keep-alive", "proxy-connection", "te", "x-secret", "x-other", "x-third", "upgrade"):
        assert not seen.has(name), "%s in %r" % (name, seen.fields)
    eq(seen["x-kept"], "3")
    assert not seen.has("connection") or seen["connection"].lower() == "keep-alive", seen.fields


@both
def naming_our_fields_in_connection_does_not_take_them_away(host):
    names = b"X-Forwarded-For, X-Real-IP, Forwarded, X-Request-Id, X-Forwarded-Proto, Via, Host, Content-Length, Content-Type"
    seen = Seen(host, b"Connection: %s\r\nX-Forwarded-For: 203.0.113.9\r\nContent-Type: a/b\r\n" % names, method="POST", body=b"hello")
    eq((seen["x-forwarded-for"], seen["x-real-ip"], seen["host"]), ("127.0.0.1", "127.0.0.1", host))
    eq((seen.said["body"], seen["content-length"]), ("hello", "5"))
    assert seen.has("x-request-id") and seen.has("forwarded") and seen.has("via") and seen.has("x-forwarded-proto")


@both
def max_forwards_of_options_is_one_less(host):
    eq(Seen(host, b"Max-Forwards: 5\r\n", method="OPTIONS")["max-forwards"], "4")
    eq(Seen(host, b"Max-Forwards: 5\r\n")["max-forwards"], "5")


@both
def other_fields_stay_as_they_are_in_their_order(host):
    seen = Seen(host, b"X-A: 1\r\nX-B: \t two  words \r\nX-A: 3\r\nCookie: a=b\r\nAuthorization: Basic Zm9v\r\nX-Latin: \xe9\r\nX-Empty:\r\n")
    wanted = [("x-a", "1"), ("x-b", "two  words"), ("x-a", "3"), ("cookie", "a=b"), ("authorization", "Basic Zm9v"),
              ("x-latin", "\xe9"), ("x-empty", "")]
    eq([f for f in seen.fields if f in wanted], wanted, seen.fields)


@both
def via_of_others_is_kept_before_ours(host):
    seen = Seen(host, b"Via: 1.0 first, 1.1 second\r\n")
    vias = ", ".join(v for n, v in seen.fields if n == "via")
    assert re.fullmatch(r"1\.0 first, 1\.1 second, 1\.1 \S+", vias), vias


@both
def the_host_is_canonical(host):
    eq(Seen(host.upper() + ".")["host"], host)
    eq(Seen(host.title() + ".:8080")["host"], host + ":8080")
    eq(Seen(host.title() + ".:8080")["x-forwarded-host"].split(":")[0], host)


@both
def h2c_is_not_forwarded(host):
    seen = Seen(host, b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")
    assert not seen.has("upgrade") and not seen.has("http2-settings"), seen.fields
    seen = Seen(host, b"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n")
    assert not seen.has("upgrade") or "h2c" not in seen["upgrade"], seen.fields


@both
def an_upgrade_without_connection_upgrade_is_none(host):
    assert not Seen(host, b"Upgrade: websocket\r\n").has("upgrade")


@both
def http_1_0_goes_on_as_1_1(host):
    v = Visitor(at.http, b"GET /old HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode())
    said = v.answer().json()
    eq((said["target"], dict(said["fields"])["Host"]), ("/old", host))
    origin = one if host == ONE else near
    eq(origin.requests[-1].line, "GET /old HTTP/1.1")


@both
def what_the_service_says_of_its_hop_ends_here(host):
    origin = one if host == ONE else near
    origin.answers["/hop"] = (b"HTTP/1.1 200 OK\r\nConnection: X-Inner, keep-alive\r\nX-Inner: 1\r\nKeep-Alive: timeout=5\r\n"
                              b"Proxy-Connection: x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: s\r\nContent-Length: 2\r\n\r\nhi")
    v = Visitor(at.http)
    for _ in range(2):
        answer = v.ask(host, "/hop")
        eq((answer.status, answer.body, answer.get("server")), (200, b"hi", "s"))
        eq(answer.all("set-cookie"), ["a=1", "b=2"])
        for name in ("x-inner", "keep-alive", "proxy-connection"):
            assert answer.get(name) is None, answer.head
        assert answer.get("via").startswith("1.1 ") and not answer.closes(), answer.head


def a_request_for_each_visitor_names_that_visitor_on_shared_ways():
    for source in ("127.0.0.5", "127.0.0.6", "127.0.0.7"):
        eq(Seen(ONE, source=source)["x-forwarded-for"], source)


run([the_service_learns_who_asks_and_how, request_ids_differ, what_a_stranger_says_about_itself_is_thrown_away,
     underscore_twins_are_thrown_away_too, a_trusted_proxy_is_believed_and_ours_is_appended,
     a_trusted_proxy_that_says_nothing_is_the_visitor, an_odd_request_id_is_not_believed, fields_of_the_hop_end_here,
     naming_our_fields_in_connection_does_not_take_them_away, max_forwards_of_options_is_one_less,
     other_fields_stay_as_they_are_in_their_order,
     via_of_others_is_kept_before_ours, the_host_is_canonical, h2c_is_not_forwarded, an_upgrade_without_connection_upgrade_is_none,
     http_1_0_goes_on_as_1_1, what_the_service_says_of_its_hop_ends_here,
     a_request_for_each_visitor_names_that_visitor_on_shared_ways], [one, near])
