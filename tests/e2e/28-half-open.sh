#!/usr/bin/env bash
# A network that loses everything, one way, the other way, both: with streams open both ends notice within 5 s, without within
# 20 s, and the streams go on when it heals. What an idle link costs is counted.
. "$(dirname "$0")/netns.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/machine.sh"

LOAD=$BIN/../tests/peers/load
COUNT_MS=27000 # holds one or two ends of 15 s

first_loss() { # first_loss NAME LOG SINCE-MS
    losses "$@" | sed -n 1p
}

noticed() { # noticed NAME SINCE-MS: both ends of NAME say that a link is lost
    [ -n "$(first_loss "$1" "connector-$1" "$2")" ] && [ -n "$(first_loss "$1" agent-gw1 "$2")" ]
}

# both_within LIMIT-MS NAME SINCE-MS: half as long again where others had the machine since the mark
both_within() {
    local connector gateway limit=$1
    wait_for $(($1 / 1000 + 5)) noticed "$2" "$3"
    connector=$(first_loss "$2" "connector-$2" "$3")
    gateway=$(first_loss "$2" agent-gw1 "$3")
    say "$2: the connector noticed after $connector ms, the gateway after $gateway ms"
    [ "$(machine_elsewhere)" -le "$CALM_PERCENT" ] || limit=$((limit * 3 / 2))
    [ "$connector" -le "$limit" ] && [ "$gateway" -le "$limit" ] || fail "$2: more than $limit ms"
}

# counted in|out: packets with data, and packets in all
counted() {
    ip netns exec count nft -j list chain inet net "$1" |
        json '" ".join(str(e["counter"]["packets"]) for r in d["nftables"] if "rule" in r for e in r["rule"]["expr"] if "counter" in e)'
}

keys
gateway_config gw1
sed -i "s/^tunnel = .*/tunnel = 0.0.0.0:${TUNNEL[gw1]}/" "$TMP/gw1/gateway.conf"
gateway_start gw1
admit gw1
connectors gw1 in out both idle count

for name in in out both; do
    ping_start "$name" 11000
done
sleep 2.5 # what the links said at their start is answered
say "one idle link is counted, another one is cut"
ip netns exec count nft -f - <<NFT
add rule inet net in tcp sport ${TUNNEL[gw1]} meta length > 60 counter
add rule inet net in tcp sport ${TUNNEL[gw1]} counter
add rule inet net out tcp dport ${TUNNEL[gw1]} meta length > 60 counter
add rule inet net out tcp dport ${TUNNEL[gw1]} counter
NFT
net_cut idle in out
IDLE_CUT=$(now_ms)
say "streams flow, then everything is lost: what comes in, what goes out, both"
machine_mark
CUT=$(now_ms)
net_cut in in
net_cut out out
net_cut both in out
for name in in out both; do
    both_within 5000 "$name" "$CUT"
done
for name in in out both; do
    net_heal "$name"
done
say "and they go on where they were"
for name in in out both; do
    ping_ended "$name"
done

both_within 20000 idle "$IDLE_CUT"
net_heal idle
LEFT=$((IDLE_CUT + COUNT_MS - $(now_ms)))
[ "$LEFT" -le 0 ] || sleep "$((LEFT / 1000)).$(printf '%03d' $((LEFT % 1000)))"
read -r IN_DATA IN_ALL < <(counted in)
read -r OUT_DATA OUT_ALL < <(counted out)
say "idle for $COUNT_MS ms, $LINKS links: $OUT_DATA packets with data and $OUT_ALL in all out, $IN_DATA and $IN_ALL in"
# At most two exchanges a link: PING out, PONG in, and an acknowledgement for each.
[ "$OUT_DATA" -ge "$LINKS" ] && [ "$OUT_DATA" -le $((2 * LINKS)) ] || fail "PINGs: $OUT_DATA"
[ "$IN_DATA" -eq "$OUT_DATA" ] || fail "PONGs: $IN_DATA"
[ $((IN_ALL + OUT_ALL)) -le $((4 * OUT_DATA)) ] || fail "packets: $IN_ALL in, $OUT_ALL out"
