#!/usr/bin/env bash
# A broken new program at the gateway's path: whatever is wrong with it, the old process serves on, says why, and visitors
# notice nothing. Then the right program comes back and takes over.
. "$(dirname "$0")/lib.sh"

keys
gateway_config gw1
mkdir "$TMP/bin"
cp "$BIN/netwall-gateway" "$TMP/bin/netwall-gateway"
cp "$BIN/netwall-gateway" "$TMP/bin/good"
sed -i "s|^exec = .*|exec = $TMP/bin/netwall-gateway|" "$TMP/gw1/agent.conf"
printf '[limits]\nupgrade-ready-timeout = 2s\n' >>"$TMP/gw1/gateway.conf"
gateway_start gw1
admit gw1
read -r SERVICE < <(ports 1)
background service "$PYTHON" "$E2E_DIR/peers/visitors.py" serve "$SERVICE"
connector_start c "web=127.0.0.1:$SERVICE"
PORT=${TCP_FROM[gw1]}
deploy gw1 9201 0 "$(name_workload page "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw1 9202 0 "$(tcp_workload echo "$PORT" "tunnel:$CONNECTOR_PUB/web")" >/dev/null
wait_for 15 serves gw1 page.gw1.localhost
OLD=$(gateway_pid gw1)
"$PYTHON" "$E2E_DIR/peers/visitors.py" visit "${HTTP[gw1]}" page.gw1.localhost "$PORT" 100 20 \
    >"$TMP/visitors.json" 2>"$TMP/visitors.log" &
LOAD=$!
PIDS+=("$LOAD")

install_program() { # from stdin or FILE, as a package would: a new file takes the name
    cat "${1:--}" >"$TMP/bin/new"
    chmod 755 "$TMP/bin/new"
    mv "$TMP/bin/new" "$TMP/bin/netwall-gateway"
}

refused() { # refused WHAT REASON: a restart is refused with REASON, and nothing else happens
    local status=0
    nw gw1 module restart gateway >"$TMP/out" 2>&1 || status=$?
    eq "$status" 3 "$1: exit status of netwall module restart"
    grep -q -- "$2" "$TMP/out" || fail "$1: the reason is: $(cat "$TMP/out")"
    eq "$(gateway_pid gw1)" "$OLD" "$1: pid"
    eq "$(status gw1 page.gw1.localhost)" 200 "$1: page"
    say "$1: $(cat "$TMP/out")"
}

install_program <<<$'#!/bin/sh\nexit 3'
refused "a program that exits at once" 'exit status 3'
install_program <<<$'#!/bin/sh\nexec sleep 600'
refused "a program that hangs" 'did not begin in time'
install_program <<<$'\x7fELF but not really'
refused "a file that is no program" 'Exec format error'
chmod 644 "$TMP/bin/netwall-gateway"
refused "a file that may not be run" 'Permission denied'
rm "$TMP/bin/netwall-gateway"
refused "no file" 'No such file'
install_program <<<"#!/bin/sh
unset NETWALL_HEIR
exec $TMP/bin/good \"\$@\""
refused "a version that knows nothing of upgrades" 'exit status 1'

install_program "$TMP/bin/good"
cp "$TMP/gw1/gateway.conf" "$TMP/gw1/gateway.conf.good"
echo 'no-such-key = 1' >>"$TMP/gw1/gateway.conf"
refused "a configuration that is wrong" 'exit status 2'
cp "$TMP/gw1/gateway.conf.good" "$TMP/gw1/gateway.conf"
read -r TAKEN < <(ports 1)
background taken "$PYTHON" -m http.server --bind 127.0.0.1 "$TAKEN"
wait_for 10 curl -sf "http://127.0.0.1:$TAKEN/"
sed -i "s|^http = .*|&, 127.0.0.1:$TAKEN|" "$TMP/gw1/gateway.conf"
refused "a port that somebody else has" 'cannot listen'
cp "$TMP/gw1/gateway.conf.good" "$TMP/gw1/gateway.conf"

say "the reason stands in netwall modules, too"
[ -n "$(nw gw1 --json modules | json 'd[0]["replace_failed"]')" ] || fail "no reason in modules"

say "the right program takes over"
nw gw1 module restart gateway
[ "$(gateway_pid gw1)" != "$OLD" ] || fail "not replaced"
kill -TERM "$LOAD"
wait "$LOAD" || fail "the visitors ended badly"
say "$(cut -c1-600 "$TMP/visitors.json")"
eq "$(json 'd["failed"]' <"$TMP/visitors.json")" 0 "visitors that failed"
eq "$(json 'd["long_alive"]' <"$TMP/visitors.json")" 20 "long connections that lived on"
wait_gone "$OLD" 10 || fail "the old process stays"
eq "$(nw gw1 --json modules | json 'd[0]["restarts"]')" 0 "no crash was counted"
