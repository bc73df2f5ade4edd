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
