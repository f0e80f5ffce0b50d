#!/bin/sh
# What lies in the folder, then what comes: eight at once, each recorded.
sqlite3 "$DB" 'PRAGMA journal_mode=WAL; CREATE TABLE sent (name TEXT PRIMARY KEY, at TEXT)' >/dev/null
{
    find "$DIR" -type f
    inotifywait -m -q -e close_write -e moved_to --format '%w%f' "$DIR"
} | xargs -d '\n' -n 1 -P 8 sh "$POST"
