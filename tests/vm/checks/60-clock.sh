# The clock a day on and a day back, with a file in backoff.
. /root/lab/lib.sh
systemctl start $U; until_ 60 active
systemctl stop systemd-timesyncd 2>/dev/null
fault '[{"file": "late*", "status": 503}]'
sudo -u anna sh -c 'date +%N > /srv/drop/.l && mv /srv/drop/.l /srv/drop/late.txt'
until_ 60 state late.txt queued || bad "late.txt is not queued"
sleep 5
here=$(cursor)
date -s '+1 day' >/dev/null
sleep 15
is "a day on: it lives" active
[ "$(s list --json | jq -r '[.[]|select(.file=="late.txt")][0].state')" = queued ] && ok "it did not give up" || bad "it gave up"
nofault
sudo -u $U $U resume all >/dev/null 2>&1
is "it goes up soon" until_ 180 state late.txt succeeded
date -s '-1 day' >/dev/null
sleep 15
is "a day back: it lives" active
sudo -u anna sh -c 'date +%N > /srv/drop/.p && mv /srv/drop/.p /srv/drop/past.txt'
is "a file dropped then goes up" until_ 120 state past.txt succeeded
first=$(s list --json | jq -r '.[0].file')
[ "$first" = past.txt ] && ok "list shows the newest first" || bad "list shows $first first"
said "$here" | grep -q 'clock' && ok "the log says that the clock was set" || bad "the log does not say it"
ends
