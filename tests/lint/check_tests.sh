#!/usr/bin/env bash
# Every .c of the product has its test: tests/<lib>/test_<lib>_<file>.c. The exceptions stand here with their reasons.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

exception() {
    case $1 in
        # only starts and stops what the others are; the end-to-end tests run it
        */main.c) return 0 ;;
    esac
    return 1
}

# modules/net/dial.c -> tests/net/test_net_dial.c; node-agent/ctl/x.c -> tests/node-agent/test_ctl_x.c
test_of() {
    local folder file lib
    folder=$(dirname "$1")
    file=$(basename "$1" .c)
    case $folder in
        node-agent) echo "tests/node-agent/test_agent_$file.c" ;;
        node-agent/ctl) echo "tests/node-agent/test_ctl_$file.c" ;;
        *) lib=${folder##*/} && echo "tests/$lib/test_${lib}_$file.c" ;;
    esac
}

while read -r file; do
    exception "$file" || [ -e "$(test_of "$file")" ] || fault "$file:1: has no test $(test_of "$file")"
done < <(product_sources | grep '\.c$' || true)

# A test that ctest does not run is none.
while read -r file; do
    name=$(basename "$file" .c)
    lists=$(dirname "$file")/CMakeLists.txt
    noun=${name#test_*_}
    grep -qsE "\b($name|$noun)\b" "$lists" || fault "$file:1: is not in $lists"
done < <(files tests -- -name 'test_*.c')
finish
