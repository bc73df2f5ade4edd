#!/usr/bin/env bash
# A contract changes again and again under 200 visitors a second and with open connections: nobody is refused, and who is on a way that
# stays, stays. Backends, options, passthrough, the port as the contract names it, names that change hands, versions that skip, a killed
# agent in between; and what an update takes away is gone.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
read -r WEB PAGE PAGETLS < <(ports 3)
SECOND=$(key_make second x25519)
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=one.gw1.localhost" -keyout "$TMP/tls.key" -out "$TMP/tls.pem" 2>/dev/null
background web "$PYTHON" "$E2E_DIR/peers/visitors.py" serve "$WEB"
background page "$PYTHON" "$E2E_DIR/peers/trickle.py" "$PAGE"
background pagetls "$PYTHON" "$E2E_DIR/peers/trickle.py" "$PAGETLS" "$TMP/tls.pem" "$TMP/tls.key"

VERSION=0
B="\"tunnel:$CONNECTOR_PUB/web\""
B2="\"tunnel:$SECOND/web\""
# update [NAME-A NAME-B OPTIONS-A BACKENDS PORT]: the next version of the contract; VERSION may have been raised before.
update() {
    local a=${1:-one} b=${2:-two} options=${3:-} backends=${4:-$B} port=${5:-0}
    deploy gw1 9001 "$VERSION" "[
{\"name\":\"a\",\"type\":\"gateway-name-proxy\",\"data\":{\"name\":\"$a\",\"backends\":[$backends]$options}},
{\"name\":\"b\",\"type\":\"gateway-name-proxy\",\"data\":{\"name\":\"$b\",\"backends\":[$B]}},
{\"name\":\"t\",\"type\":\"gateway-tcp-proxy\",\"data\":{\"port\":$port,\"backends\":[$backends]$(tcp_options "$options")}},
{\"name\":\"page\",\"type\":\"gateway-name-proxy\",\"data\":{\"name\":\"page\",\"backends\":[\"tunnel:$CONNECTOR_PUB/page\"],\"tls_passthrough\":true,\"http\":\"forward\"$(tcp_options "$options")}}]" >"$TMP/update.json"
    VERSION=$((VERSION + 1))
}
tcp_options() { [[ $1 == *passthrough* || $1 == *http* ]] || printf %s "$1"; }
online_is() { [ "$(bus gw1 HGET netwall:workloads "$1" | json 'd["online"]')" = "$2" ]; }
port_of() { json 'd["workloads"][2]["result"]["data"]["port"]' <"$TMP/update.json"; }
tls_page() { curl -sk --max-time 20 --resolve "page.gw1.localhost:${TLS[gw1]}:127.0.0.1" "$@" "https://page.gw1.localhost:${TLS[gw1]}/"; }

update
PORT=$(port_of)
connector_start c "web=127.0.0.1:$WEB" "page=127.0.0.1:$PAGE,tls=127.0.0.1:$PAGETLS"
KEY=$TMP/second.key connector_start c2 "web=127.0.0.1:$WEB"
wait_for 10 serves gw1 one.gw1.localhost
wait_for 10 tls_page

"$PYTHON" "$E2E_DIR/peers/visitors.py" visit "${HTTP[gw1]}" one.gw1.localhost "$PORT" 160 20 >"$TMP/visits.json" 2>"$TMP/visits.log" &
VISITS=$!
PIDS+=("$VISITS")
background tls "$PYTHON" "$E2E_DIR/peers/load.py" "${TLS[gw1]}" page.gw1.localhost 20 / tls
TLS_LOAD=$LAST
background keeper curl -sN --max-time 60 -H "Host: page.gw1.localhost" "http://127.0.0.1:${HTTP[gw1]}/stream" -o "$TMP/stream.out"
STREAM=$LAST
wait_for 10 test -s "$TMP/stream.out"
wait_for 15 grep -q served "$TMP/visits.log"
SINCE=$(bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json 'd[0]["since"]')

say "options, passthrough on and off, allow lists, limits"
update one two ',"tls_passthrough":true,"http":"forward"'
update one two ',"tls_passthrough":false'
update one two ',"allow":["127.0.0.0/8"],"deny":["192.0.2.0/24"]'
update one two ',"limits":{"connections":5000,"idle_seconds":600},"balance":"random","instances":"newest"'

say "backends: a second key comes, both change places, the first one leaves and comes back"
update one two '' "$B,$B2"
wait_for 10 online_is 7-9001-a 2
update one two '' "$B2,$B"
update one two '' "$B2,$B" "$PORT" # the port that was given out, by its number
update one two '' "$B,$B2" 0
eq "$(port_of)" "$PORT" "the port"

say "names change hands between the workloads, three times"
update two one '' "$B,$B2"
update one two '' "$B,$B2"
VERSION=$((VERSION + 40)) # any higher version
update two one '' "$B,$B2"

say "the agent is killed, and the next version comes after it"
kill -KILL "${AGENT[gw1]}"
wait_gone "${AGENT[gw1]}" 5
gateway_start gw1
update one two '' "$B,$B2"
eq "$(port_of)" "$PORT" "the port after the agent's end"

say "nobody was refused, the open connections and the session go on"
kill -TERM "$VISITS" "$TLS_LOAD"
wait_gone "$VISITS" 20 || fail "the visitors hang"
wait_gone "$TLS_LOAD" 20 || fail "the TLS visitors hang"
say "$(cat "$TMP/visits.json")"
say "TLS: $(tail -n 1 "$TMP/tls.log")"
eq "$(json 'd["failed"], d["long_alive"]' <"$TMP/visits.json")" "[0, 20]" "refused visitors, and long connections that live"
grep -q ' failed=0 ' "$TMP/tls.log" || fail "TLS visitors failed: $(cat "$TMP/tls.log")"
kill -0 "$STREAM" || fail "the open answer was cut"
BEFORE=$(stat -c %s "$TMP/stream.out")
more() { [ "$(stat -c %s "$TMP/stream.out")" -gt "$BEFORE" ]; }
wait_for 5 more
eq "$(bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json 'd[0]["since"]')" "$SINCE" "the session"

say "what an update takes away is gone: the name, the port, and the open connections of a key that left"
deploy gw1 9001 $((VERSION + 1)) "$(name_workload one "tunnel:$SECOND/web" | sed 's/"name":"one","type"/"name":"a","type"/')" >/dev/null
wait_for 2 refuses_with 404 gw1 two.gw1.localhost
wait_for 2 refuses_with 404 gw1 page.gw1.localhost
wait_gone "$STREAM" 2 || fail "the open answer of a workload that is gone goes on"
if curl -s --max-time 5 "http://127.0.0.1:$PORT/" >/dev/null; then fail "the port of a workload that is gone answers"; fi
serves gw1 one.gw1.localhost || fail "what stays is not served"
