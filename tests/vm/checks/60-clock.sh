# The clock a day on and a day back, with a file in backoff.
. /root/lab/lib.sh
restart
systemctl stop systemd-timesyncd 2>/dev/null
fault '[{"file": "late*", "status": 503}]'
drop late.txt
is "a file is in backoff" until_ 60 sh -c "sudo -u $U $U list --json --name late.txt | jq -e '.[0]|.state==\"queued\" and .failures>0'"
here=$(cursor)
date -s '+1 day' >/dev/null
sleep 10
is "a day on: it lives" active
[ "$(newest late.txt | jq -r .state)" = queued ] && ok "it did not give up" || bad "it gave up: $(newest late.txt)"
nofault
is "it goes up soon, by itself" until_ 180 state late.txt succeeded
date -s '-1 day' >/dev/null
sleep 10
is "a day back: it lives" active
drop past.txt
is "a file dropped then goes up" until_ 120 state past.txt succeeded
first=$(s list --json | jq -r '.[0].file')
[ "$first" = past.txt ] && ok "list shows the newest first" || bad "list shows $first first"
fault '[{"file": "back*", "status": 503, "times": 2}]'
drop back.txt
is "one in backoff then, too" until_ 180 state back.txt succeeded
nofault
has "the log says that the clock was set" clock "$(said "$here")"
ends
