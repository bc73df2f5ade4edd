#!/usr/bin/env bash
# The access log and the operator's error page on a real gateway: every request is one line, also when the file is rotated, the
# config read again, or the process replaced while requests come; nothing a stranger sends forges one.
. "$(dirname "$0")/lib.sh"

keys
gateway_config gw1
CONF=$TMP/gw1/gateway.conf
PAGE=$TMP/gw1/page.html
LOG=$TMP/gw1/state/gateway/access.log
page_write() { # page_write PLACEHOLDER
    printf '<h1>{{status}} {{reason}}</h1>\n<p>{{message}}</p>\n<small>%s</small>\n' "$1" >"$PAGE"
}
page_write '{{request_id}}'
cat >>"$CONF" <<EOF
[http]
access-log = access.log
access-log-rate = 0
error-template = $PAGE
EOF
gateway_start gw1
admit gw1
web_start site
head -c 20000000 /dev/zero >"$TMP/site/big"
read -r KEEP < <(ports 1)
background keep "$PYTHON" -c '
import http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), lambda *a: Handler(*a, directory=sys.argv[1])).serve_forever()
' "$TMP/site" "$KEEP"
connector_start c "web=127.0.0.1:$WEB" "keep=127.0.0.1:$KEEP"
deploy gw1 9401 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
deploy gw1 9402 0 "$(name_workload keep "tunnel:$CONNECTOR_PUB/keep")" >/dev/null
wait_for 15 serves gw1 site.gw1.localhost
wait_for 15 serves gw1 keep.gw1.localhost

count() { # count TEXT: lines of all log files that hold it
    cat "$LOG"* | grep -cF -- "$1" || true
}

logged() { # logged TEXT N
    [ "$(count "$1")" = "$2" ]
}

line() { # line TEXT: the one that holds it
    wait_for 5 logged "$1" 1
    cat "$LOG"* | grep -F -- "$1"
}

requests() { # requests MARK N: on one connection, as fast as they are answered
    curl -sS --max-time 60 -o /dev/null -H "Host: site.gw1.localhost" "http://127.0.0.1:${HTTP[gw1]}/index.html?$1=[1-$2]"
}

say "a request is a line with everything in it"
get gw1 site.gw1.localhost '/index.html?mark=one' -o /dev/null
NUMBER='[0-9]+\.[0-9]{3}'
WANT="^time=20[0-9-]+T[0-9:.]+Z visitor=127\.0\.0\.1 exposure=7-9401-site host=site\.gw1\.localhost method=GET"
WANT+=" path=\"/index\.html\?mark=one\" status=200 rx=[1-9][0-9]* tx=[1-9][0-9]* first_ms=$NUMBER total_ms=$NUMBER"
WANT+=" connector=${CONNECTOR_PUB:0:16} wait_ms=$NUMBER service_ms=$NUMBER id=[0-9a-zA-Z_-]+ refused=-\$"
[[ $(line mark=one) =~ $WANT ]] || fail "the line is: $(line mark=one)"

say "an error page is the operator's, and its id is in the log"
ANSWER=$(get gw1 other.gw1.localhost /lost)
[[ $ANSWER == "<h1>404 Not Found</h1>"* ]] || fail "the page is: $ANSWER"
ID=$(sed -n 's/.*<small>\(.*\)<\/small>.*/\1/p' <<<"$ANSWER")
[ -n "$ID" ] || fail "no request id in: $ANSWER"
[[ $(line "id=$ID") == *" status=404 rx="[1-9]*" tx="[1-9]*" refused=unknown_name" ]] || fail "the line is: $(line "id=$ID")"

