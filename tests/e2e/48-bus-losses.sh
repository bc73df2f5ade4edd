#!/usr/bin/env bash
# A bus that loses what it held: flushed, keys and groups deleted or of another type, streams trimmed, killed and started empty, a
# replica that lags promoted. Visitors are served throughout, and what is signed stays deployed.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/bus_lib.sh"

EXPOSURES=100
keys
read -r REDIS_PORT OTHER_PORT < <(ports 2)
bus_start gw1
sed -i 's/^public-address = .*/public-address = 192.0.2.1/' "$TMP/gw1/gateway.conf" # so that the gateway may dial 127.0.0.1 itself
gateway_start gw1
admit gw1
web_start site
deploy gw1 4700 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
connector_start c "web=127.0.0.1:$WEB"
BACKEND=http://127.0.0.1:$WEB
wait_for 15 serves gw1 site.gw1.localhost
visitors_start gw1 site.gw1.localhost
phase_healthy

# loss_phase TITLE COMMAND...: COMMAND makes the bus lose something; then it is whole again, and a new contract is served.
loss_phase() {
    phase_begin "$1"
    shift
    "$@" >/dev/null
    phase_whole
}

phase_whole() {
    local start=$PHASE_START
    phase_deploy
    in_use_since "$start"
    wait_for 10 all_there gw1
    say "$TITLE: whole after $(($(now_ms) - start)) ms"
}

loss_phase "FLUSHALL" bus gw1 FLUSHALL
loss_phase "DEL assign" bus gw1 DEL netwall:assign:gateway
loss_phase "DEL head" bus gw1 DEL netwall:assign:gateway:head
loss_phase "DEL state" bus gw1 DEL netwall:workloads netwall:usage netwall:node netwall:tunnels
loss_phase "DEL report stream" bus gw1 DEL netwall:report:gateway
loss_phase "DEL streams" bus gw1 DEL stream:deployments stream:results stream:events
loss_phase "groups destroyed" eval 'bus gw1 XGROUP DESTROY netwall:report:gateway netwall-agent
    bus gw1 XGROUP DESTROY stream:deployments netwall-agent'

bus gw1 ACL SETUSER default -publish >/dev/null
loss_phase "wakes refused" true
bus gw1 ACL SETUSER default +publish >/dev/null

say "keys of ours are of another type"
OURS=(netwall:assign:gateway netwall:workloads netwall:usage netwall:report:gateway netwall:tunnels stream:deployments
    stream:results stream:events core:default core:operator)
CPU=$(cpu_ms "${AGENT[gw1]}" "$GATEWAY")
bus gw1 DEL netwall:assign:gateway:head >/dev/null
bus gw1 RPUSH netwall:assign:gateway:head nonsense >/dev/null
for key in "${OURS[@]}"; do bus gw1 SET "$key" nonsense; done >/dev/null
head_is_back() { bus gw1 GET netwall:assign:gateway:head | grep -q epoch; }
wait_for 5 head_is_back
sleep 1 # time to spin, for whoever does
CPU=$(($(cpu_ms "${AGENT[gw1]}" "$GATEWAY") - CPU))
[ "$CPU" -lt $((CPU_PERCENT * 30)) ] || fail "keys of another type cost $CPU ms of processor"
remove_strangers() {
    for key in "${OURS[@]}"; do
        [ "$(bus gw1 TYPE "$key")" != string ] || bus gw1 DEL "$key"
    done
}
loss_phase "WRONGTYPE" remove_strangers

unblock_readers() { # or redis would hand new entries to the reads that wait
    local id
    for id in $(bus gw1 CLIENT LIST | sed -n 's/^id=\([0-9]*\) .*cmd=xreadgroup .*/\1/p'); do
        bus gw1 CLIENT UNBLOCK "$id"
    done >/dev/null
}
trim_unread() {
    kill -STOP "${AGENT[gw1]}"
    unblock_readers
    bus gw1 XADD stream:deployments '*' op deploy body '{}'
    bus gw1 XTRIM stream:deployments MAXLEN 0
    kill -CONT "${AGENT[gw1]}"
}
loss_phase "deployments trimmed" trim_unread

