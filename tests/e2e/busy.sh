# shellcheck shell=bash disable=SC2034,SC2154
# For tests that break the tunnel under way: a 200 MB download, an upload and a WebSocket that run meanwhile and must not notice.

BUSY_BYTES=209715200
BUSY_RATE=40M # so that they last for five seconds

# busy_services: a file, services for it (in NETNS, if set), and contracts; sets HASHER, WS and SUM.
busy_services() {
    head -c "$BUSY_BYTES" /dev/urandom >"$TMP/big"
    SUM=$(sha256sum <"$TMP/big" | cut -d' ' -f1)
    read -r HASHER WS < <(ports 2)
    background hasher ${NETNS:+ip netns exec "$NETNS"} "$PYTHON" "$E2E_DIR/peers/hasher.py" "$HASHER" "$TMP/big"
    background ws ${NETNS:+ip netns exec "$NETNS"} "$PYTHON" "$E2E_DIR/peers/websocket.py" serve "$WS"
    deploy gw1 2601 0 "$(name_workload files "tunnel:$CONNECTOR_PUB/web")" >/dev/null
    deploy gw1 2602 0 "$(name_workload chat "tunnel:$CONNECTOR_PUB/ws")" >/dev/null
}

# busy_ready: the connector serves, with two links.
busy_ready() {
    wait_for 15 serves gw1 files.gw1.localhost
    wait_for 15 "$PYTHON" "$E2E_DIR/peers/websocket.py" talk "${HTTP[gw1]}" chat.gw1.localhost 1 10
    wait_for 10 links_up 2
}

# links_up N: the connector's session has N live links, as the gateway sees it.
links_up() {
    [ "$(bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json 'd[0]["links"] if isinstance(d[0]["links"], int) else len(d[0]["links"])')" = "$1" ]
}

busy_start() {
    get gw1 files.gw1.localhost /big --max-time 60 --limit-rate "$BUSY_RATE" >"$TMP/download" 2>"$TMP/download.err" &
    BUSY_DOWN=$!
    get gw1 files.gw1.localhost /upload --max-time 60 --limit-rate "$BUSY_RATE" -T "$TMP/big" -H 'Expect:' \
        >"$TMP/upload" 2>"$TMP/upload.err" &
    BUSY_UP=$!
    "$PYTHON" "$E2E_DIR/peers/websocket.py" talk "${HTTP[gw1]}" chat.gw1.localhost 300 2000 0.02 2>"$TMP/talk.err" &
    BUSY_TALK=$!
    PIDS+=("$BUSY_DOWN" "$BUSY_UP" "$BUSY_TALK")
}

# busy_check: all three end well, and every byte is the right one.
busy_check() {
    wait "$BUSY_DOWN" || fail "the download broke: $(cat "$TMP/download.err")"
    wait "$BUSY_UP" || fail "the upload broke: $(cat "$TMP/upload.err")"
    wait "$BUSY_TALK" || fail "the WebSocket broke: $(tail -n 1 "$TMP/talk.err")"
    eq "$(sha256sum <"$TMP/download" | cut -d' ' -f1)" "$SUM" "download"
    eq "$(cat "$TMP/upload")" "$SUM" "upload"
}
