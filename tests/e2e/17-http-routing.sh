#!/usr/bin/env bash
# Every request on a visitor's connection goes to the exposure its own Host names; connections of services are kept for the requests
# that follow, and those of visitors outlive a connector.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/web_lib.sh"

web_gateway '[limits]' 'resume-window = 1s' 'streams-per-session = 40'
services one two near a b c d
tunnelled one
tunnelled two
direct near
tunnelled moves one
export WEB_MOVES=$DEPLOYMENT
contract "$WEB_MOVES" 1 gw1 "$(name_workload moves "tunnel:$CONNECTOR_PUB/two")" >"$TMP/moved.json"
MANY_PUB=$(key_make many x25519)
CONNECTOR_PUB=$MANY_PUB tunnelled many
connect web one two
for name in a b c d; do KEY=$TMP/many.key connect "$name" "many@$name"; done
wait_for 15 connectors_are 1
CONNECTOR_PUB=$MANY_PUB wait_for 15 connectors_are 4
claims web_routing
