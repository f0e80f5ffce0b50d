# Keys that systemd hands over: `check` by hand, a new key after 401, a key file
# that is missing.
. /root/lab/lib.sh
restart
said_=$(s check 2>&1); code=$?
[ $code = 0 ] && ok "check by hand exits 0" || bad "check by hand exits $code: $(printf '%s' "$said_" | tail -n 4 | tr '\n' '|')"
has "and says what it can't know of the key" 'credential' "$said_"

# The service takes the old key no more.
drop k0.txt; until_ 60 state k0.txt succeeded || bad "k0.txt did not go up"
old=$(sandbox uploads | jq -r '.[-1].key')
fault "[{\"route\": \"import\", \"key\": \"$old\", \"status\": 401}]"
here=$(cursor)
drop k1.txt
is "after 401 the dataset is paused" until_ 60 sh -c "curl -s --unix-socket /var/lib/$U/ledger.sqlite.sock http://localhost/api/status | jq -e '.gates[]|select(.gate==\"dataset:main\")'"
is "the log advises a restart" until_ 30 sh -c "journalctl -u $U --cursor='$here' -o cat | grep 'HTTP-401' | grep restart"
has "status, too" 'restart' "$(status_json | jq -r '.gates[].opens')"
# As operations.md has it, "A new key".
printf 'sk-lab-another-0123456789\n' > /etc/$U/keys/main
systemctl restart $U; until_ 60 active
is "with the new key what waited goes up by itself" until_ 60 state k1.txt succeeded
nofault

# No key file.
mv /etc/$U/keys/main /root/key-kept
systemctl restart $U 2>/dev/null
has "a key file that is missing is 243/CREDENTIALS" '243/CREDENTIALS' "$(systemctl status $U --no-pager -n 20)"
[ "$(unit ActiveState)" = failed ] && ok "and fails at once" || bad "it is $(unit ActiveState)"
has "which the troubleshooting page has" '243/CREDENTIALS' "$(grep '^###' /root/lab/docs/troubleshooting.md)"
mv /root/key-kept /etc/$U/keys/main
is "put back, it starts without reset-failed" systemctl start $U
: > /etc/$U/keys/main
systemctl restart $U 2>/dev/null
until_ 20 sh -c "[ \$(systemctl show -p ActiveState --value $U) = failed ]"
has "an empty one is said" 'empty|CREDENTIALS' "$(systemctl status $U --no-pager -n 20)"
printf 'sk-lab-0123456789abcdef\n' > /etc/$U/keys/main
is "with a key it starts" systemctl start $U
is "it is active" until_ 60 active
drop k2.txt; is "and sends" until_ 60 state k2.txt succeeded
ends
