# What operations.md, troubleshooting.md, hooks.md and http.md print, as they have it.
. /root/lab/lib.sh
cp $CONF /root/good.toml
restart
rm -rf /var/backups/supametas-sync
drop before.txt; until_ 60 state before.txt succeeded || bad "before.txt did not go up"

# "Backup": the timer, then by hand.
printed "the directory of the backups" operations.md sh 'install -d -m 0700'
for kind in service timer; do
    text=$(block operations.md ini "supametas-sync-backup.$kind")
    printf '%s\n' "$text" > "$(printf '%s\n' "$text" | sed -n '1s/^# //p')"
done
printed "the timer is enabled, and once run" operations.md sh 'enable --now supametas-sync-backup.timer'
is "the timer waits for the night" sh -c "systemctl list-timers --all --no-pager | grep supametas-sync-backup"
[ "$(systemctl show -p Result --value supametas-sync-backup)" = success ] && ok "the backup went well" || bad "backup: $(systemctl status --no-pager supametas-sync-backup | tail -n 5 | tr '\n' '|')"
backup=$(ls /var/backups/supametas-sync/ledger-*.sqlite)
is "it is there" test -s "$backup"
[ "$(sqlite3 "$backup" 'PRAGMA integrity_check')" = ok ] && ok "and whole" || bad "it is damaged"
touch -d '-40 days' /var/backups/supametas-sync/ledger-2020-01-01.sqlite; chown $U: /var/backups/supametas-sync/*
is "a second one of the same day works too" systemctl start supametas-sync-backup.service
[ -e /var/backups/supametas-sync/ledger-2020-01-01.sqlite ] && bad "an old one is not deleted" || ok "one of 40 days ago is deleted"
rm "$backup"
printed "a backup by hand" operations.md sh 'supametas-sync backup /var/backups/supametas-sync/ledger-'
backup=$(ls /var/backups/supametas-sync/ledger-*.sqlite)

# "Restore"
drop after.txt; until_ 60 state after.txt succeeded || bad "after.txt did not go up"
before=$(uploads)
printed "the restore" operations.md sh 'rebuild --from' "s|/var/backups/supametas-sync/ledger-[0-9-]+.sqlite|$backup|"
is "it runs" until_ 60 active
is "it knows before.txt" state before.txt succeeded
is "and what the backup did not know" state after.txt succeeded
sleep 8
[ "$(uploads)" = "$before" ] && ok "nothing is sent again" || bad "$(( $(uploads) - before )) are sent again"

# "Moving to another machine": the same files with other inodes.
systemctl stop $U
is "stopped, nothing is called uploading" sh -c "[ \$(sudo -u $U $U status --json | jq .pending.uploading) = 0 ]"
mv /srv/drop /srv/drop.old; cp -a /srv/drop.old /srv/drop
restart
drop moved-on.txt; is "moved: a new file goes up" until_ 90 state moved-on.txt succeeded
is "moved: the others are known by their content" until_ 120 sh -c "sudo -u $U $U list --json --name after.txt | jq -e '.[0].state==\"duplicate\" or .[0].state==\"succeeded\"'"
sleep 5
others=$(sandbox uploads | jq -r ".[$before:]|.[].file_name" | grep -vxE 'moved-on\.txt|bad\.txt')
[ -z "$others" ] && ok "moved: nothing else is sent but what was rejected" || bad "moved: sent again: $(printf '%s' "$others" | tr '\n' ' ')"
rm -rf /srv/drop.old

# "Taking a folder out of the configuration"
install -d -m 2775 -o root -g dropbox /srv/out; setfacl -m u:$U:rwX -m d:u:$U:rwX /srv/out
printf '[[folder]]\nname = "out"\npath = "/srv/out"\ndataset = "main"\n' >> $CONF; systemctl reload $U
s pause folder:out >/dev/null; drop left.txt /srv/out; until_ 60 state left.txt queued || bad "left.txt is not queued"
cp /root/good.toml $CONF
has "taken out: the reload says what is left" 'out.*1|1.*out' "$(s reload 2>&1)"
has "taken out: check says it" 'out' "$(s check 2>&1)"
s resume folder:out >/dev/null 2>&1; s forget left.txt --yes >/dev/null 2>&1 || s forget left.txt >/dev/null 2>&1

# "The log", "Watching it", and the first commands of troubleshooting.md.
block operations.md sh 'F_FILE=report.pdf' | sed 's/report.pdf/before.txt/' > /root/printed.sh
has "journalctl by file" before.txt "$(bash /root/printed.sh 2>&1)"
printf '#!/bin/sh\ncat > /root/mailed\n' > /usr/local/bin/mail; chmod 755 /usr/local/bin/mail
rm -f /root/mailed
printed "the cron job that watches" operations.md sh 'files need a person'
[ "$(s list --attention --json | jq length)" = 0 ] || has "it mails" 'need a person' "$(cat /root/mailed 2>&1)"
block troubleshooting.md sh 'check --online' | sed 's/show FILE/show before.txt/' > /root/printed.sh
while read -r line; do
    code=0; PATH=/root/as:$PATH timeout 60 sh -c "$line" > /root/said 2>&1 || code=$?
    case "$line:$code" in *:0) ok "$line" | sed 's/ *#.*//' ;; *--online*:1) note "check --online without a key exits 1: $(tail -n 2 /root/said | tr '\n' '|')" ;; *) bad "$line exits $code" ;; esac
