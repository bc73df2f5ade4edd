#!/usr/bin/env bash
# The layers of the project, as a test. The two tables in the middle are the architecture: who may include whose headers, and
# which outside headers stop where. Include lines spell the path from the root; an .c file includes its own header first.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

declare -A MAY=() ONLY=()

# may FOLDER OTHER...: files in FOLDER include its own headers and those of OTHER, no others of the project.
may() {
    MAY[$1]=$*
}

# only HEADER-PATTERN FOLDER...: an outside header and the folders that may include it.
only() {
    local header=$1
    shift
    ONLY[$header]=$*
}

may bus/base
may bus bus/base
may schemas bus/base
may modules/tunnel bus/base
may modules/http bus/base
may modules/net bus/base
may modules/link modules/tunnel modules/net bus/base
may modules/gateway modules/link modules/tunnel modules/http modules/net bus schemas bus/base
may modules/connector modules/link modules/tunnel modules/http modules/net bus/base
may node-agent bus schemas bus/base
may node-agent/ctl bus schemas bus/base

only 'hiredis/*' bus
only 'msgpack*' bus
only 'jansson.h' schemas modules/gateway node-agent node-agent/ctl
only 'sodium.h' schemas modules/tunnel modules/gateway modules/connector node-agent node-agent/ctl
only 'openssl/*' schemas modules/tunnel
only 'intel-ipsec-mb.h' modules/tunnel
only 'sqlite3.h' node-agent
only 'ev.h' bus modules/net modules/link modules/gateway modules/connector node-agent node-agent/ctl
only 'ares.h' modules/net
only 'seccomp.h' modules/connector
only 'libpsl.h' node-agent schemas
only 'emmintrin.h' modules/http

# Everything else in <> must be C or POSIX/Linux, as libc ships it.
LIBC='@(assert|ctype|dirent|dlfcn|endian|errno|fcntl|ftw|getopt|glob|grp|inttypes|libgen|limits|math|netdb|poll|pthread|pwd|sched|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string|strings|syslog|termios|time|unistd).h'
SYSTEM='@(arpa|linux|net|netinet|sys)/*.h'

# Pure libraries: no I/O, no clock, no log; neither by header nor by a libc function of a header that has other uses too.
PURE='modules/tunnel modules/http schemas'
IMPURE='@(<@(ev|fcntl|poll|signal|netdb|pthread).h>|<sys/@(socket|stat|epoll|eventfd|random|un).h>|"bus/base/@(clock|log|daemon|file|keyfile|backoff).h")'
IMPURE_CALL='(^|[^a-zA-Z0-9_>.])(f?open|f?read|f?write|close|send|recv|socket|poll|select|f?printf|puts|time|clock|clock_gettime|gettimeofday|sleep|usleep|getenv|fork|system)\('
shopt -s extglob

# LAYER: the folder whose row of the table counts for a path, the longest that fits; fails when there is none.
layer_of() {
    LAYER=$1
    while [[ $LAYER == */* ]]; do
        LAYER=${LAYER%/*}
        [ -z "${MAY[$LAYER]:-}" ] || return 0
    done
    return 1
}

contains() { # contains WORD LIST...
    local word=$1
    shift
    case " $* " in *" $word "*) return 0 ;; esac
    return 1
}

own_header() { # own_header FILE LINE LAYER PATH
    if [ ! -e "$4" ]; then
        fault "$1:$2: \"$4\" is no path from the root"
    elif ! layer_of "$4"; then
        fault "$1:$2: $3 includes $4, which is in no layer"
    elif ! contains "$LAYER" "${MAY[$3]}"; then
        fault "$1:$2: $3 may not include $4 of $LAYER"
    fi
}

outside_header() { # outside_header FILE LINE LAYER HEADER
    local pattern
    for pattern in "${!ONLY[@]}"; do
        # the pattern is meant as one
        # shellcheck disable=SC2053
        [[ $4 == $pattern ]] || continue
        contains "$3" "${ONLY[$pattern]}" || fault "$1:$2: $3 may not include <$4>"
        return
    done
    # shellcheck disable=SC2053
    [[ $4 == $LIBC || $4 == $SYSTEM ]] || fault "$1:$2: <$4> is in no table of $(basename "$0")"
}

check_file() {
    local file=$1 layer number text first=yes header=${1%.c}.h
    if ! layer_of "$file"; then
        fault "$file:1: its folder is in no layer; add it to the table of $(basename "$0")"
        return
    fi
    layer=$LAYER
    while IFS=: read -r number text; do
        text=${text#"#include "}
        if [[ $file == *.c && $first == yes && -e $header && $text != "\"$header\""* ]]; then
            fault "$file:$number: includes its own header $header first"
        fi
        first=no
        # shellcheck disable=SC2053
        if contains "$layer" "$PURE" && [[ $text == $IMPURE* ]]; then
            fault "$file:$number: $layer is pure: no I/O, clock or log ($text)"
        fi
        case $text in
            \"*) text=${text#\"} && own_header "$file" "$number" "$layer" "${text%%\"*}" ;;
            '<'*) text=${text#<} && outside_header "$file" "$number" "$layer" "${text%%>*}" ;;
            *) fault "$file:$number: an include names a header plainly" ;;
        esac
    done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' "$file" | sed -E 's/:[[:space:]]*#[[:space:]]*include[[:space:]]*/:#include /')
}

# A static function or a parameter of the file's own may have such a name.
check_calls() {
    local number text name
    layer_of "$1" && contains "$LAYER" "$PURE" || return 0
    while IFS=: read -r number text; do
        [[ $text =~ $IMPURE_CALL ]] && name=${BASH_REMATCH[2]}
        ! grep -qE "^static .*[ *]$name\(|\(\*$name\)\(" "$1" || continue
        fault "$1:$number: is pure: no I/O, clock or log (${text#"${text%%[! ]*}"})"
    done < <(grep -nE "$IMPURE_CALL" "$1" | grep -vE '^[0-9]+:[[:space:]]*(/?\*|//)' || true)
}

while read -r source; do
    check_file "$source"
    check_calls "$source"
done < <(product_sources)

# Tests reach everything, but they too spell paths from the root.
while IFS=: read -r file number text; do
    header=${text#*\"}
    [ -e "${header%%\"*}" ] || fault "$file:$number: \"${header%%\"*}\" is no path from the root"
done < <(files tests -- -name '*.[ch]' | xargs -r grep -nHE '^#include "' || true)
finish
