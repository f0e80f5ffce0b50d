# $1 is 0 when the package goes, 1 or more when a newer one takes its place.
if [ "$1" -eq 0 ] && [ -d /run/systemd/system ]; then
    systemctl --no-reload disable --now supametas-sync.service || :
fi
