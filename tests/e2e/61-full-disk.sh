#!/usr/bin/env bash
# The disk fills up: new contracts are refused with storage_error or wait in the stream, what is served stays served, a gateway that
# cannot write its file serves but does not report; with room again everything that waited is done.
if [ -z "${NW_OWN_MOUNTS:-}" ]; then
    export NW_OWN_MOUNTS=1
    [ "$(id -u)" != 0 ] || { unshare -m true 2>/dev/null && exec unshare -m "$0" "$@"; }
    unshare -Urm true 2>/dev/null || { echo "needs mounts of its own" && exit 77; }
    exec unshare -Urm "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

disk() { # disk FOLDER SIZE: a disk of its own
    mkdir -p "$1"
    mount -t tmpfs -o "size=$2,mode=700" none "$1" 2>/dev/null || { echo "cannot mount a tmpfs" && exit "$SKIP"; }
}

fill() { # fill FOLDER: not a byte is left
    dd if=/dev/zero of="$1/filler" bs=4k status=none 2>/dev/null || true
    dd if=/dev/zero of="$1/filler" bs=1 oflag=append conv=notrunc status=none 2>/dev/null || true
}

offer() { # offer ID [MEMBERS]: contract n<ID>, not waiting for the module; prints the code of the refusal, or "taken"
    contract "$1" 0 full "$(name_workload "n$1" http://127.0.0.2:9 "${2:-}")" >"$TMP/signed-$1.json"
    nw full --json deploy --wait 0 "$TMP/signed-$1.json" >"$TMP/answer-$1.json" 2>/dev/null || true
    json 'd.get("code", "taken")' <"$TMP/answer-$1.json"
}

state() { # state ID
    bus full HGET netwall:workloads "7-$1-n$1" | json 'd["state"]'
}

is_state() { # is_state STATE ID
    [ "$(state "$2")" = "$1" ]
}

waits_in_stream() { # read, but not acknowledged
    [ "$(bus full XPENDING stream:deployments netwall-agent | head -n 1)" = "$1" ]
}

keys
gateway_config full
trap 'STATUS=$?; set +e; umount -l "$TMP/full/state/gateway" "$TMP/full/state"; (exit "$STATUS"); cleanup' EXIT
disk "$TMP/full/state" 8m
disk "$TMP/full/state/gateway" 1m
BUS[full]=unix://$TMP/bus.sock
sed -i -e "s|^url = embedded|url = ${BUS[full]}|" -e '/^socket = /d' "$TMP/full/agent.conf"
background redis redis-server --port 0 --unixsocket "$TMP/bus.sock" --save "" --appendonly no --dir "$TMP"
wait_for 10 redis-cli -s "$TMP/bus.sock" PING
gateway_start full
admit full
eq "$(offer 1)" taken
wait_for 10 is_state ok 1

say "the agent's disk is full"
fill "$TMP/full/state"
eq "$(offer 2)" storage_error
contract 3 0 full "$(name_workload n3 http://127.0.0.2:9)" >"$TMP/signed-3.json"
bus full XADD stream:deployments '*' op deploy body "$(cat "$TMP/signed-3.json")" >/dev/null
wait_for 10 waits_in_stream 1
eq "$(status full n1.full.localhost)" 502 "what was served"
eq "$(bus full HLEN netwall:assign:gateway)" 1 "assignments"
nw full get --twin 7 --contract 1 >/dev/null
rm "$TMP/full/state/filler"
wait_for 20 is_state ok 3
waits_in_stream 0 || fail "the entry is not acknowledged"
eq "$(bus full XLEN stream:results)" 1 "answers"
eq "$(offer 2)" taken
wait_for 10 is_state ok 2

say "the gateway's disk is full"
fill "$TMP/full/state/gateway"
# more than the rest of the file's last block takes
eq "$(offer 4 "$("$PYTHON" -c 'import json
print(json.dumps({"allow": ["127.0.0.0/8"] + ["2001:db8:1234:5678:9abc:def0:%x:0/112" % (0x1000 + i) for i in range(63)]})[1:-1])')")" taken
wait_for 10 refuses_with 502 full n4.full.localhost # in service: behind it nobody listens
is_state init 4 || fail "it is reported before it is durable: $(state 4)"
rm "$TMP/full/state/gateway/filler"
wait_for 20 is_state ok 4

say "and all of it is there after a restart"
GATEWAY=$(gateway_pid full)
kill -KILL "$GATEWAY" "${AGENT[full]}"
wait_gone "$GATEWAY" 5
wait_gone "${AGENT[full]}" 5 # its state folder is free
background agent-full netwall-agent --config "$TMP/full/agent.conf"
for i in 1 2 3 4; do
    wait_for 10 refuses_with 502 full "n$i.full.localhost"
done
