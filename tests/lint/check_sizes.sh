#!/usr/bin/env bash
# Sizes by the style guide: no function over 100 lines and no file over 600, unless the comment at the head of the file says why
# ("over 100 lines: name() ..." or "over 600 lines: ..."); over all product code, functions of a median of at most 15 lines and
# a 90th percentile of at most 40; nothing wider than 100 columns in C.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# FILE LINE NAME LENGTH of every function
functions() {
    ctags --languages=C --map-C=+.h --kinds-C=f --fields=+ne -o - --sort=no "$@" |
        awk -F'\t' '/^!/ {next} {
            line = end = 0
            for (i = 4; i <= NF; i++) {
                if ($i ~ /^line:/) line = substr($i, 6)
                if ($i ~ /^end:/) end = substr($i, 5)
            }
            if (end > 0) print $2, line, $1, end - line + 1
        }'
}

mapfile -t all < <(all_sources)
mapfile -t product < <(product_sources)
[ ${#all[@]} -gt 0 ] || { finish && exit 0; }

while read -r file line name length; do
    [ "$length" -le 100 ] || head_comment "$file" | grep -i "over 100 lines:.*$name()" >/dev/null ||
        fault "$file:$line: $name is $length lines long; split it, or say why in the head: \"over 100 lines: $name() ...\""
done < <(functions "${all[@]}")

for file in "${all[@]}"; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || head_comment "$file" | grep -i 'over 600 lines:' >/dev/null ||
        fault "$file:1: has $lines lines; which second noun is in here? Or say why in the head: \"over 600 lines: ...\""
    awk -v file="$file" 'length($0) > 100 {printf "%s:%d: is %d columns wide\n", file, NR, length($0); bad = 1} END {exit bad}' \
        "$file" || FAULTS=$((FAULTS + 1))
done

if [ ${#product[@]} -gt 0 ]; then
    read -r count median p90 < <(functions "${product[@]}" | awk '{print $4}' | sort -n |
        awk '{v[NR] = $1} END {print NR, v[int((NR + 1) / 2)] + 0, v[int(NR * 0.9 + 0.5)] + 0}')
    echo "$count functions: median $median lines, 90 % within $p90"
    [ "$median" -le 15 ] || fault "the median function has $median lines; 15 is the goal"
    [ "$p90" -le 40 ] || fault "one function in ten has more than $p90 lines; 40 is the goal"
fi
finish
