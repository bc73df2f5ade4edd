#!/usr/bin/env bash
# What one exposure costs does not depend on how many there are: CPU of deploying 500 and 2 000 through the bus; every route is
# visited, also after a cold start. The 10 000 of tests/bench/scale/scale.py are a command of their own.
set -euo pipefail
[ -z "${NW_SANITIZED:-}" ] || exit 77 # it measures, and the small tests have been there
exec /usr/bin/python3 "$(dirname "$0")/../bench/scale/scale.py" --small --binaries "${NW_BINARY_DIR:-$(dirname "$0")/../../build}/bin"
