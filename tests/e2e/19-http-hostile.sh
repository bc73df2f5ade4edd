#!/usr/bin/env bash
# Requests and answers that two readers could understand differently: refused with the right status, never forwarded, never echoed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/web_lib.sh"

web_gateway '[limits]' 'open-timeout = 2s'
services one near
tunnelled one
direct near
connect web one
wait_for 15 connectors_are 1
claims web_hostile
