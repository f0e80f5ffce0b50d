# An NFS server that drops all packets, hard-mounted: other folders, commands,
# reload, stop and start, and an upload that was reading from there.
. /root/lab/lib.sh
bash /root/lab/mounts.sh || bad "the mounts could not be made"
cp $CONF /root/good.toml
printf '[[folder]]\nname = "nfs"\npath = "/mnt/nfs-a"\ndataset = "main"\n' >> $CONF
# So that an upload lasts.
sed -i 's|^credential = .*|&\nbytes_per_second = "1MB"|' $CONF
restart
echo early > /srv/nfs-a/early.txt; chmod 664 /srv/nfs-a/early.txt
is "a file goes up" until_ 120 state early.txt succeeded
mute() { iptables -I INPUT -i lo -p tcp --dport 2049 -j DROP; iptables -I INPUT -i lo -p tcp --sport 2049 -j DROP; }
unmute() { iptables -F INPUT; }
trap unmute EXIT
head -c 45000000 /dev/urandom | base64 > /srv/nfs-a/.long; chmod 664 /srv/nfs-a/.long; mv /srv/nfs-a/.long /srv/nfs-a/long.txt
is "a long upload is under way" until_ 180 state long.txt uploading
here=$(cursor)
mute
is "status says that it does not answer" until_ 120 sh -c "sudo -u $U timeout 20 $U status | grep -qi 'not answer'"
has "readyz names it" 'not-answering' "$(curl -s --max-time 10 --unix-socket /var/lib/$U/ledger.sqlite.sock http://localhost/readyz)"
is "the status line names it" until_ 60 sh -c "systemctl show -p StatusText --value $U | grep -q 'not answering: 1 (nfs)'"
has "the log names it" 'nfs.*not answer|not answer.*nfs' "$(said "$here")"
sudo -u anna sh -c 'date +%N > /srv/drop/.o && mv /srv/drop/.o /srv/drop/other.txt'
is "another folder goes on" until_ 90 state other.txt succeeded
for command in "status" "list" "list --attention" "show early.txt" "errors" "pause folder:inbox" "resume folder:inbox" "explain /mnt/nfs-a/early.txt" "backup --force /var/lib/$U/hang.sqlite" "retry --dry-run early.txt" "forget --dry-run early.txt" "cancel --dry-run early.txt" "prune --dry-run --older-than 365d" "explain-code OPS40001" "scan --dry-run" "check"; do
    # shellcheck disable=SC2086
    timeout -k 5 60 sudo -u $U $U $command > /root/said 2>&1; code=$?
    case $code in 124|137) bad "$command hangs" ;; *) ok "$command ends ($code)" ;; esac
done
is "the watchdog is content" active
is "a reload answers" timeout 60 systemctl reload $U
is "other.txt is still known" state other.txt succeeded
# A stop beats a reload.
timeout 60 systemctl reload $U & sleep 0.3
begun=$SECONDS
timeout 120 systemctl stop $U; took=$((SECONDS - begun))
[ "$(unit ActiveState)/$(unit Result)" = inactive/success ] && ok "a stop in a reload ends it in $took s" || bad "a stop: $(unit ActiveState)/$(unit Result) after $took s"
wait
is "a start with the dead mount succeeds" timeout 100 systemctl start $U
is "and it works" until_ 30 active
sudo -u anna sh -c 'date +%N > /srv/drop/.o && mv /srv/drop/.o /srv/drop/other2.txt'
is "another folder goes on after it" until_ 60 state other2.txt succeeded
unmute
is "the folder comes back" until_ 180 online nfs
sed -i '/^bytes_per_second/d' $CONF; systemctl reload $U
is "the long file goes up" until_ 180 state long.txt succeeded
got=$(sizes long.txt) size=$(stat -c %s /srv/nfs-a/long.txt)
[ "$got" = "[$size]" ] && ok "once, and whole" || bad "$size bytes were sent as $got"
cp /root/good.toml $CONF; restart
ends
