# NFS and SMB from either side, FUSE, XFS, Btrfs, tmpfs, overlay: slow writers,
# unmounting and mounting again.
. /root/lab/lib.sh
bash /root/lab/mounts.sh || bad "the mounts could not be made"
cp $CONF /root/good.toml
FS="nfs-cl:/mnt/nfs-a:/srv/nfs-a nfs-srv:/srv/nfs-b:/mnt/nfs-b nfs3-srv:/srv/nfs-c:/mnt/nfs-c smb-cl:/mnt/smb-a:/srv/smb-a smb-srv:/srv/smb-b:/mnt/smb-b fuse:/mnt/fuse:/srv/fuse xfs:/mnt/xfs:/mnt/xfs btrfs:/mnt/btrfs:/mnt/btrfs tmpfs:/mnt/tmpfs:/mnt/tmpfs overlay:/mnt/overlay:/mnt/overlay"
for one in $FS; do
    IFS=: read -r name watched _ <<< "$one"
    printf '[[folder]]\nname = "%s"\npath = "%s"\ndataset = "main"\n' "$name" "$watched" >> $CONF
done
sed -i 's|^\[service\]|[daemon]\npoll_every = "5s"\n[service]|' $CONF
restart; is "it starts" active
# NFSv3 clients that write as the daemon's own user, on this machine's disk.
for n in 2 4 6; do sudo -u $U python3 /root/lab/slow.py /mnt/nfs-c/three-$n.txt 7 $n & done
for one in $FS; do
    IFS=: read -r name _ written <<< "$one"
    ( python3 /root/lab/slow.py "$written/slow-$name.txt" 8 3 ) &
    ( printf 'whole %s\n' "$name" > "$written/.w" && chmod 664 "$written/.w" && mv "$written/.w" "$written/whole-$name.txt" ) || bad "$name can't be written"
done
wait
for one in $FS; do
    IFS=: read -r name _ written <<< "$one"
    is "$name: a whole file goes up" until_ 240 state "whole-$name.txt" succeeded
    is "$name: a slow one too" until_ 240 state "slow-$name.txt" succeeded
    size=$(stat -c %s "$written/slow-$name.txt")
    got=$(sizes "slow-$name.txt")
    [ "$got" = "[$size]" ] && ok "$name: the slow one once, and whole" || bad "$name: $size bytes were sent as $got"
done
for n in 2 4 6; do
    is "NFSv3, the daemon's user, a write every $n s: it goes up" until_ 240 state "three-$n.txt" succeeded
    got=$(sizes "three-$n.txt") size=$(stat -c %s "/srv/nfs-c/three-$n.txt")
    [ "$got" = "[$size]" ] && ok "once, and whole" || bad "three-$n.txt: $size bytes were sent as $got"
done
umount /mnt/xfs; sleep 8
online xfs && bad "unmounted, and not said" || ok "unmounted: off line"
[ "$(s list --json --folder xfs 2>/dev/null | jq '[.[]|select(.state=="gone")]|length')" = 0 ] && ok "nothing is called gone" || bad "files are called gone"
mount -o loop /var/img/xfs /mnt/xfs
before=$(uploads)
is "mounted again: on line" until_ 60 online xfs
sleep 8
[ "$(uploads)" = "$before" ] && ok "nothing is sent again" || bad "sent again after a mount"
cp /root/good.toml $CONF; restart
ends
