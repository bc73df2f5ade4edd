"""Each request goes where its own Host says, on one connection of the visitor (17-http-routing.sh)."""
import os
import signal
import subprocess

from web import Origin, Visitor, eq, place, plain, refusal, request, run, wait_until

at = place()
ONE, TWO, NEAR = "one.gw1.localhost", "two.gw1.localhost", "near.gw1.localhost"
one, two, near = Origin("one", at.ports["one"]), Origin("two", at.ports["two"]), Origin("near", at.ports["near"])
many = {name: Origin(name, at.ports[name]) for name in "abcd"}  # each behind a connector of its own
ORIGINS = [one, two, near, *many.values()]


def ours(origin, host):
    """The service saw requests for its own host only, and no byte of a body that was another's."""
    hosts = {r.get("host").split(":")[0] for r in origin.requests}
    assert hosts <= {host}, hosts
    seen = origin.seen()
    for other in (ONE, TWO, NEAR):
        assert other == host or b"for-" + other.encode() not in seen, origin.name


def post(host, n):
    return request(host, "/n%d" % n, method="POST", body=b"for-%s-%d" % (host.encode(), n))


def answered(visitor, host, n):
    said = visitor.answer().json()
    eq((said["origin"], said["target"], said["body"]), (host.split(".")[0], "/n%d" % n, "for-%s-%d" % (host, n)))
    return said


def every_request_goes_where_its_own_host_says():
    v = Visitor(at.http)
    for n, host in enumerate([ONE, TWO, NEAR, NEAR, TWO, ONE, ONE, NEAR, TWO] * 3):
        v.send(post(host, n))
        answered(v, host, n)
    for origin, host in ((one, ONE), (two, TWO), (near, NEAR)):
        eq(len(origin.requests), 9)
        ours(origin, host)


def pipelined_requests_are_told_apart_and_answered_in_order():
    hosts = [ONE, ONE, TWO, NEAR, ONE, TWO, TWO, NEAR, NEAR, ONE] * 2
    data = b"".join(post(host, n) for n, host in enumerate(hosts))
    for cut in (len(data), 1 << 9, 37):  # at once, and in pieces that end anywhere
        v = Visitor(at.http)
        for i in range(0, len(data), cut):
            v.send(data[i:i + cut])
        for n, host in enumerate(hosts):
            answered(v, host, n)
        assert v.is_quiet(0.05)
    for origin, host in ((one, ONE), (two, TWO), (near, NEAR)):
        ours(origin, host)


def following_requests_of_one_exposure_share_a_connection_of_the_service():
    for host in (ONE, NEAR):
        v = Visitor(at.http)
        conns = {v.ask(host, "/%d" % n).json()["conn"] for n in range(8)}
        eq(len(conns), 1, host)


def a_service_connection_is_never_shared_by_two_visitors_at_once():
    for host in (ONE, NEAR):
        v, w = Visitor(at.http), Visitor(at.http)
        first = {v.ask(host).json()["conn"] for _ in range(3)}
        assert first.isdisjoint({w.ask(host).json()["conn"] for _ in range(3)})


def a_service_connection_goes_from_visitor_to_visitor_unless_something_was_left_on_it():
    def leave(host, fields=b"", method="GET"):
        v = Visitor(at.http)
        answer = v.ask(host, fields=fields + b"Connection: close\r\n", method=method)
        assert v.is_closed()
        return answer.json()["conn"]

    for host in (ONE, NEAR):
        of_get = leave(host)
        eq([leave(host) for _ in range(5)], [of_get] * 5, host)
        of_post = leave(host, method="POST")
        with_key = leave(host, b"Authorization: Basic YTpi\r\n")
        made = [of_get, of_post, with_key, leave(host)]
        assert len(set(made)) == 4, (host, made)


def connections_that_wait_for_visitors_keep_nobody_out():
    """A session of the connector has 40 streams (17-http-routing.sh); ten of them wait for visitors of another exposure."""
    there = [Visitor(at.http) for _ in range(10)]
    for v in there:
        v.ask(ONE)
    for v in there:
        v.close()
    eq([v.ask(TWO).status for v in [Visitor(at.http) for _ in range(36)]], [200] * 36)


def spelling_of_the_host_does_not_matter():
    v = Visitor(at.http)
    for spelled in ("ONE.gw1.localhost", "one.gw1.LOCALHOST.", "one.gw1.localhost:80", "One.gw1.localhost.:8080"):
        eq(v.ask(spelled).json()["origin"], "one", spelled)


def the_absolute_form_goes_on_as_origin_form():
    v = Visitor(at.http)
    said = v.ask(TWO, "http://two.gw1.localhost/a/b?c=d").json()
    eq((said["origin"], said["target"]), ("two", "/a/b?c=d"))


def an_unknown_host_ends_the_pipeline_and_nothing_behind_it_goes_on():
    before = one.count()
    v = Visitor(at.http, request("nobody.gw1.localhost") + request(ONE, "/behind"))
    refusal(v.answer(), 404)
    assert v.is_closed()
    eq(one.count(), before)


