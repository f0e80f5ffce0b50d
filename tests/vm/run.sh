#!/usr/bin/env bash
# Every check of tests/vm, in a machine made for it: see README.md. Takes about an
# hour, 3 GB of disk and 1.5 GB of memory. Its last lines are a table, which belongs
# into docs/testing.md.
#
#   tests/vm/run.sh             all checks
#   tests/vm/run.sh CHECK...    10-service, which installs, and these
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TREE=$(cd "$here/../.." && pwd)
export TREE LAB=${LAB:-$TREE/target/vm} BINARY=${BINARY:-$TREE/target/release/supametas-sync}
[ -x "$BINARY" ] || (cd "$TREE" && cargo build --release --locked)
checks=("$@")
[ $# -gt 0 ] || checks=(15-keys 20-places 30-package 40-filesystems 50-hang 60-clock 70-recipes 75-operations power)
lab=$here/lab.sh
"$lab" all
"$lab" fresh
"$lab" up
"$lab" put "$LAB"/packages/*.deb /root/deb
code=0 table=$LAB/result
commit=$(git -C "$TREE" log -1 --format=%h 2>/dev/null || echo "no commit")
printf '%s, commit %s, qemu %s\n\n| check | ok | deviations | minutes |\n|---|---|---|---|\n' \
    "$(date +%F)" "$commit" "$(cat "$LAB/accelerator" 2>/dev/null || echo "as it was")" > "$table"
for check in 10-service "${checks[@]}"; do
    printf '\n== %s\n' "$check"
    begun=$SECONDS said=$LAB/said-$check
    "$lab" check "$check" 2>&1 | tee "$said" || code=1
    printf '| `%s` | %s | %s | %s |\n' "$check" "$(grep -c '^ok ' "$said")" \
        "$(grep -c '^DEVIATION' "$said")" "$(((SECONDS - begun + 30) / 60))" >> "$table"
done
"$lab" down
printf '\n'
cat "$table"
printf '\nafter %s minutes: %s\n' "$((SECONDS / 60))" "$([ $code = 0 ] && echo "all as it should be" || echo "deviations")"
exit $code
