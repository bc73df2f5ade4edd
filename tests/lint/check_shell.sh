#!/usr/bin/env bash
# Every shell script passes shellcheck (warnings and errors) and can be run.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

while read -r file; do
    case $(head -c 64 "$file" | head -n 1 | tr -d '\0') in
        '#!'*sh | '#!'*'sh '*) [ -x "$file" ] || fault "$file:1: is not executable" ;;
        *) [[ $file == *.sh ]] || continue ;; # no script, unless it is made to be sourced
    esac
    shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR "$file" || fault "$file: see above"
done < <(files . -- ! -name '*.[ch]')
finish
