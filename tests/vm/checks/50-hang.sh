# An NFS server that drops all packets, hard-mounted: other folders, commands,
# reload, stop and start.
. /root/lab/lib.sh
bash /root/lab/mounts.sh || bad "the mounts could not be made"
cp $CONF /root/good.toml
printf '[[folder]]\nname = "nfs"\npath = "/mnt/nfs-a"\ndataset = "main"\n' >> $CONF
systemctl restart $U; until_ 60 active
echo before > /srv/nfs-a/before.txt; chmod 664 /srv/nfs-a/before.txt
until_ 120 state before.txt succeeded || bad "before.txt did not go up"
mute() { iptables -I INPUT -i lo -p tcp --dport 2049 -j DROP; iptables -I INPUT -i lo -p tcp --sport 2049 -j DROP; }
unmute() { iptables -F INPUT; }
trap unmute EXIT
mute
sleep 40
sudo -u anna sh -c 'date +%N > /srv/drop/.o && mv /srv/drop/.o /srv/drop/other.txt'
is "another folder goes on" until_ 60 state other.txt succeeded
is "status answers" timeout 20 sudo -u $U $U status
is "list answers" timeout 20 sudo -u $U $U list
is "check ends" sh -c "timeout 60 sudo -u $U $U check; [ \$? -ne 124 ]"
if until_ 60 sh -c "sudo -u $U timeout 20 $U status | grep -qi 'not answer'"; then ok "status says that it does not answer"; else bad "status does not say it"; fi
is "the watchdog is content" active
is "a reload answers" timeout 60 systemctl reload $U
is "other.txt is still known" state other.txt succeeded
begun=$(date +%s)
timeout 120 systemctl stop $U; took=$(( $(date +%s) - begun ))
[ "$(unit ActiveState)" = inactive ] && ok "a stop ends it in $took s" || bad "a stop: $(unit ActiveState)/$(unit Result) after $took s"
is "a start with the dead mount succeeds" timeout 100 systemctl start $U
is "and it works" until_ 30 active
sudo -u anna sh -c 'date +%N > /srv/drop/.o && mv /srv/drop/.o /srv/drop/other2.txt'
is "another folder goes on after it" until_ 60 state other2.txt succeeded
unmute
is "the folder comes back" until_ 180 sh -c "curl -s --unix-socket /var/lib/$U/ledger.sqlite.sock http://localhost/api/status | jq -e '.folders[]|select(.folder==\"nfs\").live.online'"
cp /root/good.toml $CONF; systemctl restart $U; until_ 60 active
ends
