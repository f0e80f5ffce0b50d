# The service as the README installs it: start, status line, journal, reload and
# restart with a bad configuration, kill, watchdog, stop under uploads.
. /root/lab/lib.sh
here=$(cursor)
if said_=$(bash /root/lab/service.sh "${DEB:-}" 2>&1); then ok "what the README prints installs and starts it"
else bad "what the README prints: $(printf '%s' "$said_" | tail -n 4 | tr '\n' '|')"; fi
is "systemd heard READY" until_ 60 active
is "the sandbox answers" until_ 30 curl -sf http://127.0.0.1:8399/_sandbox/uploads

drop a.txt
is "a file of another user goes up" until_ 60 state a.txt succeeded
has "the status line counts" 'at the service' "$(unit StatusText)"

# The journal: name, state and reason in the message, the rest in fields.
has "journalctl -u names the file" 'a\.txt' "$(said "$here")"
fault '[{"file": "bad*", "status": 415, "message": "not to my taste"}]'
drop bad.txt
is "a file that is refused is rejected" until_ 60 state bad.txt rejected
nofault
line=$(journalctl -u $U --cursor="$here" -o cat | grep bad.txt)
has "the message has its name and state" 'bad\.txt.*rejected|rejected.*bad\.txt' "$line"
has "and the reason" 'not to my taste|HTTP-415' "$line"
is "the status line counts what needs attention" until_ 60 sh -c "systemctl show -p StatusText --value $U | grep -q 'need attention: 1'"
fields=$(journalctl -u $U --cursor="$here" -o json --output-fields=F_FILE,F_FOLDER,F_ID,F_STATE,F_CODE | jq -c 'select(.F_FILE=="bad.txt" and .F_CODE)')
has "the documented fields are there" 'F_FOLDER.*F_ID|F_ID.*F_FOLDER' "$fields"
got=$(journalctl -q -u $U -o cat F_FILE=a.txt -p info)
[ "$(printf '%s\n' "$got" | grep -c 'a\.txt')" = 1 ] && ok "a file that went well is one line" || bad "lines of a.txt: $(printf '%s' "$got" | tr '\n' '|')"

# journald's limits: what the unit allows is more than a backlog writes.
lines() { systemd-run --quiet --wait --unit "$1" -p LogRateLimitIntervalSec="$2" -p LogRateLimitBurst="$3" seq 12000; until_ 30 sh -c "journalctl -q -u $1 -o cat | grep -qx 12000"; journalctl -q -u "$1" -o cat | grep -cxE '[0-9]+'; }
burst=$(unit LogRateLimitBurst) interval=$(unit LogRateLimitIntervalUSec)
got=$(lines lab-lines "$interval" "$burst")
[ "$got" = 12000 ] && ok "12,000 lines at once stay ($burst in $interval)" || bad "$got of 12,000 lines stay ($burst in $interval)"

# A configuration that can't be used.
cp $CONF /root/good.toml
echo 'nonsense = 1' >> $CONF
here=$(cursor)
if systemctl reload $U 2>/dev/null; then bad "a refused reload exits 0"; else ok "a refused reload fails"; fi
is "and the daemon goes on" active
systemctl restart $U 2>/dev/null
until_ 20 sh -c "[ \$(systemctl show -p ActiveState --value $U) = failed ]"
state_now=$(unit ActiveState)/$(unit Result)
case $state_now in failed/exit-code) ok "a start with it fails at once" ;; *) bad "a start with it: $state_now" ;; esac
has "systemctl status shows the line" nonsense "$(systemctl status $U --no-pager -n 20)"
[ "$(unit NRestarts)" = 0 ] && ok "and is not tried again" || bad "it was tried again $(unit NRestarts) times"
cp /root/good.toml $CONF
is "the mended one starts without reset-failed" systemctl start $U
is "it is active" until_ 60 active
is "a reload works" systemctl reload $U

# Killed, and stuck.
main=$(unit MainPID); kill -9 "$main"
is "after kill -9 it is started again" until_ 60 sh -c "systemctl is-active $U && [ \$(systemctl show -p MainPID --value $U) != $main ]"
main=$(unit MainPID)
note "WatchdogUSec=$(unit WatchdogUSec)"
kill -STOP "$main"
is "stopped, the watchdog ends it, and it is started again" until_ 200 sh -c "p=\$(systemctl show -p MainPID --value $U); [ \$p != 0 ] && [ \$p != $main ] && systemctl is-active $U"
is "it works" until_ 60 active

# Stopped while it sends.
before=$(uploads)
fault '[{"route": "import", "delay_ms": 8000}]'
for n in 1 2 3; do drop s$n.txt; done
is "uploads are under way" until_ 40 sh -c "curl -s --unix-socket /var/lib/$U/ledger.sqlite.sock http://localhost/api/status | jq -e '.pending.uploading > 0'"
here=$(cursor)
is "a stop under uploads ends in order" timeout 90 systemctl stop $U
[ "$(unit Result)" = success ] && ok "Result=success" || bad "Result=$(unit Result)"
nofault
systemctl start $U
for n in 1 2 3; do is "s$n.txt was sent once it may be" until_ 90 state "s$n.txt" succeeded; done
sent=$(( $(uploads) - before ))
[ "$sent" = 3 ] && ok "each once" || bad "$sent uploads of 3 files"

note "$(systemd-analyze security $U --no-pager 2>/dev/null | tail -n 1)"
if said "$here" | grep -qi panicked; then bad "something panicked"; else ok "nothing panicked"; fi
ends
