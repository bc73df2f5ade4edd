#!/usr/bin/env bash
# The lint scripts look at a small tree of their own: clean, it passes; with one fault put in, the right script finds it. A lint
# that finds nothing is worth nothing.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TREE=$(mktemp -d)
trap 'rm -rf "$TREE"' EXIT
DONE=0
SPDX='/* SPDX-License-Identifier: Apache-2.0 */'

# source FILE TEXT: with the head every file has.
source_file() {
    mkdir -p "$TREE/$(dirname "$1")"
    printf '%s\n/* For the test of the lint. */\n%s\n' "$SPDX" "$2" >"$TREE/$1"
}

header_file() {
    local guard
    guard=$(tr 'a-z/.-' 'A-Z___' <<<"$1")
    source_file "$1" "#ifndef $guard
#define $guard

${2:-}
#endif"
}

clean_tree() {
    rm -rf "$TREE"
    mkdir -p "$TREE"
    cp "$HERE/../../.clang-format" "$TREE/"
    header_file bus/base/low.h 'int low(void);
'
    source_file bus/base/low.c '#include "bus/base/low.h"

#include <stdio.h>

int low(void)
{
    return 1;
}'
    header_file bus/high.h 'int high(void);
'
    source_file bus/high.c '#include "bus/high.h"

#include <hiredis/hiredis.h>

#include "bus/base/low.h"

int high(void)
{
    return low();
}'
    header_file modules/tunnel/pure.h 'int pure(void);
'
    source_file modules/tunnel/pure.c '#include "modules/tunnel/pure.h"

int pure(void)
{
    return 1;
}'
    source_file modules/gateway/main.c '#include "bus/high.h"
#include "modules/tunnel/pure.h"

int main(void)
{
    return high() + pure();
}'
    local lib
    for lib in base/test_base_low bus/test_bus_high tunnel/test_tunnel_pure; do
        source_file "tests/$lib.c" 'int main(void)
{
    return 0;
}'
        echo "nw_test($(basename "$lib"))" >"$TREE/tests/${lib%%/*}/CMakeLists.txt"
    done
    printf '#!/bin/sh\necho hello\n' >"$TREE/run"
    chmod +x "$TREE/run"
}

# finds SCRIPT WORDS: the script fails and says so, and all others (but format) still pass.
finds() {
    local output
    DONE=$((DONE + 1))
    if output=$("$HERE/$1" "$TREE" 2>&1); then
        echo "selftest: $1 did not find: $2" && exit 1
    fi
    grep -qF -- "$2" <<<"$output" || { printf 'selftest: %s said something else than "%s":\n%s\n' "$1" "$2" "$output" && exit 1; }
    clean_tree
}

passes() {
    local output
    DONE=$((DONE + 1))
    output=$("$HERE/$1" "$TREE" 2>&1) || { printf 'selftest: %s found a fault where none is:\n%s\n' "$1" "$output" && exit 1; }
}

lines() { # lines N TEXT
    local i
    for ((i = 0; i < $1; i++)); do printf '%s\n' "$2"; done
}

long_function() { # long_function NAME LINES
    printf 'int %s(int x)\n{\n' "$1"
    lines $(($2 - 4)) '    x++;'
    printf '    return x;\n}\n'
}

clean_tree
for script in "$HERE"/check_*.sh; do
    passes "$(basename "$script")"
done

# layers
source_file bus/base/low.c '#include "bus/base/low.h"
#include "bus/high.h"'
finds check_includes.sh 'bus/base/low.c:4: bus/base may not include bus/high.h of bus'
source_file modules/tunnel/pure.c '#include "modules/tunnel/pure.h"
#include <ev.h>'
finds check_includes.sh 'modules/tunnel may not include <ev.h>'
source_file modules/tunnel/pure.c '#include "modules/tunnel/pure.h"
#  include   "bus/high.h"'
finds check_includes.sh 'modules/tunnel may not include bus/high.h of bus'
source_file bus/high.c '#include "bus/high.h"
#include "modules/tunnel/pure.h"'
finds check_includes.sh 'bus may not include modules/tunnel/pure.h of modules/tunnel'
source_file modules/gateway/extra.c '#include <hiredis/hiredis.h>'
finds check_includes.sh 'modules/gateway may not include <hiredis/hiredis.h>'
source_file modules/gateway/extra.c '#include <curl/curl.h>'
finds check_includes.sh '<curl/curl.h> is in no table'
source_file bus/base/low.c '#include "bus/base/low.h"
#include <sodium.h>'
finds check_includes.sh 'bus/base may not include <sodium.h>'
source_file bus/base/low.c '#include "low.h"'
finds check_includes.sh '"low.h" is no path from the root'
source_file bus/high.c '#include "bus/base/low.h"
#include "bus/high.h"'
finds check_includes.sh 'includes its own header bus/high.h first'
source_file modules/new/x.c '#include <stdio.h>'
finds check_includes.sh 'its folder is in no layer'
source_file bus/high.c '#define H <stdio.h>
#include H'
finds check_includes.sh 'an include names a header plainly'
source_file modules/tunnel/pure.c '#include "modules/tunnel/pure.h"
#include <time.h>

