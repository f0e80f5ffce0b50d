#!/bin/sh
# Posts one file and records it: what people write behind inotifywait.
curl -sS -f -o /dev/null -H 'Access-Key: bench' -H 'Expect:' \
    -F 'data={};type=application/json' -F "file=@$1" "$URL/file-task" &&
    sqlite3 -cmd '.timeout 60000' "$DB" "INSERT INTO sent VALUES ('$1', datetime())"
