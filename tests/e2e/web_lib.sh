# shellcheck shell=bash disable=SC2034
# For the scripts about HTTP at the edge, after lib.sh: one gateway, exposures whose services are in the Python program that makes
# the claims (peers/web_*.py), each reached through a tunnel or dialled by the gateway itself.

declare -A SERVICE # name -> port of its service
DEPLOYMENT=9000

# web_gateway [LINE...]: keys and a gateway gw1 that a twin is admitted to; LINEs are added to gateway.conf.
web_gateway() {
    keys
    gateway_config gw1
    printf '%s\n' "$@" >>"$TMP/gw1/gateway.conf"
    gateway_start gw1
    EXPOSURES=30 admit gw1
}

# services NAME...: a free port for each.
services() {
    local name free
    read -r -a free < <(ports $#)
    for name in "$@"; do
        SERVICE[$name]=${free[0]}
        free=("${free[@]:1}")
    done
}

# tunnelled NAME [SERVICE] [EXTRA-JSON-MEMBERS]: NAME.gw1.localhost through the connectors.
tunnelled() {
    DEPLOYMENT=$((DEPLOYMENT + 1))
    deploy gw1 "$DEPLOYMENT" 0 "$(name_workload "$1" "tunnel:$CONNECTOR_PUB/${2:-$1}" "${3:-}")" >/dev/null
}

# direct NAME [SERVICE] [EXTRA-JSON-MEMBERS]: NAME.gw1.localhost dialled by the gateway.
direct() {
    DEPLOYMENT=$((DEPLOYMENT + 1))
    deploy gw1 "$DEPLOYMENT" 0 "$(name_workload "$1" "http://127.0.0.9:${SERVICE[${2:-$1}]}" "${3:-}")" >/dev/null
}

# connect NAME SERVICE...: a connector NAME with those services; one@spare is served by the port of spare.
connect() {
    local name=$1 service args=()
    shift
    for service in "$@"; do
        args+=("${service%@*}=127.0.0.9:${SERVICE[${service#*@}]}")
    done
    connector_start "$name" "${args[@]}"
}

connectors_are() { # connectors_are N
    [ "$(bus gw1 HGET netwall:tunnels "$CONNECTOR_PUB" | json 'len(d)')" = "$1" ]
}

# claims FILE [CLAIM...]: run peers/FILE.py, which knows the ports and pids by the environment.
claims() {
    local name vars=() file=$1
    shift
    for name in "${!SERVICE[@]}"; do
        vars+=("PORT_${name^^}=${SERVICE[$name]}")
    done
    for name in "${!CONNECTOR[@]}"; do
        vars+=("PID_${name^^}=${CONNECTOR[$name]}")
    done
    env "${vars[@]}" TMP="$TMP" WEB_HTTP="${HTTP[gw1]}" WEB_GATEWAY="$(gateway_pid gw1)" WEB_BUS="${BUS[gw1]}" \
        "$PYTHON" "$E2E_DIR/peers/$file.py" "$@" || fail "a claim of $file does not hold"
}