say "what is refused on a connection is not told of the request before it, and what is cut has a line too"
exec 3<>"/dev/tcp/127.0.0.1/${HTTP[gw1]}"
printf 'GET /index.html?first HTTP/1.1\r\nHost: keep.gw1.localhost\r\n\r\n' >&3
printf 'GET /second HTTP/1.1\r\nHost: other.gw1.localhost\r\n\r\n' >&3
timeout 5 cat <&3 >"$TMP/two.out" || true
exec 3>&-
[[ $(line '?first') == *" exposure=7-9402-keep "*" status=200 "*" connector=${CONNECTOR_PUB:0:16} "* ]] || fail "$(line '?first')"
[[ $(line /second) == *" exposure=- host=other.gw1.localhost "*" status=404 "*" connector=- "* ]] || fail "$(line /second)"
get gw1 site.gw1.localhost '/big?cut' --limit-rate 1M --max-time 0.5 -o /dev/null 2>/dev/null && fail "20 MB in half a second"
[[ $(line '?cut') == *" exposure=7-9401-site "*" status=200 "*" refused=-" ]] || fail "$(line '?cut')"

say "what strangers send stays inside its value"
for target in '/%0aforged' '/"forged' '/\forged' $'/\x01forged' $'/\xff\xfeforged' '/forged status=200' $'/a\rforged'; do
    exec 3<>"/dev/tcp/127.0.0.1/${HTTP[gw1]}"
    printf 'GET %s HTTP/1.1\r\nHost: site.gw1.localhost\r\nConnection: close\r\n\r\n' "$target" >&3
    timeout 5 cat <&3 >/dev/null || true
    exec 3>&-
done
requests after 1
wait_for 5 logged '?after=1' 1
ODD=$(grep -avE '^time=[^ ]+ visitor=[^ ]+ .* refused=[a-z_-]+$' "$LOG" || true)
eq "$ODD" "" "lines that are no lines"
LC_ALL=C grep -aq $'[^ -~]' "$LOG" && fail "a byte that is not visible is in the log"

say "rotation while requests come: each has one line"
requests_until() { # requests_until FILE: 50 at a time until it is there; how many it were goes into it
    local batches=0
    until [ -e "$1" ]; do
        batches=$((batches + 1))
        requests "rotated-$batches" 50 || return
    done
    echo $((batches * 50)) >"$1"
}
requests_until "$TMP/rotated" &
LOAD=$!
PIDS+=("$LOAD")
GATEWAY=$(gateway_pid gw1)
for i in 1 2 3 4 5; do
    mv "$LOG" "$LOG.$i"
    kill -USR1 "$GATEWAY"
    wait_for 5 test -s "$LOG"
done
touch "$TMP/rotated"
wait "$LOAD" || fail "a request failed"
read -r MANY <"$TMP/rotated"
wait_for 5 logged '?rotated-' "$MANY"
eq "$(cat "$LOG"* | grep -o '?rotated-[0-9=-]*' | sort -u | wc -l)" "$MANY" "different requests"

say "SIGHUP: JSON from now on, and a wrong page is refused with its line"
sed -i 's/^access-log-rate.*/&\naccess-log-format = json/' "$CONF"
page_write '{{host}}'
said() {
    grep -qF "$PAGE:3: error-template: " "$TMP/agent-gw1.log"
}
kill -HUP "$GATEWAY"
wait_for 5 said
netwall-gateway --check-config --config "$CONF" 2>/dev/null && fail "--check-config takes a wrong page"
[[ $(get gw1 other.gw1.localhost /) == *"<small>"?*"</small>"* ]] || fail "the old page is gone"
page_write '-'
kill -HUP "$GATEWAY"
is_new() {
    [[ $(get gw1 other.gw1.localhost /) == *"<small>-</small>"* ]]
}
wait_for 5 is_new
requests json 1
eq "$(line '?json=1' | json '[d["status"], d["path"], d["connector"], d["refused"]]')" \
    "[200, \"/index.html?json=1\", \"${CONNECTOR_PUB:0:16}\", null]"

say "two processes write whole lines while one replaces the other"
requests upgraded 300 &
LOAD=$!
PIDS+=("$LOAD")
nw gw1 module restart gateway >/dev/null
requests later 50
wait "$LOAD" || fail "a request failed"
wait_for 5 logged '?upgraded=' 300
wait_for 5 logged '?later=' 50
"$PYTHON" - "$LOG" <<'PY' || fail "a line is no JSON"
import json, sys
lines = [l for l in open(sys.argv[1]) if l.startswith("{")]
assert len(lines) >= 351 and all(len(json.loads(l)) >= 16 for l in lines)
PY
