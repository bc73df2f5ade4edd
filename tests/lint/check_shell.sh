#!/usr/bin/env bash
# Every shell script passes shellcheck (warnings and errors) and can be run.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

SCRIPTS=()
while read -r file; do
    case $(head -c 64 "$file" | head -n 1 | tr -d '\0') in
        '#!'*sh | '#!'*'sh '*) [ -x "$file" ] || fault "$file:1: is not executable" ;;
        *) [[ $file == *.sh ]] || continue ;; # no script, unless it is made to be sourced
    esac
    SCRIPTS+=("$file")
done < <(files . -- ! -name '*.[ch]')
printf '%s\0' "${SCRIPTS[@]}" |
    xargs -0 -r -P "$(nproc)" -n 4 shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR ||
    fault "shellcheck: see above"
finish
