#!/usr/bin/env bash
# The wall: the connector in a network namespace where nft drops every new inbound packet and egress goes only to the
# gateways. Visitors are served, nothing listens.
if [ "$(id -u)" != 0 ]; then # a user namespace gives us the right to make network namespaces
    unshare -Urn true 2>/dev/null || { echo "needs network namespaces"; exit 77; }
    exec unshare -Urnm --mount-proc -pf "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
command -v nft >/dev/null || PATH=$PATH:/usr/sbin

NS=nw-wall-$$
ip netns add "$NS" 2>/dev/null || { mount -t tmpfs none /run && ip netns add "$NS"; } || exit "$SKIP"
undo() {
    local status=$?
    ip netns pids "$NS" | xargs -r kill 2>/dev/null || true
    ip netns del "$NS" || true
    set +e # cleanup looks at the status, and errexit would end this trap before it
    (exit "$status")
    cleanup
}
trap undo EXIT
ip link set lo up
NET=10.$((RANDOM % 200 + 20)).$((RANDOM % 250))
ip link add "nw$$a" type veth peer name "nw$$b"
ip link set "nw$$b" netns "$NS"
ip addr add "$NET.1/24" dev "nw$$a"
ip link set "nw$$a" up
ip -n "$NS" addr add "$NET.2/24" dev "nw$$b"
ip -n "$NS" link set "nw$$b" up
ip -n "$NS" link set lo up

keys
gateway_config gw1
sed -i "s/^tunnel = .*/&, $NET.1:${TUNNEL[gw1]}/" "$TMP/gw1/gateway.conf"
gateway_start gw1
ip netns exec "$NS" nft -f - <<EOF
table inet wall {
  chain in {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif lo accept
  }
  chain out {
    type filter hook output priority 0; policy drop;
    oif lo accept
    ct state established,related accept
    ip daddr $NET.1 tcp dport ${TUNNEL[gw1]} accept
  }
}
EOF
admit gw1
mkdir "$TMP/site"
echo "hello from behind the wall" >"$TMP/site/index.html"
background web ip netns exec "$NS" "$PYTHON" -m http.server --bind 127.0.0.1 --directory "$TMP/site" 8080
deploy gw1 9001 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
background connector ip netns exec "$NS" netwall-connector --key "$TMP/connector.key" \
    --gateway "$NET.1:${TUNNEL[gw1]}#${PUB[gw1]}" --service web=127.0.0.1:8080
wait_for 15 serves gw1 site.gw1.localhost
eq "$(get gw1 site.gw1.localhost /)" "hello from behind the wall"

say "only the demo service listens in there, on its own loopback"
eq "$(ip netns exec "$NS" ss -Hltn | grep -vc '127.0.0.1:8080' || true)" 0 "listening sockets"
if ip netns exec "$NS" ss -Hlxp | grep -q netwall; then fail "the connector listens on a unix socket"; fi
eq "$(ip netns exec "$NS" ss -Hulnp | grep -c netwall || true)" 0 "bound UDP sockets"

say "the process itself proves it"
netwall-connector --check-wall
nc -z -w 2 "$NET.2" 8080 && fail "the wall lets new connections in"
true
