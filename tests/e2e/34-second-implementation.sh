#!/usr/bin/env bash
# A second implementation of the tunnel (Python, from the specification) serves visitors with both suites, and breaks each rule
# once: the gateway closes that connection and nothing else.
. "$(dirname "$0")/lib.sh"

keys
gateway_start gw1
admit gw1
web_start site
key_make other x25519 >/dev/null
OTHER_PUB=$(netwall pubkey "$TMP/other.key")
deploy gw1 8301 0 "$(name_workload other "tunnel:$OTHER_PUB/web")" >/dev/null
deploy gw1 8302 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
connector_start c "web=127.0.0.1:$WEB"
wait_for 15 serves gw1 site.gw1.localhost

peer() { "$PYTHON" "$E2E_DIR/peers/tunnel.py" "$1" "127.0.0.1:${TUNNEL[gw1]}" "${PUB[gw1]}" "$TMP/other.key" "${@:2}"; }
for suite in 1 3; do
    background "peer-$suite" peer serve "$suite"
    PEER=$LAST
    wait_for 15 serves gw1 other.gw1.localhost
    for _ in 1 2 3 4 5; do
        eq "$(get gw1 other.gw1.localhost /)" "an independent answer" "suite $suite"
    done
    pkill -P "$PEER" || kill "$PEER"
    wait_for 20 refuses_with 503 gw1 other.gw1.localhost
done

say "an answer goes on, byte for byte, on another link when the first one is cut"
background peer-resume peer resume
HASH=$(curl -sS --fail --retry 20 --retry-all-errors --retry-delay 1 -H "Host: other.gw1.localhost" "http://127.0.0.1:${HTTP[gw1]}/" | sha256sum | cut -d' ' -f1)
wait_for 10 grep -q "$HASH" "$TMP/peer-resume.log"

say "another key, an older epoch, a ninth link, hoarded sessions"
peer fence "$TMP/connector.key"
eq "$(status gw1 site.gw1.localhost)" 200 "the other connector"

say "each broken rule closes its own connection"
peer hostile
eq "$(status gw1 site.gw1.localhost)" 200 "the other connector"
kill -0 "$(gateway_pid gw1)"
