# The ledger, a changed configuration and the keys stay: rpm knows no purge.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" -ge 1 ]; then
        systemctl try-restart supametas-sync.service || :
    fi
fi
