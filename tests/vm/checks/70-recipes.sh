# Every recipe of recipes.md, as the page has it: its commands are run, its settings
# put where it says.
. /root/lab/lib.sh
rm -rf /root/recipe; mkdir -p /root/recipe; cd /root/recipe
cp $CONF /root/good.toml
config() { block recipes.md toml "$1" >> $CONF; }

# "Who may read, who may write": done by 10-service. Whoever is in the group may.
restart
drop in-the-group.txt; is "who may drop: a file of the group goes up" until_ 60 state in-the-group.txt succeeded

# "A script on the same machine"
cp /root/lab/pdf.sh /usr/local/bin/pdf
printf '#!/bin/sh\nexec pdf "exported at $(date +%%s%%N)"\n' > /usr/local/bin/export-something
chmod 755 /usr/local/bin/export-something /usr/local/bin/pdf
block recipes.md sh 'mktemp /srv/drop' > /home/anna/script.sh
is "the script runs" sudo -u anna bash /home/anna/script.sh
is "what it wrote goes up" until_ 60 state "export-$(date +%F).pdf" succeeded

# "rsync from elsewhere"
grep -q ' server$' /etc/hosts || echo '127.0.0.1 server' >> /etc/hosts
sudo -u anna bash -ec 'cd; mkdir -p out .ssh; rm -f .ssh/k*; echo "words by rsync $(date +%s%N)" > out/synced.txt
    ssh-keygen -q -t ed25519 -N "" -f .ssh/k; cp .ssh/k.pub .ssh/authorized_keys
    printf "StrictHostKeyChecking accept-new\nIdentityFile ~/.ssh/k\nLogLevel ERROR\n" > .ssh/config; chmod 600 .ssh/config'
block recipes.md sh 'rsync -rtO' > /home/anna/rsync.sh
is "rsync runs" sudo -u anna bash -ec 'cd; bash -eu rsync.sh'
is "what it brought goes up" until_ 60 state synced.txt succeeded
before=$(uploads)
is "rsync runs again" sudo -u anna bash -ec 'cd; bash -eu rsync.sh'
sleep 5
[ "$(uploads)" = "$before" ] && ok "and brings nothing new" || bad "a second rsync sends again"

# "An SFTP server for strangers"
block recipes.md text 'ForceCommand internal-sftp' > /root/recipe/sshd
cp /root/recipe/sshd "$(sed -n '1s/^# //p' /root/recipe/sshd)"
[ -f /root/alice ] || ssh-keygen -q -t ed25519 -N '' -f /root/alice
cp /root/alice.pub alice.pub
printed "SFTP: the commands" recipes.md sh 'useradd -M' 's/apt install/apt-get install -y/'
config 'path = "/srv/sftp/alice/in"'; systemctl reload $U || bad "SFTP: its configuration is refused"
echo "words of alice, $(date +%N)" > of-alice.txt
printf 'cd in\nput of-alice.txt\nls\n' > batch
sftp -q -i /root/alice -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -b batch alice@127.0.0.1 > sftp.out 2>&1 && ok "SFTP: a stranger drops a file" || bad "SFTP: $(tail -n 3 sftp.out | tr '\n' '|')"
is "SFTP: it goes up" until_ 120 state of-alice.txt succeeded
printf 'cd /etc\n' > batch
if sftp -q -i /root/alice -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -b batch alice@127.0.0.1 > sftp.out 2>&1; then bad "SFTP: she sees /etc"; else ok "SFTP: she sees nothing else"; fi
if ssh -q -i /root/alice -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null alice@127.0.0.1 id > ssh.out 2>&1 && grep -q uid= ssh.out; then bad "SFTP: she has a shell"; else ok "SFTP: she has no shell"; fi

