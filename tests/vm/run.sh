#!/usr/bin/env bash
# Every check of tests/vm, in a machine made for it: see README.md. Takes about an
# hour, 3 GB of disk and 1.5 GB of memory. Its result belongs into docs/testing.md.
#
#   tests/vm/run.sh             all checks
#   tests/vm/run.sh CHECK...    10-service, which installs, and these
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TREE=$(cd "$here/../.." && pwd)
export TREE LAB=${LAB:-$TREE/target/vm} BINARY=${BINARY:-$TREE/target/release/supametas-sync}
[ -x "$BINARY" ] || (cd "$TREE" && cargo build --release --locked)
checks=("$@")
[ $# -gt 0 ] || checks=(20-places 30-package 40-filesystems 50-hang 60-clock power)
lab=$here/lab.sh
"$lab" all
[ ! -f "$LAB/pid" ] || "$lab" fresh
"$lab" up
"$lab" put "$LAB"/packages/*.deb /root/deb
code=0 said=$LAB/result
: > "$said"
for check in 10-service "${checks[@]}"; do
    printf '\n== %s\n' "$check"
    "$lab" check "$check" 2>&1 | tee -a "$said" || code=1
done
"$lab" down
printf '\n%s ok, %s deviations\n' "$(grep -c '^ok ' "$said")" "$(grep -c '^DEVIATION' "$said" || :)"
exit $code
