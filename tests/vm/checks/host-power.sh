# Here, not in the guest: the plug is pulled under load, ROUNDS times, while the
# sandbox runs outside. Sourced by lab.sh.
power() {
    local rounds=${ROUNDS:-10} port=$((PORT + 10)) n
    local bin=$LAB/power-binary
    install -m 755 "${BINARY:?}" "$bin"
    "$bin" sandbox --port "$port" > "$LAB/sandbox.log" 2>&1 &
    local sandbox=$!
    # shellcheck disable=SC2064
    trap "kill $sandbox 2>/dev/null || :" EXIT
    : > "$LAB/dropped"
    put "$here"/guest/* /root/lab
    # The guest has no way out: the sandbox comes to it by ssh.
    guest -O forward -R "$port:127.0.0.1:$port"
    guest "bash -s" <<REMOTE
set -e
systemctl stop supametas-sync sandbox
rm -f /var/lib/supametas-sync/ledger.sqlite*
for f in keep hold move delete; do
    install -d -m 2770 -o root -g dropbox /srv/power/\$f
    setfacl -m u:supametas-sync:rwX -m d:u:supametas-sync:rwX /srv/power /srv/power/\$f
done
cat > /etc/supametas-sync/config.toml <<CONF
[service]
base_url = "http://127.0.0.1:$port/openapi/open/v1"
[[dataset]]
name = "main"
credential = "main-key"
CONF
for f in keep hold move delete; do
    printf '[[folder]]\nname = "%s"\npath = "/srv/power/%s"\ndataset = "main"\n' \$f \$f
    case \$f in
        hold) echo 'unconfirmed = "hold"' ;;
        # Who had a file open before a start can't be known: it is deleted soon all the same.
        move|delete) printf 'after = "%s"\nunclosed_wait = "5s"\n' \$f ;;
    esac
done >> /etc/supametas-sync/config.toml
printf '[Service]\nReadWritePaths=/srv/power\n' > /etc/systemd/system/supametas-sync.service.d/power.conf
systemctl daemon-reload
systemctl start supametas-sync
# The settings are to outlast the first cut.
sync
REMOTE
    for n in $(seq "$rounds"); do
        guest "python3 /root/lab/dropper.py 60 $n /srv/power/keep /srv/power/hold /srv/power/move /srv/power/delete" >> "$LAB/dropped" &
        local dropper=$!
        sleep $((8 + RANDOM % 8))
        cut
        wait "$dropper" || :
        up
        guest -O forward -R "$port:127.0.0.1:$port"
        guest "systemctl is-active supametas-sync" >/dev/null || guest "systemctl start supametas-sync"
    done
    local code=0
    for n in $(seq 120); do
        [ "$(guest "sudo -u supametas-sync supametas-sync status --json" | jq '.pending.due + .pending.later + .pending.uploading + .pending.submitted + .pending.sources')" = 0 ] && break
        sleep 2
    done
    guest "sudo -u supametas-sync supametas-sync list --limit 0 --json" > "$LAB/ledger.json"
    guest "cd /srv/power && find . -type f -printf '%p\n'" > "$LAB/lie.txt"
    curl -s "http://127.0.0.1:$port/_sandbox/uploads" > "$LAB/uploads.json"
    python3 "$here/guest/reckon.py" "$LAB" || code=1
    return $code
}
power
