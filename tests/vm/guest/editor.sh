#!/bin/sh -eu
# What a person types in the editor when the README says `sudoedit`.
case $1 in
*config*.toml)
    cat > "$1" <<END
[service]
base_url = "http://127.0.0.1:8399/openapi/open/v1"
[[dataset]]
name = "main"
credential = "main-key"
[[folder]]
name = "inbox"
path = "/srv/drop"
dataset = "main"
END
    ;;
*folders*conf)
    sed -i 's|^#LoadCredential=.*|LoadCredential=main-key:/etc/supametas-sync/keys/main|' "$1" ;;
*) echo "nobody told what to write into $1" >&2; exit 1 ;;
esac
