#!/usr/bin/env bash
# How files begin: licence line, then (product code) what the file is and is not, in the header where there is one; headers have
# guards spelled as their path.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

SPDX='/* SPDX-License-Identifier: Apache-2.0 */'

while read -r file; do
    [ "$(head -n 1 "$file")" = "$SPDX" ] || fault "$file:1: must be: $SPDX"
    [[ $file != *.h ]] || {
        guard=$(tr 'a-z/.-' 'A-Z___' <<<"$file")
        grep -qx "#ifndef $guard" "$file" && grep -qx "#define $guard" "$file" || fault "$file: the guard must be $guard"
    }
done < <(all_sources)

while read -r file; do
    [[ $file == *.h || ! -e ${file%.c}.h ]] || continue
    [[ $(sed -n 2p "$file") == '/*'* ]] || fault "$file:2: must say in a comment what this file is and is not"
done < <(product_sources)
finish
