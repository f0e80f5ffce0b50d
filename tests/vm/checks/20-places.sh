# Drop folders where people have them, and what is said where the sandbox of the
# unit or missing rights keep the daemon off.
. /root/lab/lib.sh
systemctl start $U; until_ 60 active
folder() { printf '[[folder]]\nname = "%s"\npath = "%s"\ndataset = "main"\n%s\n' "$1" "$2" "${3:-}" >> $CONF; }
cp $CONF /root/good.toml
drop() { printf 'words for %s %s\n' "$1" "$(date +%N)" > "$1/.x" && chmod 664 "$1/.x" && mv "$1/.x" "$1/$2"; }
for d in /home/anna/drop /root/drop /tmp/drop /var/tmp/drop /mnt/drop /var/spool/drop /dev/shm/drop /opt/drop; do
    mkdir -p $d; chgrp dropbox $d; chmod 2775 $d
    setfacl -m u:$U:rwX -m d:u:$U:rwX $d
done
# The way to it, too.
setfacl -m u:$U:x /home/anna /root
folder home /home/anna/drop; folder root /root/drop; folder tmp /tmp/drop; folder vartmp /var/tmp/drop
folder mnt /mnt/drop; folder spool /var/spool/drop; folder shm /dev/shm/drop; folder opt /opt/drop
here=$(cursor)
systemctl restart $U; until_ 60 active
for d in /home/anna/drop /root/drop /tmp/drop /var/tmp/drop /mnt/drop /var/spool/drop /dev/shm/drop /opt/drop; do drop $d p-"$(echo $d | tr / _)".txt; done
for d in /mnt/drop /var/spool/drop /dev/shm/drop /opt/drop; do
    is "$d: a file goes up" until_ 60 state p-"$(echo $d | tr / _)".txt succeeded
done
status=$(s status); journal=$(said "$here")
for pair in home:ProtectHome root:ProtectHome tmp:PrivateTmp vartmp:PrivateTmp; do
    name=${pair%%:*} word=${pair##*:}
    if [ "$(status_json | jq -r --arg n $name '.folders[]|select(.folder==$n).live.online')" = true ]; then note "$name is on line"; continue; fi
    if printf '%s\n%s\n' "$status" "$journal" | grep -q "$word"; then ok "$name: $word= is named"; else bad "$name: $word= is not named"; fi
done

# Moving without ReadWritePaths=.
cp /root/good.toml $CONF
sed -i 's|^path = "/srv/drop"|path = "/srv/drop"\nafter = "move"|' $CONF
here=$(cursor)
systemctl restart $U; until_ 60 active
sudo -u anna sh -c 'date +%N > /srv/drop/.m && mv /srv/drop/.m /srv/drop/moved.txt'
until_ 60 state moved.txt succeeded || bad "moved.txt did not go up"
if until_ 30 test -e /srv/drop/.supametas-done/moved.txt; then
    note "it was moved: the drop-in has ReadWritePaths="
elif said "$here" | grep -q ReadWritePaths; then ok "ReadWritePaths= is named"
else bad "not moved, and ReadWritePaths= is not named"; fi
here=$(cursor)
for n in $(seq 40); do sudo -u anna sh -c "echo $n-$(date +%N) > /srv/drop/.m$n && mv /srv/drop/.m$n /srv/drop/m$n.txt"; done
until_ 60 state m40.txt succeeded
sleep 5
lines=$(said "$here" | grep -c 'could not be moved' || :)
[ "$lines" -le 2 ] && ok "40 sources that stay are $lines lines" || bad "40 sources that stay are $lines lines"

# Rights by ACL, and a mask that takes them away.
cp /root/good.toml $CONF; systemctl restart $U; until_ 60 active
sudo -u anna sh -c 'date > /srv/drop/.k && chmod 600 /srv/drop/.k && mv /srv/drop/.k /srv/drop/closed.txt'
setfacl -b /srv/drop/closed.txt; chown anna: /srv/drop/closed.txt; chmod 600 /srv/drop/closed.txt
sleep 8
said=$($U explain /srv/drop/closed.txt 2>&1)
if printf '%s' "$said" | grep -qiE 'right|read'; then ok "explain (as root) says that the daemon may not read it"; else bad "explain: $said"; fi
rm -f /srv/drop/closed.txt
ends
