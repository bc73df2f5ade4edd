#!/usr/bin/env bash
# The connector's network goes wrong in a namespace of its own: the kernel destroys the tunnel's TCP connections (ss -K) one
# after another and all at once, and its address changes in mid download. Visitors notice nothing.
if [ "$(id -u)" != 0 ]; then # a user namespace gives us the right to make network namespaces
    unshare -Urn true 2>/dev/null || { echo "needs network namespaces"; exit 77; }
    exec unshare -Urnm --mount-proc -pf "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/busy.sh"

NETNS=nw-links-$$
ip netns add "$NETNS" 2>/dev/null || { mount -t tmpfs none /run && ip netns add "$NETNS"; } || exit "$SKIP"
undo() {
    local status=$?
    ip netns pids "$NETNS" | xargs -r kill 2>/dev/null || true
    ip netns del "$NETNS" || true
    set +e # cleanup looks at the status, and errexit would end this trap before it
    (exit "$status")
    cleanup
}
trap undo EXIT
ip link set lo up
NET=10.$((RANDOM % 200 + 20)).$((RANDOM % 250))
in_ns() { ip netns exec "$NETNS" "$@"; }
ip link add "nw$$c" type veth peer name "nw$$d"
ip link set "nw$$d" netns "$NETNS"
ip addr add "$NET.1/24" dev "nw$$c"
ip link set "nw$$c" up
ip -n "$NETNS" addr add "$NET.2/24" dev "nw$$d"
ip -n "$NETNS" link set "nw$$d" up
ip -n "$NETNS" link set lo up

keys
gateway_config gw1
sed -i "s/^tunnel = .*/&, $NET.1:${TUNNEL[gw1]}/" "$TMP/gw1/gateway.conf"
gateway_start gw1
admit gw1
busy_services
background connector-c ip netns exec "$NETNS" netwall-connector --key "$TMP/connector.key" \
    --gateway "$NET.1:${TUNNEL[gw1]}#${PUB[gw1]}" --service "web=127.0.0.1:$HASHER" --service "ws=127.0.0.1:$WS"
busy_ready
tunnels() { in_ns ss -Htn state established "dport = :${TUNNEL[gw1]}"; }
destroy() { in_ns ss -K "dport = :${TUNNEL[gw1]}" "$@" >/dev/null; }

say "connections are destroyed one after another, then all at once"
busy_start
for _ in 1 2 3 4; do
    sleep 0.4
    LOCAL=$(tunnels | awk 'NR == 1 {sub(/.*:/, "", $3); print $3}')
    [ -z "$LOCAL" ] || destroy "sport = :$LOCAL"
done
grep -q "link lost" "$TMP/connector-c.log" || { echo "this kernel does not destroy sockets" && exit "$SKIP"; }
for _ in 1 2 3; do
    sleep 1
    destroy
done
busy_check
wait_for 10 links_up 2

say "the connector's address changes"
busy_start
sleep 2
ip -n "$NETNS" addr del "$NET.2/24" dev "nw$$d"
ip -n "$NETNS" addr add "$NET.3/24" dev "nw$$d"
busy_check
wait_for 10 links_up 2
bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | grep -q "$NET.3" || fail "not at the new address"
eq "$(bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json 'len(d)')" 1 "sessions"
eq "$(grep -c 'given up\|no tunnel' "$TMP/connector-c.log" || true)" 0 "sessions given up"
grep 'event=resumed\|event="*resumed' "$TMP/connector-c.log" | tail -n 1
