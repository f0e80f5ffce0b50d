# Upgrade with a backlog, remove, install again, purge.
. /root/lab/lib.sh
export DEBIAN_FRONTEND=noninteractive
new=$(ls /root/deb/supametas-sync_*_amd64.deb | grep -v 0.0.9 | tail -n 1)
systemctl reset-failed $U 2>/dev/null; systemctl start $U; until_ 60 active
# Where the newer one is there already: the older one first.
dpkg-query -W -f '${Version}' $U | grep -q 0.0.9 || apt-get install -y -qq --allow-downgrades /root/deb/supametas-sync_0.0.9-1_amd64.deb >/dev/null 2>&1
until_ 60 active
s pause all >/dev/null
for n in $(seq 30); do drop b$n.txt; done
is "a backlog waits" until_ 60 state b30.txt queued
before=$(uploads)
# As operations.md has it, "Upgrading".
rm -rf /root/upgrade; mkdir -p /root/upgrade; cp "$new" /root/upgrade/; cd /root/upgrade
install -d -m 0700 -o $U -g $U /var/backups/supametas-sync
printed "the upgrade as printed" operations.md sh 'before-upgrade'
is "it is the new one" sh -c "dpkg-query -W -f '\${Version}' $U | grep -v 0.0.9"
is "it runs again" until_ 60 active
s resume all >/dev/null
is "the backlog goes up" until_ 120 state b30.txt succeeded
is "each of it" until_ 60 sh -c "[ \$(sudo -u $U $U list --json --limit 0 --state queued,uploading | jq length) = 0 ]"
after=$(uploads)
[ $((after - before)) = 30 ] && ok "each file once" || bad "$((after - before)) uploads of 30 files"
is "remove" apt-get remove -y -qq $U
is "it does not run any more" sh -c "! pgrep -u $U supametas"
is "the ledger and the configuration stay" test -e /var/lib/$U/ledger.sqlite -a -e $CONF
is "install again" apt-get install -y -qq "$new"
systemctl start $U; is "it runs" until_ 60 active
is "it knows what was sent" state b30.txt succeeded
sleep 5
[ "$(uploads)" = "$after" ] && ok "nothing is sent again" || bad "sent again"
is "purge" apt-get purge -y -qq $U
left=$(ls -d /etc/$U /var/lib/$U 2>/dev/null)
[ -z "$left" ] && ok "configuration, keys and ledger are gone" || bad "left after purge: $left"
is "the drop folder is untouched" test -e /srv/drop/b1.txt
is "the user stays" getent passwd $U
is "installed anew as printed" bash /root/lab/service.sh "$new"
is "it runs" until_ 60 active
ends
