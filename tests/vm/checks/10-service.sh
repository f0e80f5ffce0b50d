# The service as the README installs it: start, status line, journal, reload and
# restart with a bad configuration, kill, watchdog, stop under uploads.
. /root/lab/lib.sh
here=$(cursor)
is "the package installs, and the service starts" bash /root/lab/service.sh "${DEB:-}"
is "systemd heard READY" until_ 60 active
is "the sandbox answers" until_ 30 curl -sf http://127.0.0.1:8399/_sandbox/uploads

sudo -u anna sh -c 'date "+words of anna, %s%N" > /srv/drop/.a && mv /srv/drop/.a /srv/drop/a.txt'
is "a file of another user goes up" until_ 60 state a.txt succeeded
is "the status line counts" sh -c "systemctl show -p StatusText --value $U | grep -q 'at the service'"
if said "$here" | grep -q 'a\.txt'; then ok "journalctl -u names the file"; else bad "journalctl -u does not name the file"; fi

# A configuration that can't be used.
cp $CONF /root/good.toml
echo 'nonsense = 1' >> $CONF
here=$(cursor)
if systemctl reload $U 2>/dev/null; then bad "a refused reload exits 0"; else ok "a refused reload fails"; fi
is "and the daemon goes on" active
systemctl restart $U 2>/dev/null
sleep 3
state_now=$(unit ActiveState)/$(unit Result)
case $state_now in failed/exit-code) ok "a start with it fails at once" ;; *) bad "a start with it: $state_now" ;; esac
if systemctl status $U --no-pager -n 20 | grep -q nonsense; then ok "systemctl status shows the line"; else bad "systemctl status does not show the line"; fi
cp /root/good.toml $CONF
is "the mended one starts without reset-failed" systemctl start $U
is "it is active" until_ 60 active
is "a reload works" systemctl reload $U

# Killed, and stuck.
main=$(unit MainPID); kill -9 "$main"
is "after kill -9 it is started again" until_ 60 sh -c "systemctl is-active $U && [ \$(systemctl show -p MainPID --value $U) != $main ]"
main=$(unit MainPID)
watchdog=$(unit WatchdogUSec)
note "WatchdogUSec=$watchdog"
kill -STOP "$main"
is "stopped, the watchdog ends it, and it is started again" until_ 200 sh -c "p=\$(systemctl show -p MainPID --value $U); [ \$p != 0 ] && [ \$p != $main ] && systemctl is-active $U"
is "it works" until_ 60 active

# Stopped while it sends.
before=$(sandbox uploads | jq length)
fault '[{"route": "import", "delay_ms": 4000}]'
for n in 1 2 3; do sudo -u anna sh -c "date +\"slow $n %s%N\" > /srv/drop/.s$n && mv /srv/drop/.s$n /srv/drop/s$n.txt"; done
until_ 40 sh -c "sudo -u $U $U status --json | jq -e '.pending.uploading > 0'" || note "nothing was on the wire"
here=$(cursor)
is "a stop under uploads ends in order" timeout 90 systemctl stop $U
[ "$(unit Result)" = success ] && ok "Result=success" || bad "Result=$(unit Result)"
nofault
systemctl start $U
for n in 1 2 3; do is "s$n.txt was sent once it may be" until_ 90 state "s$n.txt" succeeded; done
sent=$(( $(sandbox uploads | jq length) - before ))
[ "$sent" = 3 ] && ok "each once" || bad "$sent uploads of 3 files"

score=$(systemd-analyze security $U --no-pager 2>/dev/null | tail -n 1)
note "$score"
if said "$here" | grep -qi panicked; then bad "something panicked"; else ok "nothing panicked"; fi
ends
