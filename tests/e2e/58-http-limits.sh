#!/usr/bin/env bash
# What takes too long, is not allowed, too much or not there gets the status it should; each request has its line in the access log.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/web_lib.sh"

mkdir -p "$TMP/gw1/state/gateway"
echo "<p>farmer's page {{status}} {{reason}}. {{message}} id={{request_id}}</p>" >"$TMP/gw1/state/gateway/page.html"
web_gateway '[limits]' 'first-bytes-timeout = 1s' 'idle-timeout = 1s' 'open-timeout = 1s' 'tunnel-wait = 300ms' \
    '[http]' 'access-log = access.log' 'access-log-format = text' 'error-template = page.html'
services one near down neardown
NOBODY=$(key_make nobody x25519)
tunnelled one
direct near
tunnelled down
direct neardown
CONNECTOR_PUB=$NOBODY tunnelled nobody
tunnelled denied one '"deny":["127.0.0.1/32"]'
tunnelled allowed one '"allow":["127.0.0.8/32"]'
tunnelled single one '"limits":{"connections":1}'
tunnelled seldom one '"limits":{"new_per_second":2}'
tunnelled secure one '"tls_passthrough":true,"http":"redirect"'
tunnelled off one '"tls_passthrough":true,"http":"off"'
connect web one down
wait_for 15 connectors_are 1
export WEB_KEY=$CONNECTOR_PUB
claims web_limits