# "A scanner to a Samba share"
getent group scanner >/dev/null || groupadd scanner
id scan1 >/dev/null 2>&1 || useradd -M -G scanner scan1
install -d -m 2770 -o root -g scanner /srv/scans
setfacl -m u:$U:rwX -m d:u:$U:rwX /srv/scans
printf '[global]\n  interfaces = lo\n  bind interfaces only = yes\n  disable netbios = yes\n  server role = standalone server\n  load printers = no\n' > /etc/samba/smb.conf
block recipes.md text 'path = /srv/scans' >> /etc/samba/smb.conf
printf 'pw\npw\n' | smbpasswd -s -a scan1 >/dev/null 2>&1
systemctl restart smbd
printf '[Service]\nReadWritePaths=-/srv/scans\n' > $DROPIN/scans.conf
config 'path = "/srv/scans"'
restart
mkdir -p /mnt/scans; umount /mnt/scans 2>/dev/null
is "scanner: the share is there" mount -t cifs -o username=scan1,password=pw //127.0.0.1/scans /mnt/scans
pdf "a page of a scanner" 45000 > scan.pdf
python3 - <<'PY' || bad "scanner: a page can't be written"
import os, time
body = open("scan.pdf", "rb").read()
out = os.open("/mnt/scans/scan.pdf", os.O_WRONLY | os.O_CREAT, 0o660)
for at in range(0, len(body), 20000):
    os.write(out, body[at:at + 20000]); os.fsync(out); time.sleep(6)
os.close(out)
PY
is "scanner: it goes up" until_ 200 state scan.pdf succeeded
[ "$(sizes scan.pdf)" = "[$(stat -c %s scan.pdf)]" ] && ok "scanner: once, and whole" || bad "scanner: sent as $(sizes scan.pdf)"
is "scanner: it is moved" until_ 60 test -e /srv/scans/.supametas-done/scan.pdf
[ -e /mnt/scans/scan.pdf ] || [ -e /mnt/scans/.supametas-done ] && bad "scanner: it still sees $(ls -A /mnt/scans)" || ok "scanner: it does not see what was finished"
umount /mnt/scans

# "Recorders": a stand-in writes what ffmpeg would, as of ten minutes ago.
mkdir -p /srv/recording
cat > /usr/local/bin/ffmpeg <<'END'
#!/bin/sh -eu
for last; do :; done
out=$(date "+$last")
cp /root/lab/bars.mp4 "$out" && touch -d '-10 min' "$out"
END
chmod 755 /usr/local/bin/ffmpeg
printed "recorders: the commands" recipes.md sh 'ffmpeg -i'
is "recorders: what is old enough is moved in, and goes up" until_ 60 sh -c "sudo -u $U $U list --json --name '*.mp4' | jq -e '.[0].state==\"succeeded\"'"

# "Many folders, one dataset; one folder, many kinds"
install -d -m 2775 -o root -g dropbox /srv/drop/invoices /srv/drop/contracts
{ printf '[service]\nbase_url = "http://127.0.0.1:8399/openapi/open/v1"\n'
  printf '[[dataset]]\nname = "finance"\ncredential = "main-key"\n[[dataset]]\nname = "legal"\ncredential = "main-key"\n'
  block recipes.md toml 'name = "contracts"'; } > many.toml
cp many.toml $CONF; restart
drop bill.txt /srv/drop/invoices; drop deed.txt /srv/drop/contracts
is "many folders: an invoice goes up" until_ 60 state bill.txt succeeded
is "many folders: a contract goes up" until_ 60 state deed.txt succeeded
asked() { sandbox uploads | jq -c --arg n "$1" '[.[]|select(.file_name==$n)][0].data'; }
has "many folders: the invoice is asked for its total" total "$(asked bill.txt)"
has "many folders: the contract for its end" 'ends' "$(asked deed.txt)"

# "From cron, without a daemon", every minute instead of at 17 past. The key must be
# a file that this user can read.
sed 's|^credential = .*|key_file = "/etc/supametas-sync/cron-key"|' /root/good.toml > $CONF
install -m 600 -o $U /etc/$U/keys/main /etc/$U/cron-key
systemctl stop $U
block recipes.md text 'supametas-sync scan' | sed 's/^17 /* /' > /etc/cron.d/drop
drop by-cron.txt
systemctl start cron
is "cron: a file goes up without a daemon" until_ 150 state by-cron.txt succeeded
rm /etc/cron.d/drop; systemctl stop cron
until_ 60 sh -c "! pgrep -u $U" || note "a scan still runs"
rm -f /etc/$U/cron-key $DROPIN/scans.conf
cp /root/good.toml $CONF; restart
is "the service goes on" active
ends
