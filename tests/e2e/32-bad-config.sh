#!/usr/bin/env bash
# Bad configs and key files: exit 2 with file:line and the reason; nothing starts.
. "$(dirname "$0")/lib.sh"

keys
gateway_config gw1

# rejects PROGRAM FILE LINE TEXT: --check-config says FILE:LINE and TEXT, exit status 2.
rejects() {
    local status=0
    "$1" --config "$2" --check-config >"$TMP/out" 2>&1 || status=$?
    eq "$status" 2 "exit status of $1 ($(cat "$TMP/out"))"
    grep -q "$2:$3:.*$4" "$TMP/out" || fail "wanted $2:$3: $4, got: $(cat "$TMP/out")"
}
netwall-agent --config "$TMP/gw1/agent.conf" --check-config
netwall-gateway --config "$TMP/gw1/gateway.conf" --check-config

sed '2s/name/nmae/' "$TMP/gw1/agent.conf" >"$TMP/a.conf"
rejects netwall-agent "$TMP/a.conf" 2 nmae
sed '1s/gateway/getaway/' "$TMP/gw1/gateway.conf" >"$TMP/g.conf"
rejects netwall-gateway "$TMP/g.conf" 1 getaway
{ cat "$TMP/gw1/gateway.conf"; printf '[limits]\nidle-timeout = soon\n'; } >"$TMP/g.conf"
rejects netwall-gateway "$TMP/g.conf" "$(wc -l <"$TMP/g.conf")" idle-timeout
printf '[connector]\nkey = %s\n[gateway a]\naddress = 127.0.0.1:1\npublic-key = zz\n[service web]\ntarget = 127.0.0.1:1\n' \
    "$TMP/connector.key" >"$TMP/c.conf"
rejects netwall-connector "$TMP/c.conf" 5 public-key

say "key files: wrong kind, readable by others, missing"
status=0
netwall-connector --key "$TMP/twin.key" --gateway "127.0.0.1:1#$CONNECTOR_PUB" --service web=127.0.0.1:1 >"$TMP/out" 2>&1 || status=$?
eq "$status" 2 "$(cat "$TMP/out")"
grep -q ed25519 "$TMP/out" || fail "$(cat "$TMP/out")"
cp "$TMP/connector.key" "$TMP/open.key"
chmod 644 "$TMP/open.key"
status=0
netwall-connector --key "$TMP/open.key" --gateway "127.0.0.1:1#$CONNECTOR_PUB" --service web=127.0.0.1:1 >"$TMP/out" 2>&1 || status=$?
eq "$status" 2 "$(cat "$TMP/out")"
status=0
netwall-connector --key "$TMP/none.key" --gateway "127.0.0.1:1#$CONNECTOR_PUB" --service web=127.0.0.1:1 >"$TMP/out" 2>&1 || status=$?
eq "$status" 2 "$(cat "$TMP/out")"
grep -q 'netwall keygen' "$TMP/out" || fail "the keygen command is not named: $(cat "$TMP/out")"

say "with --json what the command line or a file lacks is an error object, one document"
for args in "deploy $TMP/none.json" "deploy" "get --twin x --contract 1" "--bus nonsense node" "pubkey $TMP/none.key"; do
    status=0
    # words on purpose
    # shellcheck disable=SC2086
    netwall --json $args >"$TMP/out.json" 2>/dev/null || status=$?
    eq "$status" 2 "exit status of $args"
    [ -n "$(json 'd["message"]' <"$TMP/out.json")" ] || fail "no message for $args"
done
