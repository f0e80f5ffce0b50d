# Drop folders where people have them, and what is said where the sandbox of the
# unit or missing rights keep the daemon off.
. /root/lab/lib.sh
folder() { printf '[[folder]]\nname = "%s"\npath = "%s"\ndataset = "main"\n%s\n' "$1" "$2" "${3:-}" >> $CONF; }
cp $CONF /root/good.toml
place() { printf 'words for %s %s\n' "$1" "$(date +%N)" > "$1/.x" && chmod 664 "$1/.x" && mv "$1/.x" "$1/$2"; }
PLACES="home:/home/anna/drop root:/root/drop tmp:/tmp/drop vartmp:/var/tmp/drop mnt:/mnt/drop spool:/var/spool/drop shm:/dev/shm/drop opt:/opt/drop"
for one in $PLACES; do
    d=${one#*:}
    mkdir -p "$d"; chgrp dropbox "$d"; chmod 2775 "$d"
    setfacl -m u:$U:rwX -m d:u:$U:rwX "$d"
    folder "${one%%:*}" "$d"
done
# The way to it, too.
setfacl -m u:$U:x /home/anna /root
here=$(cursor)
restart
for one in $PLACES; do place "${one#*:}" "p-${one%%:*}.txt"; done
for name in mnt spool shm opt; do is "$name: a file goes up" until_ 60 state "p-$name.txt" succeeded; done
for pair in home:ProtectHome root:ProtectHome tmp:PrivateTmp vartmp:PrivateTmp; do
    name=${pair%%:*} word=${pair##*:}
    if online "$name"; then bad "$name is on line in spite of $word="; continue; fi
    has "$name: the log names the folder and $word=" "folder $name: .*$word" "$(said "$here")"
    has "$name: status names it" "$word" "$(status_json | jq -r --arg n "$name" '.folders[]|select(.folder==$n).offline')"
done
has "explain (as root) names ProtectHome=" ProtectHome "$($U explain /home/anna/drop/p-home.txt 2>&1)"
has "explain (as root) names PrivateTmp=" PrivateTmp "$($U explain /tmp/drop/p-tmp.txt 2>&1)"

# With the lines for the drop-in that the messages name, they are reached.
printf '[Service]\nProtectHome=tmpfs\nBindReadOnlyPaths=-/home/anna/drop -/root/drop\nPrivateTmp=no\n' > $DROPIN/places.conf
restart
for name in home root tmp vartmp; do is "$name: with the lines named a file goes up" until_ 60 state "p-$name.txt" succeeded; done
rm $DROPIN/places.conf

# Moving without ReadWritePaths=, and with it.
cp /root/good.toml $CONF
# Who has a file open that was there at a start can't be known: such ones stay for
# `unclosed_wait`.
sed -i 's|^path = "/srv/drop"|path = "/srv/drop"\nafter = "move"\nunclosed_wait = "5s"|' $CONF
here=$(cursor)
restart
drop moved.txt
is "moved.txt goes up" until_ 60 state moved.txt succeeded
is "ReadWritePaths= is named" until_ 30 sh -c "journalctl -u $U --cursor='$here' -o cat | grep ReadWritePaths"
has "with the file and the error" 'moved\.txt.*read-only|read-only.*moved\.txt' "$(said "$here" | grep ReadWritePaths)"
here=$(cursor)
for n in $(seq 40); do drop m$n.txt; done
is "40 more go up" until_ 90 state m40.txt succeeded
sleep 3
lines=$(said "$here" | grep -c 'ReadWritePaths' || :)
[ "$lines" -le 2 ] && ok "40 sources that stay are $lines lines" || bad "40 sources that stay are $lines lines"
printf '[Service]\nReadWritePaths=-/srv/drop\n' > $DROPIN/move.conf
restart
drop m41.txt; is "with it a new one is moved" until_ 60 test -e /srv/drop/.supametas-done/m41.txt
is "and those that stayed, when they are tried again" until_ 150 test -e /srv/drop/.supametas-done/m40.txt

# Rights by ACL, a mask that takes them away, and none.
rm $DROPIN/move.conf
cp /root/good.toml $CONF; restart
s pause folder:inbox >/dev/null
drop acl.txt
has "explain (as root): an ACL gives the right" 'right +yes|may read it' "$($U explain /srv/drop/acl.txt 2>&1 | grep -i right)"
drop masked.txt; chmod 600 /srv/drop/masked.txt
has "explain (as root): a lost mask is named" 'mask' "$($U explain /srv/drop/masked.txt 2>&1)"
drop closed.txt; setfacl -b /srv/drop/closed.txt; chmod 600 /srv/drop/closed.txt
has "explain (as root): a file that is closed to it" 'lacks' "$($U explain /srv/drop/closed.txt 2>&1)"
rm -f /srv/drop/closed.txt /srv/drop/masked.txt
s resume folder:inbox >/dev/null
ends
