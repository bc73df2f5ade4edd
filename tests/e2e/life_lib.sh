# shellcheck shell=bash
# Shared by the tests of nodes that die (peers/node_life.py): what is asked of them.

# contracts COUNT NODE...: contracts.json, for all nodes, each fifth contract in two versions; and grant.json for their twin.
contracts() {
    netwall grant --authority "$TMP/authority.key" --twin "$TWIN" --public-key "$TWIN_PUB" --exposures 1000 >"$TMP/grant.json"
    mkdir "$TMP/contracts"
    "$PYTHON" - "$TMP/contracts" "$@" <<'PY'
import json, sys
folder, count, *nodes = sys.argv[1:]
for number in range(1, int(count) + 1):
    for version in range(1 + (number % 5 == 0)):
        data = {"name": "n%d" % number, "backends": ["http://127.0.0.2:%d" % (9 + version)]}
        workload = {"version": version, "name": "w", "type": "gateway-name-proxy", "metadata": "", "description": "", "data": data}
        with open("%s/%03d-%d" % (folder, number, version), "w") as file:
            json.dump({"version": version, "twin_id": 7, "contract_id": number, "nodes": nodes, "metadata": "",
                       "description": "", "expiration": 0, "workloads": [workload]}, file)
PY
    for f in "$TMP/contracts"/*; do
        netwall sign --key "$TMP/twin.key" "$f" >"$f.signed" 2>/dev/null
    done
    "$PYTHON" - "$TMP" <<'PY'
import glob, json, sys
found = []
for path in sorted(glob.glob(sys.argv[1] + "/contracts/*.signed")):
    with open(path) as file:
        text = file.read().strip()
    contract = json.loads(text)
    found.append([contract["contract_id"], contract["version"], text])
with open(sys.argv[1] + "/contracts.json", "w") as file:
    json.dump(found, file)
PY
}