say "what the gateway reports is trimmed away before the agent reads it"
assigned() { bus gw1 HEXISTS netwall:assign:gateway "7-$((4700 + PHASE))-p$PHASE" | grep -q 1; }
reported() { bus gw1 XRANGE netwall:report:gateway - + | grep -q "p$PHASE"; }
phase_begin "XTRIM of reports"
kill -STOP "$GATEWAY"
phase_deploy
wait_for 5 assigned
kill -STOP "${AGENT[gw1]}"
unblock_readers
kill -CONT "$GATEWAY"
wait_for 5 reported
bus gw1 XTRIM netwall:report:gateway MAXLEN 0 >/dev/null
kill -CONT "${AGENT[gw1]}"
wait_for 15 phase_served
say "$TITLE: known after $(($(now_ms) - PHASE_START)) ms"

say "redis is killed, and an empty one starts"
kill -KILL "$REDIS"
wait_gone "$REDIS" 5
redis_start "$TMP/redis"
loss_phase "restart" true

say "a replica is promoted that lacks what was acknowledged: contracts, states, the entry's number"
LEADER=$REDIS
LEADER_PORT=$REDIS_PORT
REDIS_PORT=$OTHER_PORT redis_start "$TMP/replica" --replicaof 127.0.0.1 "$LEADER_PORT"
REPLICA=(redis-cli -s "$TMP/replica/redis.sock")
synced() { "${REPLICA[@]}" INFO replication | grep -q master_link_status:up && "${REPLICA[@]}" EXISTS netwall:assign:gateway | grep -q 1; }
wait_for 10 synced
"${REPLICA[@]}" REPLICAOF NO ONE >/dev/null # from here on it lags
phase_begin "before the failover"
phase_deploy
wait_for 10 phase_served
LOST=$PHASE
[ "$("${REPLICA[@]}" HEXISTS netwall:assign:gateway "7-$((4700 + LOST))-p$LOST")" = 0 ] || fail "the replica does not lag"
kill -KILL "$LEADER"
wait_gone "$LEADER" 5
ln -sfn "$TMP/replica/redis.sock" "$TMP/bus.sock"
loss_phase "failover" true
serves gw1 "p$LOST.gw1.localhost" || fail "what was accepted before the failover is not served"

visitors_stop
all_served gw1

# boots_without_bus PATH: the agent and with it the gateway starts; what it knows is served at once.
boots_without_bus() {
    local start
    kill -TERM "${AGENT[gw1]}"
    wait_gone "${AGENT[gw1]}" 40 || fail "the agent stays"
    rm -f "$TMP/notify"
    background notify "$PYTHON" -uc 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print(s.recv(4096).decode())' "$TMP/notify"
    wait_for 5 test -S "$TMP/notify"
    start=$(now_ms)
    background agent-gw1 env PATH="$1" NOTIFY_SOCKET="$TMP/notify" "$BIN/netwall-agent" --config "$TMP/gw1/agent.conf"
    AGENT[gw1]=$LAST
    wait_for 10 serves gw1 p1.gw1.localhost
    say "served after $(($(now_ms) - start)) ms"
    [ $(($(now_ms) - start)) -le "$USE_MS" ] || fail "served only $(($(now_ms) - start)) ms after the boot"
    wait_for 5 grep -q READY=1 "$TMP/notify.log" # or systemd would end it after a while
    rm "$TMP/notify.log"
}

say "the node boots while its bus is away"
kill -KILL "$REDIS"
boots_without_bus "$PATH"

say "the node boots, and redis-server is not even installed; then it is"
sed -i "s|^url = .*|url = embedded\nsocket = $TMP/gw1/bus.sock|" "$TMP/gw1/agent.conf"
BUS[gw1]=unix://$TMP/gw1/bus.sock
mkdir "$TMP/bin"
boots_without_bus "$TMP/bin"
phase_begin "redis-server installed"
ln -s "$(command -v redis-server)" "$TMP/bin/redis-server"
PHASE_START=$(now_ms)
wait_for 5 bus gw1 ping
phase_whole
