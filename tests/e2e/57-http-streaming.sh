#!/usr/bin/env bash
# Bodies of any size, events, interim answers, upgrades and ends of connections pass as they come, in bounded memory.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/web_lib.sh"

web_gateway
services one two near
tunnelled one
tunnelled two
direct near
connect web one two
wait_for 15 connectors_are 1
claims web_streaming
