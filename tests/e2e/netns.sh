# shellcheck shell=bash disable=SC2034
# Source this first: the script runs again in a network namespace of its own (as root, or as anybody where user namespaces
# are allowed; else it is skipped), where it may make others: connectors behind networks that can be cut, counted and slowed.
command -v nft >/dev/null || PATH=$PATH:/usr/sbin
if [ -z "${NW_OWN_NET:-}" ]; then
    export NW_OWN_NET=1
    [ "$(id -u)" != 0 ] || { unshare -nm true 2>/dev/null && exec unshare -nm "$0" "$@"; }
    unshare -Urn true 2>/dev/null || { echo "needs network namespaces" && exit 77; }
    exec unshare -Urnm --mount-proc -pf "$0" "$@"
fi

ip link set lo up
{ mount -t tmpfs none /run && ip netns add probe && ip netns exec probe nft list ruleset; } >/dev/null 2>&1 ||
    { echo "needs ip netns and nft" && exit 77; }

# net_add NAME I: namespace NAME at 10.77.I.2; the test's own end is 10.77.I.1
net_add() {
    ip netns add "$1"
    ip link add "to-$1" type veth peer name eth0 netns "$1"
    ip addr add "10.77.$2.1/24" dev "to-$1"
    ip link set "to-$1" up
    ip -n "$1" addr add "10.77.$2.2/24" dev eth0
    ip -n "$1" link set eth0 up
    ip -n "$1" link set lo up
    ip netns exec "$1" nft -f - <<'NFT'
table inet net {
  chain in { type filter hook input priority 0; }
  chain out { type filter hook output priority 0; }
}
NFT
}

# net_cut NAME in|out...: what comes in to NAME, or goes out of it, is lost
net_cut() {
    local name=$1 way
    shift
    for way in "$@"; do
        printf 'add rule inet net %s %sif != lo drop\n' "$way" "${way:0:1}"
    done | ip netns exec "$name" nft -f -
}

# net_heal NAME: nothing is lost any more
net_heal() {
    ip netns exec "$1" nft 'flush table inet net'
}

# connectors GATEWAY NAME...: one behind a network of its own each, with the service of peers/load at a TCP port of the gateway;
# sets PORT[NAME] and CONNECTOR[NAME], and returns when they are online with LINKS links each
declare -A PORT
LINKS=2
connectors() {
    local gw=$1 name i=0 workloads=
    shift
    for name in "$@"; do
        i=$((i + 1))
        net_add "$name" "$i"
        PORT[$name]=$((TCP_FROM[$gw] + i - 1))
        workloads+=${workloads:+,}$(printf '{"name":"%s","type":"gateway-tcp-proxy","data":{"port":%s,"backends":["tunnel:%s/load"]}}' \
            "$name" "${PORT[$name]}" "$(key_make "$name" x25519)")
        background "service-$name" ip netns exec "$name" "$LOAD" serve
    done
    deploy "$gw" 4301 0 "[$workloads]" >/dev/null
    i=0
    for name in "$@"; do
        i=$((i + 1))
        wait_for 5 test -s "$TMP/service-$name.log"
        background "connector-$name" ip netns exec "$name" netwall-connector --key "$TMP/$name.key" --name "$name" \
            --gateway "10.77.$i.1:${TUNNEL[$gw]}#${PUB[$gw]}" --service "load=127.0.0.1:$(cat "$TMP/service-$name.log")"
        CONNECTOR[$name]=$LAST
    done
    for name in "$@"; do
        wait_for 10 links_up "$name"
    done
}

links_up() { # links_up NAME: its connector has all its links
    [ "$(grep -cE 'event="?(tunnel|link) up' "$TMP/connector-$1.log")" -ge "$LINKS" ]
}

# losses NAME LOG SINCE-MS: when LOG (an agent's or a connector's) says that links of connector NAME were lost, in ms after SINCE-MS
losses() {
    "$PYTHON" - "$@" "$TMP/$2.log" <<'PY'
import datetime, re, sys
name, log, since, path = sys.argv[1:]
for line in open(path):
    lost = re.search(r'event="(link lost|no link|no tunnel|tunnel down)', line)
    if lost and (log.startswith("connector") or f" name={name} " in line):
        at = datetime.datetime.fromisoformat(re.search(r"time=(\S+)Z", line)[1] + "+00:00").timestamp() * 1000
        if at >= float(since):
            print(round(at - float(since)))
PY
}

# ping_start NAME FOR-MS: a visitor of NAME that plays ping-pong, every 20 ms
declare -A PING
ping_start() {
    : >"$TMP/ping-$1.log"
    background "ping-$1" "$LOAD" ping "${PORT[$1]}" x 20 "$2"
    PING[$1]=$LAST
}

# ping_ended NAME: its pings were all answered, in order, on the connection that it began with; sets PAUSE to the longest pause in ms
ping_ended() {
    local count max
    wait_gone "${PING[$1]}" 30 || fail "$1: the ping does not end"
    read -r count _ _ _ max <"$TMP/ping-$1.log" && [ "$max" -gt 0 ] || fail "$1: the ping's connection broke"
    PAUSE=$((max / 1000))
    say "$1: $count pings, all answered; the longest pause $PAUSE ms"
}
