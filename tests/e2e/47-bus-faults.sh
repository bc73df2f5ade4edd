#!/usr/bin/env bash
# A bus that fails in every way a server can, short of losing what it holds: visitors are served throughout, nobody spins, and what
# was deployed meanwhile is served within 2 s of its end.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/bus_lib.sh"

EXPOSURES=100
keys
bus_start gw1 through-faults
gateway_start gw1
admit gw1
web_start site
deploy gw1 4700 0 "$(name_workload site "tunnel:$CONNECTOR_PUB/web")" >/dev/null
connector_start c "web=127.0.0.1:$WEB"
wait_for 15 serves gw1 site.gw1.localhost
visitors_start gw1 site.gw1.localhost
phase_healthy

LOADING='LOADING Redis is loading the dataset in memory'
OOM="OOM command not allowed when used memory > 'maxmemory'."
READONLY="READONLY You can't write against a read only replica."
FRIENDS="BUSY Redis is busy running a script.|MISCONF Redis is configured to save RDB snapshots|CLUSTERDOWN The cluster is down"
FRIENDS+="|NOAUTH Authentication required.|MASTERDOWN Link with MASTER is down|TRYAGAIN Multiple keys|NOREPLICAS Not enough good"
FRIENDS+="|WRONGTYPE Operation against a key|NOGROUP No such key|UNBLOCKED force unblock from blocking|ERR unknown|EXECABORT x"
FRIENDS+="|NOPERM this user has no permissions|$LOADING|$OOM|$READONLY"

fault_phase 1 down
fault_phase 1 close
fault_phase 1 silent
fault_phase 5.5 mute
fault_phase 1 error all "$LOADING"
fault_phase 1 error write "$READONLY"
fault_phase 1 error write "$OOM"
fault_phase 1 error all 'NOPERM this user has no permissions to run this command'
fault_phase 1.5 error all "$FRIENDS"
fault_phase 2 cut
fault_phase 1.5 hostile

visitors_stop
all_served gw1
