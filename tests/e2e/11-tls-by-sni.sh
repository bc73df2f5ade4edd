#!/usr/bin/env bash
# TLS by SNI with the service's own certificate: the gateway passes it through and never has the key.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1

mkdir -p "$TMP/site"
echo "hello over tls" >"$TMP/site/index.html"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=shop.gw1.localhost" \
    -addext "subjectAltName=DNS:shop.gw1.localhost" -keyout "$TMP/site.pem.key" -out "$TMP/site.pem" 2>/dev/null
read -r WEB WEBTLS < <(ports 2)
cat >"$TMP/nginx.conf" <<EOF
daemon off;
user $(id -un);
pid $TMP/nginx.pid;
error_log $TMP/nginx.err;
events {}
http {
  access_log off;
  client_body_temp_path $TMP/body; proxy_temp_path $TMP/proxy; fastcgi_temp_path $TMP/fcgi;
  uwsgi_temp_path $TMP/uwsgi; scgi_temp_path $TMP/scgi;
  server { listen 127.0.0.1:$WEB; root $TMP/site; }
  server { listen 127.0.0.1:$WEBTLS ssl; ssl_certificate $TMP/site.pem; ssl_certificate_key $TMP/site.pem.key; root $TMP/site; }
}
EOF
background nginx /usr/sbin/nginx -e "$TMP/nginx.err" -p "$TMP" -c "$TMP/nginx.conf"
wait_for 10 curl -sf "http://127.0.0.1:$WEB/"

deploy gw1 1002 0 "$(name_workload shop "tunnel:$CONNECTOR_PUB/web" '"tls_passthrough":true,"http":"forward"')" >"$TMP/result.json"
connector_start c "web=127.0.0.1:$WEB,tls=127.0.0.1:$WEBTLS"

tls_get() { # tls_get NAME [CURL-ARGS]
    local name=$1
    shift
    curl -sS --max-time 20 --cacert "$TMP/site.pem" --resolve "$name:${TLS[gw1]}:127.0.0.1" "$@" "https://$name:${TLS[gw1]}/"
}
wait_for 10 tls_get shop.gw1.localhost
eq "$(tls_get shop.gw1.localhost)" "hello over tls"
eq "$(tls_get shop.gw1.localhost --tls-max 1.2)" "hello over tls" "TLS 1.2"
eq "$(get gw1 shop.gw1.localhost /)" "hello over tls" "the same name by Host"

say "unknown names get the alert unrecognized_name (112)"
openssl s_client -connect "127.0.0.1:${TLS[gw1]}" -servername other.gw1.localhost </dev/null >"$TMP/alert.txt" 2>&1 || true
grep -q 'alert number 112\|unrecognized name' "$TMP/alert.txt" || fail "no unrecognized_name: $(cat "$TMP/alert.txt")"

say "what is not TLS is closed without an answer"
eq "$(printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 5 127.0.0.1 "${TLS[gw1]}" | wc -c)" 0

say "the gateway and its folder hold no certificate key"
if grep -rqs 'PRIVATE KEY' "$TMP/gw1"; then fail "a private key in the gateway's folder"; fi

say "its two ports share their limits and are counted as one"
both() { # both VERSION LIMIT: the exposure with LIMIT, then Python over HTTP and TLS
    deploy gw1 1002 "$1" "$(name_workload shop "tunnel:$CONNECTOR_PUB/web" "\"tls_passthrough\":true,\"http\":\"forward\",\"limits\":{$2}")" >/dev/null
    "$PYTHON" - "${HTTP[gw1]}" "${TLS[gw1]}" "$TMP/site.pem" <<<"$PRELUDE$(cat)" || fail "$2"
}
PRELUDE='
import socket, ssl, sys, threading, time

HOST = "shop.gw1.localhost"
CONTEXT = ssl.create_default_context(cafile=sys.argv[3])

def http():
    return socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)

def tls():
    raw = socket.create_connection(("127.0.0.1", int(sys.argv[2])), 10)
    return CONTEXT.wrap_socket(raw, server_hostname=HOST, do_handshake_on_connect=False)

def ask(conn, path="/"):
    conn.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    return conn

def served(conn, path="/"):
    """Whether the whole of PATH comes, and not a refusal."""
    data = b""
    try:
        ask(conn, path)
        while piece := conn.recv(65536):
            data += piece
    except OSError:
        pass
    conn.close()
    return data.startswith(b"HTTP/1.1 200 ")

def until(claim, what):
    end = time.monotonic() + 10
    while not claim():
        if time.monotonic() > end:
            sys.exit("not within 10 s: " + what)
        time.sleep(0.02)
'
usage() {
    bus gw1 HGET netwall:usage 7-1002-shop | json "d['$1']"
}
usage_has() { # usage_has MEMBER LEAST MOST
    [ "$(usage "$1")" -ge "$2" ] && [ "$(usage "$1")" -le "$3" ]
}
head -c 400000 /dev/zero >"$TMP/site/data"
truncate -s 64M "$TMP/site/endless"

both 1 '"bytes_per_second":400000' <<'PY'
began = time.monotonic()
threads = [threading.Thread(target=served, args=(dial(), "/data")) for dial in (http, tls)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
spent = time.monotonic() - began
if spent < 0.8:  # 400 kB are there at once, the other 400 kB take a second
    sys.exit(f"800 kB took {spent} s")
PY
wait_for 20 usage_has tx_bytes 800000 830000

both 2 '"new_per_second":1' <<'PY'
conns = http(), tls()
if [served(conn) for conn in conns].count(True) != 1:
    sys.exit("not one of two in one second")
PY

both 3 '"connections":2' <<'PY'
held = []

def hold(dial):
    try:
        held.append(ask(dial(), "/endless"))
        if held[-1].recv(12) == b"HTTP/1.1 200":
            return True
    except OSError:
        return False
    held.pop().close()
    return False

until(lambda: hold(http), "one place")
until(lambda: hold(tls), "another")
until(lambda: not served(http()), "a third on the HTTP port is refused")
until(lambda: not served(tls()), "a third on the TLS port is refused")
held[1].close()
until(lambda: served(http()), "the place of a TLS visitor is free for HTTP")
until(lambda: hold(tls), "who left is counted no more")
held[0].close()
until(lambda: served(tls()), "the place of an HTTP visitor is free for TLS")
PY
