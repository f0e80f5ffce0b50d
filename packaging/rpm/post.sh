# $1 is 1 after an installation, 2 or more after an upgrade. The service is not
# enabled: it has to be configured first.
systemd-sysusers supametas-sync.conf || exit 1
# The ledger's place; the unit would make it, but commands may be first.
install -d -m 0700 -o supametas-sync -g supametas-sync /var/lib/supametas-sync || exit 1
# For the Access-Keys; systemd reads them as root.
install -d -m 0700 /etc/supametas-sync/keys || exit 1
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
fi
