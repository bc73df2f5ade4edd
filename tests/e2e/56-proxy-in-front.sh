#!/usr/bin/env bash
# A balancer in front of the gateway says by a PROXY header whom it brings: that address counts everywhere, on all three kinds of
# port, and a connector may come through it too. Only the configured source is believed; it must send a header, nobody else may.
. "$(dirname "$0")/lib.sh"

# The balancer dials from 127.0.0.2; 127.0.0.3 is somebody else.
ask() { # ask NAME < PROGRAM: Python with peers/balancer, the ports HTTP, TLS, TCP and what they should say
    "$PYTHON" - "${HTTP[gw1]}" "${TLS[gw1]}" "${TCP_FROM[gw1]}" <<<"$PRELUDE$(cat)" || fail "$1"
}

PRELUDE='
import re, socket, ssl, sys, time
from balancer import *

HTTP, TLS, TCP = (int(a) for a in sys.argv[1:])
BALANCER, OTHER = "127.0.0.2", "127.0.0.3"
V4, V6, DENIED = "203.0.113.9", "2001:db8::9", "203.0.113.66"

def request(host):
    return f"GET /a HTTP/1.1\r\nHost: {host}.gw1.localhost\r\nX-Forwarded-For: 10.9.9.9\r\nConnection: close\r\n\r\n".encode()

def hello(host):
    outgoing = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host + ".gw1.localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()

def eq(got, want, what):
    if got != want:
        sys.exit(f"{what}: got {got!r}, want {want!r}")

def through(port, first, visitor=V4, version=1, source=BALANCER, local=LOCAL):
    """What comes back when all is sent and ended."""
    return finish(connect(port, source, header(version, visitor, local) + first))

def status(answer):
    return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else answer

def seen(visitor, local=LOCAL):
    """The line that a service with proxy_protocol v1 gets first."""
    return header(1, visitor, local)
'

keys
gateway_config gw1
sed -i 's/^tcp-ports/http-proxy-from = 127.0.0.2\nhttps-proxy-from = 127.0.0.2\ntcp-proxy-from = 127.0.0.2\n&/' "$TMP/gw1/gateway.conf"
printf '[limits]\nvisitors-per-source = 4\n[http]\naccess-log = %s\n' "$TMP/access.log" >>"$TMP/gw1/gateway.conf"
gateway_start gw1
admit gw1
export PYTHONPATH=$E2E_DIR/peers
read -r WEB ECHO FRONT < <(ports 3)
background web "$PYTHON" -c '
import http.server, sys
class Mirror(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Mirror).serve_forever()' "$WEB"
background echo "$PYTHON" -c '
import socketserver, sys
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()' "$ECHO"

DENY='"deny":["203.0.113.66/32"]'
ITEMS=$("$PYTHON" - "$CONNECTOR_PUB" "${TCP_FROM[gw1]}" "$DENY" <<'PY'
import json, sys
key, port, deny = sys.argv[1:]
deny = json.loads("{%s}" % deny)
def item(label, kind, service, **more):
    return {"name": label, "type": kind, "data": {"backends": ["tunnel:%s/%s" % (key, service)], **deny, **more}}
print(json.dumps([
    item("site", "gateway-name-proxy", "web", name="site"),
    item("mute", "gateway-name-proxy", "echo", name="mute", tls_passthrough=True, proxy_protocol="v1"),
    item("port", "gateway-tcp-proxy", "echo", port=int(port), proxy_protocol="v1")]))
PY
)
deploy gw1 9001 0 "$ITEMS" >"$TMP/deployed.json" || fail "$(cat "$TMP/deployed.json")"

say "the connector comes through the balancer to the TLS port, as whom the balancer names"
background balancer "$PYTHON" "$E2E_DIR/peers/balancer.py" "$FRONT" "${TLS[gw1]}" 127.0.0.2 2 203.0.113.77
wait_for 10 nc -z 127.0.0.1 "$FRONT"
background connector netwall-connector --key "$TMP/connector.key" --gateway "127.0.0.1:$FRONT#${PUB[gw1]}" \
    --service "web=127.0.0.1:$WEB" --service "echo=127.0.0.1:$ECHO"
wait_for 15 online gw1 7-9001-port
nw gw1 --json tunnels | grep -q '203\.0\.113\.77:4711' || fail "the connector's address: $(nw gw1 --json tunnels)"

