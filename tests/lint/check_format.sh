#!/usr/bin/env bash
# Every source looks as .clang-format says.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ -e .clang-format ] || fault ".clang-format is missing"
while IFS=: read -r file line _; do
    fault "$file:$line: is not formatted; run: clang-format -i $file"
done < <(all_sources | xargs -r clang-format --style=file --dry-run -Werror 2>&1 | grep ': error: ' | sort -u -t: -k1,1 || true)
finish
