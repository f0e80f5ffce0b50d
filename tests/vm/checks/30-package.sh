# Upgrade with a backlog, remove, install again, purge.
. /root/lab/lib.sh
export DEBIAN_FRONTEND=noninteractive
new=$(ls /root/deb/supametas-sync_*_amd64.deb | grep -v 0.0.9 | tail -n 1)
systemctl start $U; until_ 60 active
s pause all >/dev/null
for n in $(seq 30); do sudo -u anna sh -c "date +\"backlog $n %s%N\" > /srv/drop/.b$n && mv /srv/drop/.b$n /srv/drop/b$n.txt"; done
is "a backlog waits" until_ 60 state b30.txt queued
before=$(sandbox uploads | jq length)
is "the upgrade" apt-get install -y -qq --allow-downgrades "$new"
is "it runs again" until_ 60 active
s resume all >/dev/null
is "the backlog goes up" until_ 120 state b30.txt succeeded
after=$(sandbox uploads | jq length)
[ $((after - before)) = 30 ] && ok "each file once" || bad "$((after - before)) uploads of 30 files"
is "remove" apt-get remove -y -qq $U
is "the ledger and the configuration stay" test -e /var/lib/$U/ledger.sqlite -a -e $CONF
is "install again" apt-get install -y -qq "$new"
systemctl start $U; is "it runs" until_ 60 active
is "it knows what was sent" state b30.txt succeeded
sleep 5
[ "$(sandbox uploads | jq length)" = "$after" ] && ok "nothing is sent again" || bad "sent again"
cp -a /etc/$U /root/etc-kept
is "purge" apt-get purge -y -qq $U
if [ -e /etc/$U/config.toml ]; then bad "the configuration is left"; else ok "the configuration is gone"; fi
[ -e /srv/drop/b1.txt ] && ok "the drop folder is untouched" || bad "the drop folder was touched"
note "after purge: $(ls -d /var/lib/$U /etc/$U 2>/dev/null | tr '\n' ' ')"
is "installed anew for the other checks" bash /root/lab/service.sh "$new"
is "it runs" until_ 60 active
ends