done < /root/printed.sh
printed "the watch limit is raised" troubleshooting.md sh 'max_user_watches'
[ "$(cat /proc/sys/fs/inotify/max_user_watches)" = 1048576 ] && ok "and in force" || bad "and not in force"
until_ 60 active

# hooks.md: the three examples, in the sandbox of the unit.
hook() { block hooks.md sh "$1" > "/usr/local/bin/$2"; chmod 755 "/usr/local/bin/$2"; }
hook 'curl -sS smtp' tell-mail; hook 'chat.curl' tell-chat; hook 'imported.jsonl' tell-list
rm -f /root/mails /root/chats
python3 /root/lab/sink.py smtp 25 /root/mails & smtp=$!
python3 /root/lab/sink.py http 8397 /root/chats & http=$!
trap 'kill $smtp $http' EXIT
echo 'url = "http://127.0.0.1:8397/hook"' | install -m 600 -o $U /dev/stdin /etc/$U/chat.curl
install -d -o $U /srv/lists; rm -f /srv/lists/*
printf '[Service]\nReadWritePaths=/srv/lists\n' > $DROPIN/hooks.conf
cat >> $CONF <<'END'
[[folder.hook]]
name = "mail"
on = ["attention", "paused"]
command = ["/usr/local/bin/tell-mail"]
[[folder.hook]]
name = "chat"
on = ["failed", "rejected"]
command = ["/usr/local/bin/tell-chat"]
[[folder.hook]]
name = "list"
on = ["succeeded"]
command = ["/usr/local/bin/tell-list"]
END
restart
drop told.txt
fault '[{"file": "refused*", "status": 415, "message": "no"}]'
drop refused.txt
is "hooks: the list has what was imported" until_ 90 grep -q told.txt /srv/lists/imported.jsonl
is "hooks: a mail tells what was refused" until_ 90 grep -q 'Subject:.*rejected.*refused.txt' /root/mails
is "hooks: the chat hears of it" until_ 90 grep -q '"text":"rejected: .*refused.txt' /root/chats
nofault
kill $smtp $http; trap - EXIT
rm $DROPIN/hooks.conf

# hooks.md: the service's webhook, behind nginx as the page has it.
cp /root/good.toml $CONF
printed "webhook: the secret and the directory" hooks.md sh 'openssl rand'
sed -i 's|^credential = .*|&\nwebhook_path_file = "/etc/supametas-sync/main-webhook"\nresults_dir = "/var/lib/supametas-sync/results"|' $CONF
printf '[http]\nlisten = "127.0.0.1:8398"\n' >> $CONF
restart
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=sync.example.com -keyout /etc/ssl/private/sync.key -out /etc/ssl/certs/sync.pem 2>/dev/null
rm -f /etc/nginx/sites-enabled/default
block hooks.md nginx 'webhook' | sed 's|# ssl_certificate .*|ssl_certificate /etc/ssl/certs/sync.pem; ssl_certificate_key /etc/ssl/private/sync.key;|' > /etc/nginx/conf.d/sync.conf
is "webhook: nginx takes its settings" nginx -t
systemctl restart nginx
push() { curl -sk -o /dev/null -w '%{http_code}' --resolve sync.example.com:443:127.0.0.1 -H 'Content-Type: application/json' -d '{"a": 1}' "https://sync.example.com$1"; }
got=$(push "/webhook/$(cat /etc/$U/main-webhook)")
[ "$got" = 204 ] && ok "webhook: a push comes through the proxy" || bad "webhook: a push is answered $got: $(journalctl -u $U -n 3 -o cat | tr '\n' '|')"
is "webhook: it is kept" sh -c "ls /var/lib/$U/results/*.json"
got=$(push /api/status); [ "$got" = 404 ] && ok "webhook: nothing else does" || bad "webhook: /api/status is answered $got"

# http.md: the port, and the socket for a proxy.
has "http: the port" '"running"' "$(bash -c "$(block http.md sh 'curl http://127.0.0.1:8398/api/status' | grep 127.0.0.1)" 2>&1)"
has "http: the socket" '"running"' "$(bash -c "$(block http.md sh 'curl http://127.0.0.1:8398/api/status' | grep unix-socket)" 2>&1)"
text=$(block http.md text '/run/supametas-sync/http'); printf '%s\n' "$text" > "$(printf '%s\n' "$text" | sed -n '1s/^# //p')"
systemd-tmpfiles --create
printf '[Service]\nReadWritePaths=/run/supametas-sync/http\n' > $DROPIN/http.conf
sed -i 's|^listen = .*|listen = "/run/supametas-sync/http/web.sock"|' $CONF
restart
printf 'server { listen 127.0.0.1:8090; location / { proxy_pass http://unix:/run/supametas-sync/http/web.sock:; } }\n' > /etc/nginx/conf.d/sync.conf
systemctl restart nginx
until_ 20 test -S /run/supametas-sync/http/web.sock
has "http: nginx reaches the socket for it" '"running"' "$(curl -s --max-time 20 http://127.0.0.1:8090/api/status 2>&1)"
systemctl stop nginx
rm $DROPIN/http.conf
cp /root/good.toml $CONF; restart
ends
