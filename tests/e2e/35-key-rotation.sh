#!/usr/bin/env bash
# Keys change under load without a failed request: the gateway's own (next, swap, drop by SIGHUP) and a connector's. The commands are
# those of deploy/rotate-keys.md.
. "$(dirname "$0")/lib.sh"

GUIDE=${NW_SOURCE_DIR:-$E2E_DIR/../..}/deploy/rotate-keys.md
HOST=site.gw1.localhost

# step NAME: runs the block of this name of the guide.
step() {
    local commands
    commands=$(sed -n "/\`\`\`sh step=$1\$/,/\`\`\`\$/p" "$GUIDE" | sed '1d;$d')
    [ -n "$commands" ] || fail "the guide has no step $1"
    eval "$commands"
}
reload_gateway() { kill -HUP "${AGENT[gw1]}"; }
reload_connector() { kill -HUP "$CONNECTOR_PID"; }

node() { nw gw1 --json node | json "$1"; }
tunnels() { bus gw1 HGET netwall:tunnels "$1" | json "$2"; }
has_next() { [ "$(node 'd["tunnel"].get("next_public_key", "")')" = "$1" ]; }
own_is() { [ "$(node 'd["tunnel"]["public_key"]')" = "$1" ]; }
made_with() { [ "$(tunnels "$1" 'sorted({s["gateway_key"] for s in d if s["state"] == "up"})')" = "[\"$2\"]" ]; }
sessions() { [ "$(bus gw1 HGET netwall:tunnels "$1" | json 'len(d)' || echo 0)" = "$2" ]; }
gone() { [ -z "$(bus gw1 HGET netwall:tunnels "$1")" ]; }
online_is() { [ "$(bus gw1 HGET netwall:workloads "$1" | json 'd["online"]')" = "$2" ]; }
logged() { grep -qF -- "$2" "$TMP/$1.log"; }

conf_connector() { # conf_connector NAME KEY-FILE: starts a connector from a config file of its own
    CONNECTOR_CONF=$TMP/$1.conf
    cat >"$CONNECTOR_CONF" <<CONF
[connector]
key = $2
twin = $TWIN
[gateway gw1]
address = 127.0.0.1:${TUNNEL[gw1]}
public-key = ${PUB[gw1]}
[service web]
target = 127.0.0.1:$WEB
[service ws]
target = 127.0.0.1:$WS
CONF
    background "connector-$1" netwall-connector --config "$CONNECTOR_CONF"
    CONNECTOR_PID=$LAST
}

download() { # download NAME COUNT: a long answer in the background
    curl -sN --max-time 60 -H "Host: $HOST" "http://127.0.0.1:${HTTP[gw1]}/count/$2" -o "$TMP/$1.out" &
    PIDS+=("$!")
    wait_for 10 test -s "$TMP/$1.out"
}
whole() { [ "$(wc -l <"$TMP/$1.out")" = "$2" ]; }

keys
gateway_config gw1
printf '[tunnel]\nkey = gateway.key\nnext-key =\n' >>"$TMP/gw1/gateway.conf"
gateway_start gw1
admit gw1
read -r WEB WS < <(ports 2)
background web "$PYTHON" "$E2E_DIR/peers/trickle.py" "$WEB"
background ws "$PYTHON" "$E2E_DIR/peers/websocket.py" serve "$WS"
STRAGGLER=$(key_make straggler x25519)
SECOND=$(key_make second x25519)
THIRD=$(key_make third x25519)
export STATE=$TMP/gw1/state/gateway GATEWAY_CONF=$TMP/gw1/gateway.conf OLD=${PUB[gw1]} # for the guide

backends() { # backends KEY...: the JSON of the contract's one workload
    local list
    list=$(printf ',"tunnel:%s/web"' "$@")
    printf '[{"name":"site","type":"gateway-name-proxy","data":{"name":"site","backends":[%s]}}]' "${list:1}"
}
deploy gw1 9001 0 "$(backends "$CONNECTOR_PUB")" >/dev/null
by_key() { # by_key VERSION: the straggler's contract, which names the node by its old key throughout
    contract 9002 "$1" "key:$OLD" "$(name_workload late "tunnel:$STRAGGLER/web")" >"$TMP/late.json"
    nw gw1 deploy "$TMP/late.json" >/dev/null
}
by_key 0
deploy gw1 9003 0 "$(name_workload chat "tunnel:$CONNECTOR_PUB/ws")" >/dev/null
KEY=$TMP/straggler.key connector_start late "web=127.0.0.1:$WEB"
conf_connector one "$TMP/connector.key"
wait_for 10 serves gw1 "$HOST"
wait_for 10 serves gw1 late.gw1.localhost
background load "$PYTHON" "$E2E_DIR/peers/load.py" "${HTTP[gw1]}" "$HOST" 100 /
LOAD=$LAST
background talk "$PYTHON" "$E2E_DIR/peers/websocket.py" talk "${HTTP[gw1]}" chat.gw1.localhost 120 2000 0.1
TALK=$LAST
download first 80

