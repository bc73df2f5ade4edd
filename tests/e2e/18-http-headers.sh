#!/usr/bin/env bash
# Fields of a hop end at the gateway, what strangers say about themselves is replaced, and services learn who asks; answers likewise.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/web_lib.sh"

web_gateway '[http]' 'trusted-proxies = 127.0.0.2'
services one near
tunnelled one
direct near
connect web one
wait_for 15 connectors_are 1
claims web_headers