long pure_now(void)
{
    return time(NULL);
}'
finds check_includes.sh 'is pure: no I/O, clock or log (return time(NULL);)'
header_file bus/base/log.h
source_file modules/tunnel/pure.c '#include "modules/tunnel/pure.h"
#include "bus/base/log.h"'
finds check_includes.sh 'modules/tunnel is pure'
source_file tests/base/test_base_low.c '#include "../../bus/base/low.h"'
finds check_includes.sh 'is no path from the root'

# looks
source_file bus/base/low.c '#include "bus/base/low.h"
int low(void) { return 1; }'
finds check_format.sh 'bus/base/low.c:4: is not formatted'
rm "$TREE/.clang-format"
finds check_format.sh '.clang-format is missing'

# sizes
source_file bus/base/low.c "$(long_function low 101)"
finds check_sizes.sh 'low is 101 lines long'
source_file bus/base/low.c "$(for i in 1 2 3 4 5; do long_function "few$i" 3; done && long_function low 100)"
passes check_sizes.sh
printf '%s\n/* Over 100 lines: low() is a table. */\n%s\n' "$SPDX" \
    "$(for i in 1 2 3 4 5; do long_function "few$i" 3; done && long_function low 101)" >"$TREE/bus/base/low.c"
passes check_sizes.sh
source_file bus/base/low.c "$(lines 599 '/* x */')"
finds check_sizes.sh 'has 601 lines'
source_file bus/base/low.c "$(lines 598 '/* x */')"
passes check_sizes.sh
printf '%s\n/* Over 600 lines: one table. */\n%s\n' "$SPDX" "$(lines 700 '/* x */')" >"$TREE/bus/base/low.c"
passes check_sizes.sh
source_file bus/base/low.c "$(long_function a 16; long_function b 16; long_function c 16; long_function d 16)"
finds check_sizes.sh 'the median function has 16 lines'
source_file bus/base/low.c "$(long_function low 50)"
finds check_sizes.sh 'one function in ten has more than 50 lines'
source_file bus/base/low.c "/* $(lines 1 "$(printf '%98s' x)") */"
finds check_sizes.sh 'columns wide'

# heads
echo 'int x;' >"$TREE/bus/base/low.c"
finds check_heads.sh 'bus/base/low.c:1: must be: /* SPDX'
printf '%s\n#ifndef BUS_BASE_LOW_H\n#define BUS_BASE_LOW_H\n#endif\n' "$SPDX" >"$TREE/bus/base/low.h"
finds check_heads.sh 'bus/base/low.h:2: must say'
printf '%s\nint x;\n' "$SPDX" >"$TREE/modules/gateway/main.c"
finds check_heads.sh 'modules/gateway/main.c:2: must say'
sed -i 's/BUS_BASE_LOW_H/LOW_H/' "$TREE/bus/base/low.h"
finds check_heads.sh 'the guard must be BUS_BASE_LOW_H'

# tests
rm "$TREE/tests/bus/test_bus_high.c"
finds check_tests.sh 'bus/high.c:1: has no test tests/bus/test_bus_high.c'
source_file node-agent/ctl/keygen.c ''
finds check_tests.sh 'has no test tests/node-agent/test_ctl_keygen.c'
echo >"$TREE/tests/bus/CMakeLists.txt"
finds check_tests.sh 'tests/bus/test_bus_high.c:1: is not in tests/bus/CMakeLists.txt'

# scripts
# the faulty script must not be expanded here
# shellcheck disable=SC2016
printf '#!/bin/bash\ncd $1 && foo=bar\n' >"$TREE/run"
finds check_shell.sh 'foo appears unused'
chmod -x "$TREE/run"
finds check_shell.sh 'run:1: is not executable'

echo "selftest: $DONE checks"