say "the gateway's next key: announced to live tunnels, which go on"
SINCE=$(tunnels "$CONNECTOR_PUB" 'd[0]["since"]')
step next
NEW=$(netwall pubkey "$STATE/next.key")
wait_for 5 has_next "$NEW"
wait_for 5 logged connector-one "public-key = $NEW"
wait_for 5 logged connector-late "127.0.0.1:${TUNNEL[gw1]}#$NEW"
eq "$(nw gw1 --json get --twin 7 --contract 9001 | json 'd["workloads"][0]["result"]["data"]["tunnel"]["next_public_key"]')" "$NEW" result
eq "$(tunnels "$CONNECTOR_PUB" 'd[0]["since"]')" "$SINCE" "the session"
wait_for 5 made_with "$CONNECTOR_PUB" "$OLD"

say "a connector with both comes anew with the next one"
step connector
wait_for 10 made_with "$CONNECTOR_PUB" "$NEW"

say "swapped: the old one still lets in who has no other"
step swap
wait_for 5 own_is "$NEW"
has_next "$OLD" || fail "the old key is not shown"
kill "${CONNECTOR[late]}"
wait_for 10 gone "$STRAGGLER"
PUB[gw1]=$OLD
KEY=$TMP/straggler.key connector_start late2 "web=127.0.0.1:$WEB"
wait_for 10 serves gw1 late.gw1.localhost
wait_for 5 logged connector-late2 "127.0.0.1:${TUNNEL[gw1]}#$NEW"
wait_for 5 made_with "$STRAGGLER" "$OLD"
wait_for 5 made_with "$CONNECTOR_PUB" "$NEW"

say "dropped: warned about with the names of those who still use it, and they go on"
step drop
wait_for 5 has_next ""
wait_for 5 logged agent-gw1 "key=$OLD sessions=1 connectors=$(hostname)"
eq "$(status gw1 late.gw1.localhost)" 200 "the straggler"
by_key 1 # does not mean that the contract leaves this node
eq "$(status gw1 late.gw1.localhost)" 200 "the straggler after an update"
step connector-drop
wait_for 5 logged connector-one "gateway changed"
wait_for 10 serves gw1 "$HOST"
wait_for 5 made_with "$CONNECTOR_PUB" "$NEW"
PUB[gw1]=$NEW

say "a connector whose first key is gone gets in with its second at once"
kill "${CONNECTOR[late2]}"
wait_for 10 gone "$STRAGGLER"
STARTED=$(now_ms)
background connector-both netwall-connector --key "$TMP/straggler.key" --service "web=127.0.0.1:$WEB" \
    --gateway "127.0.0.1:${TUNNEL[gw1]}#$OLD" --gateway "127.0.0.1:${TUNNEL[gw1]}#$NEW"
wait_for 5 logged connector-both "tunnel up"
say "up after $(($(now_ms) - STARTED)) ms"

say "a connector's key: both in the contract, the old connector finishes, then its key goes"
OLD_CONNECTOR=$CONNECTOR_PID
download second 30
conf_connector two "$TMP/second.key"
deploy gw1 9001 1 "$(backends "$CONNECTOR_PUB" "$SECOND")" >/dev/null
wait_for 10 online_is 7-9001-site 2
CONNECTOR_PID=$OLD_CONNECTOR
wait_gone "$TALK" 20 || fail "the WebSocket hangs"
step connector-stop
wait_for 5 online_is 7-9001-site 1
wait_for 20 whole second 30
wait_gone "$OLD_CONNECTOR" 20 || fail "the old connector stays"
wait "$TALK" || fail "the WebSocket broke: $(cat "$TMP/talk.log")"
deploy gw1 9001 2 "$(backends "$SECOND")" >/dev/null

say "a stolen one: its key goes at once, only what is long is cut, within 1 s"
conf_connector three "$TMP/third.key"
deploy gw1 9001 3 "$(backends "$SECOND" "$THIRD")" >/dev/null
wait_for 10 online_is 7-9001-site 2
for i in 1 2 3 4 5 6; do # shared by load: some of them are on each
    download "long$i" 600
done
LONG=$(pgrep -f -- "$TMP/long" | wc -l)
deploy gw1 9001 4 "$(backends "$THIRD")" >/dev/null
STARTED=$(now_ms)
wait_for 2 gone "$SECOND"
TOOK=$(($(now_ms) - STARTED))
[ "$TOOK" -le 1000 ] || fail "the old key lived $TOOK ms"
STAYED=$(pgrep -f -- "$TMP/long" | wc -l)
say "the session was gone $TOOK ms after the update was taken; $((LONG - STAYED)) of $LONG long answers were cut"
{ [ "$STAYED" -gt 0 ] && [ "$STAYED" -lt "$LONG" ]; } || fail "$STAYED of $LONG long answers go on"
wait_for 20 whole first 80

kill "$LOAD"
wait_gone "$LOAD" 20 || fail "the load hangs"
say "$(tail -n 1 "$TMP/load.log")"
grep -q ' failed=0 ' "$TMP/load.log" || fail "$(cat "$TMP/load.log")"
[ "$(tail -n 1 "$TMP/load.log" | sed 's/requests=\([0-9]*\).*/\1/')" -gt 300 ] || fail "too little load"
