#!/usr/bin/env bash
# What is slow is not dead: networks of 200 kbit/s that a download and an upload fill, and processes that stand still. After
# 3 s of that nothing is lost; after 8 s links may be, streams are not.
. "$(dirname "$0")/netns.sh"
. "$(dirname "$0")/lib.sh"

LOAD=$BIN/../tests/peers/load
tc_works() { tc qdisc add dev lo root tbf rate 200kbit burst 4kb limit 32kb && tc qdisc del dev lo root; }
tc_works 2>/dev/null || { echo "needs tc and its tbf" && exit "$SKIP"; }

stall() { # stall SECONDS PID
    kill -STOP "$2"
    sleep "$1"
    kill -CONT "$2"
}

unharmed() { # unharmed NAME: neither end lost a link of it
    eq "$(losses "$1" agent-gw1 0)" "" "$1: the gateway lost links"
    eq "$(losses "$1" "connector-$1" 0)" "" "$1: the connector lost links"
}

keys
gateway_config gw1
sed -i "s/^tunnel = .*/tunnel = 0.0.0.0:${TUNNEL[gw1]}/" "$TMP/gw1/gateway.conf"
gateway_start gw1
admit gw1
connectors gw1 down up three eight

say "200 kbit/s, full; beside it connectors stand still for 3 s and for 8 s"
tc -n down qdisc add dev eth0 root tbf rate 200kbit burst 4kb limit 32kb
tc qdisc add dev to-up root tbf rate 200kbit burst 4kb limit 32kb
background flow-down "$LOAD" flow "${PORT[down]}" x /bulk 1 11500
DOWN=$LAST
background flow-up "$LOAD" flow "${PORT[up]}" x /sink 1 11500
UP=$LAST
ping_start three 5000
ping_start eight 11500
sleep 1
stall 8 "${CONNECTOR[eight]}" &
STALL=$!
stall 3 "${CONNECTOR[three]}"
ping_ended three
unharmed three
wait "$STALL"
ping_ended eight
wait_gone "$DOWN" 20
wait_gone "$UP" 20
RATE=$(sed -n 's| kB/s||p' "$TMP/flow-down.log")
say "the download got $RATE kB/s"
[ "$RATE" -ge 12 ] || fail "the path has 25 kB/s"
unharmed down
unharmed up

say "the gateway stands still for 3 s"
GW=$(gateway_pid gw1)
ping_start three 4000
sleep 0.5
stall 3 "$GW"
ping_ended three
unharmed three
say "and for 8 s"
ping_start three 9000
sleep 0.5
stall 8 "$GW"
ping_ended three