say "HTTP: X-Forwarded-For, allow and deny are about whom the header names"
ask http <<'PY'
for version in 1, 2:
    for visitor in V4, V6:
        local = ("2001:db8::2", 443) if visitor == V6 else LOCAL
        answer = through(HTTP, request("site"), visitor, version, local=local)
        eq(status(answer), 200, "request through the balancer")
        eq(re.findall(rb"(?mi)^X-Forwarded-For: (.*?)\r?$", answer), [visitor.encode()], "X-Forwarded-For")
    eq(status(through(HTTP, request("site"), DENIED, version)), 403, "a denied visitor")
eq(status(through(HTTP, request("site"), version=0, source=OTHER)), 200, "who comes without a balancer")
eq(status(through(HTTP, request("site"), source=OTHER)), 400, "somebody else's header")
eq(status(through(HTTP, request("site"), source=OTHER, version=2)), 400, "somebody else's binary header")
eq(through(HTTP, request("site"), version=0), b"reset", "a balancer without header")
PY

say "TLS: nothing of the hello behind the header is lost"
ask tls <<'PY'
first = hello("mute")
for version in 1, 2:
    eq(through(TLS, first, version=version), seen(V4) + first, "hello through the balancer")
    eq(through(TLS, first, DENIED, version), b"", "a denied visitor")
eq(through(TLS, first, source=OTHER), b"", "somebody else's header")
eq(through(TLS, first, version=0), b"reset", "a balancer without header")
line = header(1, V4) + first
for cut in 1, 20, len(header(1, V4)) - 1, len(header(1, V4)) + 5:
    conn = connect(TLS, BALANCER, line[:cut])
    time.sleep(0.02)
    conn.sendall(line[cut:])
    eq(finish(conn), seen(V4) + first, f"cut after {cut}")
PY

say "TCP: the port is the one that the connection really came to"
ask tcp <<'PY'
for version in 1, 2:
    eq(through(TCP, b"ping", version=version), seen(V4) + b"ping", "TCP through the balancer")
    eq(through(TCP, b"ping", DENIED, version), b"reset", "a denied visitor")
eq(through(TCP, b"ping", version=0), b"reset", "a balancer without header")
answer = through(TCP, header(1, V4), version=0, source=OTHER)
eq(answer.startswith(b"PROXY TCP4 127.0.0.3 127.0.0.1 "), True, "who comes without a balancer")
eq(answer.endswith(b"\r\n" + header(1, V4)), True, "what he says is the service's")
PY
grep -q 'sent no PROXY header.*remote=127.0.0.2' "$TMP/agent-gw1.log" || fail "the log does not name the balancer without header"

say "a health check of the balancer speaks for itself"
ask local <<'PY'
for version in 1, 2:
    for port in HTTP, TLS:
        eq(finish(connect(port, BALANCER, local_header(version))), b"", "a look")
    conn = connect(HTTP, BALANCER, local_header(version) + request("site"))
    answer = finish(conn)
    eq(re.findall(rb"(?mi)^X-Forwarded-For: (.*?)\r?$", answer), [b"127.0.0.2"], "a request of the balancer's own")
PY

say "the visitor counts against visitors-per-source, the balancer does not"
ask source <<'PY'
held = [connect(TLS, BALANCER, header(1, V4)) for _ in range(4)]
others = [connect(TLS, BALANCER, header(1, f"203.0.113.{i}")) for i in range(100, 108)]
end = time.monotonic() + 10
while status(through(HTTP, request("site"))) != 429:  # a fifth of one visitor
    if time.monotonic() > end:
        sys.exit("one visitor has more than his share")
eq(status(through(HTTP, request("site"), "203.0.113.10")), 200, "another visitor")
PY
grep -q '203\.0\.113\.9' "$TMP/access.log" || fail "the access log has other visitors: $(tail -n 3 "$TMP/access.log")"
grep -q '127\.0\.0\.2' "$TMP/access.log" || fail "the balancer's own request is not in the access log"

say "a reload takes the balancer away: its header is bad bytes, its requests are its own"
sed -i 's/^http-proxy-from.*/http-proxy-from =/' "$TMP/gw1/gateway.conf"
kill -HUP "${AGENT[gw1]}"
unbelieved() { # the gateway answers a request of the balancer's own
    [ "$(curl -sS --interface 127.0.0.2 --max-time 5 -o /dev/null -w '%{http_code}' -H 'Host: site.gw1.localhost' "http://127.0.0.1:${HTTP[gw1]}/")" = 200 ]
}
wait_for 5 unbelieved
ask reload <<'PY'
eq(status(through(HTTP, request("site"))), 400, "a header that nobody believes any more")
PY