def a_service_that_ends_its_connection_after_an_answer_is_reached_by_a_new_one():
    for origin, host in ((one, ONE), (near, NEAR)):
        origin.answers["/last"] = lambda conn, req: conn.send(plain(b"bye")) is not None
        v = Visitor(at.http)
        for n in range(3):
            eq(v.ask(host, "/last").body, b"bye", host)
            eq(v.ask(host, "/x").json()["target"], "/x", host)


def a_service_that_says_close_is_taken_at_its_word_and_the_visitor_stays():
    for origin, host in ((one, ONE), (near, NEAR)):
        origin.answers["/closes"] = plain(b"bye", b"Connection: close\r\n")
        v = Visitor(at.http)
        first = v.ask(host, "/closes")
        assert not first.closes(), first.head
        assert v.ask(host, "/x").json()["nth"] == 1, "the connection that said close was used again"


def a_get_that_the_service_drops_is_tried_twice_at_most_a_post_once():
    for origin, host in ((one, ONE), (near, NEAR)):
        origin.answers["/drops"] = lambda conn, req: False
        for method, most in (("GET", 2), ("POST", 1)):
            before = len(origin.requests)
            v = Visitor(at.http)
            refusal(v.ask(host, "/drops", method=method), 502)
            tried = len(origin.requests) - before
            assert 1 <= tried <= most, "%s was tried %d times" % (method, tried)


def kill(name):
    """Kill the connector that leads to the service NAME."""
    os.kill(at.pids[name], signal.SIGKILL)
    many.pop(name)


def the_visitors_connection_survives_its_connector():
    v = Visitor(at.http)
    first = v.ask("many.gw1.localhost").json()["origin"]
    kill(first)
    second = v.ask("many.gw1.localhost").json()["origin"]
    assert second != first


def hanging():
    """A service that never answers /hang; the first request kills the connector it came by."""
    asked = []

    def hang(conn, req):
        asked.append((conn.origin.name, req))
        if len(asked) == 1:
            kill(conn.origin.name)
            conn.to_end()
            return False
        return conn.origin.usual(conn, req)

    return asked, hang


def a_get_without_an_answer_is_retried_on_another_connector():
    v = Visitor(at.http)
    asked, hang = hanging()
    for origin in many.values():
        origin.answers["/hang"] = hang
    said = v.ask("many.gw1.localhost", "/hang").json()
    eq(len(asked), 2)
    assert asked[0][0] != said["origin"] and asked[1][0] == said["origin"]
    eq(v.ask("many.gw1.localhost", "/on").json()["target"], "/on")


def a_post_without_an_answer_is_not_retried():
    v = Visitor(at.http)
    asked, hang = hanging()
    for origin in many.values():
        origin.answers["/hang-post"] = hang
    refusal(v.ask("many.gw1.localhost", "/hang-post", method="POST", body=b"once"), 502)
    eq(len(asked), 1)


def netwall(*args):
    subprocess.run(["netwall", "--bus", os.environ["WEB_BUS"], *args], check=True, stdout=subprocess.DEVNULL)


def an_exposure_that_moves_takes_its_visitors_along():
    v, w, leaves = Visitor(at.http), Visitor(at.http), Visitor(at.http)
    eq(v.ask("moves.gw1.localhost").json()["origin"], "one")
    eq(leaves.ask("moves.gw1.localhost").json()["origin"], "one")
    leaves.close()
    netwall("deploy", at.dir + "/moved.json")
    wait_until(lambda: w.ask("moves.gw1.localhost").json()["origin"] == "two", "the new service")
    eq(v.ask("moves.gw1.localhost").json()["origin"], "two", "the connection that was kept")


def an_exposure_that_is_cancelled_is_not_found_on_the_open_connection():
    v = Visitor(at.http)
    eq(v.ask("moves.gw1.localhost").json()["origin"], "two")
    netwall("delete", "--key", at.dir + "/twin.key", "--twin", "7", "--contract", os.environ["WEB_MOVES"])
    wait_until(lambda: Visitor(at.http).ask("moves.gw1.localhost").status == 404, "404")
    before = two.count()
    refusal(v.ask("moves.gw1.localhost"), 404)
    eq(two.count(), before)


run([every_request_goes_where_its_own_host_says, pipelined_requests_are_told_apart_and_answered_in_order,
     following_requests_of_one_exposure_share_a_connection_of_the_service, a_service_connection_is_never_shared_by_two_visitors_at_once,
     a_service_connection_goes_from_visitor_to_visitor_unless_something_was_left_on_it,
     connections_that_wait_for_visitors_keep_nobody_out,
     spelling_of_the_host_does_not_matter, the_absolute_form_goes_on_as_origin_form,
     an_unknown_host_ends_the_pipeline_and_nothing_behind_it_goes_on,
     a_service_that_ends_its_connection_after_an_answer_is_reached_by_a_new_one,
     a_service_that_says_close_is_taken_at_its_word_and_the_visitor_stays,
     a_get_that_the_service_drops_is_tried_twice_at_most_a_post_once, the_visitors_connection_survives_its_connector,
     a_get_without_an_answer_is_retried_on_another_connector, a_post_without_an_answer_is_not_retried,
     an_exposure_that_moves_takes_its_visitors_along, an_exposure_that_is_cancelled_is_not_found_on_the_open_connection], ORIGINS)
