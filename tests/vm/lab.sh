#!/usr/bin/env bash
# A Debian 12 guest with a live systemd, journald, NFS, Samba and file systems,
# made of Debian packages, in which the package is installed and tried.
#
#   lab.sh tools            qemu and mmdebstrap (nothing of it is installed here but mmdebstrap)
#   lab.sh packages         an older and a newer .deb, from a copy of the tree
#   lab.sh image            the guest's system
#   lab.sh all              the three, where they are missing
#   lab.sh up | down | cut  start; shut down in order; pull the plug
#   lab.sh fresh            down, and back to the image as it was made
#   lab.sh sh COMMAND       in the guest, as root
#   lab.sh put FILE... DIR  into the guest
#   lab.sh check NAME...    checks/NAME.sh, in the guest (host-NAME.sh: here)
#
# LAB    where all of it lies (default: target/vm, git-ignored)
# TREE   the product's source (default: the repository that this lies in)
# BINARY a release build of the product (default: TREE/target/release/supametas-sync)
# PORT   ports on loopback: PORT+10 for the sandbox of `power`, PORT+22 for ssh
#        (default 20400)
# ACCEL  kvm where /dev/kvm can be used, else tcg; another wish of qemu's
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TREE=${TREE:-$(cd "$here/../.." && pwd)}
LAB=${LAB:-$TREE/target/vm}
PORT=${PORT:-20400}
MEM=${MEM:-1536}
SSH_PORT=$((PORT + 22))
mkdir -p "$LAB"
LAB=$(cd "$LAB" && pwd)

say() { printf -- '-- %s (%d s)\n' "$1" "$SECONDS" >&2; }

with_qemu() {
    local q=$LAB/qemu program=$1
    shift
    LD_LIBRARY_PATH=$q/usr/lib/x86_64-linux-gnu:$q/lib/x86_64-linux-gnu \
        "$q/usr/bin/$program" "$@"
}

tools() {
    command -v mmdebstrap >/dev/null ||
        apt-get install -y -qq --no-install-recommends mmdebstrap arch-test
    # Beside the system, since another qemu may be there already.
    [ -x "$LAB/qemu/usr/bin/qemu-system-x86_64" ] ||
        mmdebstrap --quiet --mode=root --variant=extract \
            --include=qemu-system-x86,qemu-utils,seabios,ipxe-qemu bookworm "$LAB/qemu"
    say tools
}

packages() {
    : "${BINARY:=$TREE/target/release/supametas-sync}"
    local src=$LAB/src
    rm -rf "$src" "$LAB/packages"
    mkdir -p "$src" "$LAB/packages"
    tar -C "$TREE" -cf - --exclude=./target --exclude=./fuzz/target . | tar -C "$src" -xf -
    [ ! -d "$LAB/tools" ] || { mkdir -p "$src/target"; cp -a "$LAB/tools" "$src/target/tools"; }
    (
        cd "$src"
        unset CARGO_TARGET_DIR
        nice packaging/build.sh --tools --deb --binary "$BINARY" --version 0.0.9
        mv target/package/*.deb "$LAB/packages/"
        nice packaging/build.sh --deb --binary "$BINARY"
        mv target/package/*.deb "$LAB/packages/"
    )
    # They took minutes to compile: the next packages need not.
    [ -d "$LAB/tools" ] || { mkdir "$LAB/tools"; cp -a "$src/target/tools/bin" "$LAB/tools/bin"; }
    rm -rf "$src"
    say packages
}

PACKAGES=systemd,systemd-sysv,udev,dbus,libnss-systemd,libpam-systemd,openssh-server
PACKAGES+=,iproute2,iptables,kmod,linux-image-amd64,initramfs-tools,zstd,procps,psmisc
PACKAGES+=,ca-certificates,acl,sudo,curl,jq,less,python3-minimal,sqlite3,strace,lsof,timelimit
PACKAGES+=,nfs-kernel-server,nfs-common,samba,cifs-utils,bindfs,sshfs,btrfs-progs,xfsprogs,dnsmasq
PACKAGES+=,openssl,rsync,cron,nginx-light

image() {
    [ -d "$LAB/root" ] ||
        nice mmdebstrap --quiet --mode=root --variant=minbase \
            --aptopt='APT::Install-Recommends "false"' --include=$PACKAGES bookworm "$LAB/root"
    say "the guest's system"
    [ -f "$LAB/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$LAB/key"
    install -D -m 600 "$LAB/key.pub" "$LAB/root/root/.ssh/authorized_keys"
    cp "$here/guest/setup.sh" "$LAB/root/root/setup.sh"
    chroot "$LAB/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin bash /root/setup.sh
    cp "$LAB"/root/boot/vmlinuz-* "$LAB/vmlinuz"
    cp "$LAB"/root/boot/initrd.img-* "$LAB/initrd"
    rm -f "$LAB/disk.raw"
    truncate -s 6G "$LAB/disk.raw"
    mke2fs -q -t ext4 -d "$LAB/root" "$LAB/disk.raw"
    overlay
    say image
}

# What the guest writes goes into an overlay. It keeps its own tables in qemu's
# memory until the guest flushes: so a plug that is pulled takes newly allocated
# clusters that the guest had written and not flushed, as a disk with a cache of
# its own would.
overlay() {
    rm -f "$LAB/disk.qcow2"
    with_qemu qemu-img create -q -f qcow2 -b "$LAB/disk.raw" -F raw "$LAB/disk.qcow2"
}

guest() {
    ssh -q -i "$LAB/key" -p "$SSH_PORT" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ControlMaster=auto \
        -o ControlPath="$LAB/ssh" -o ControlPersist=600 root@127.0.0.1 "$@"
}

put() {
    local last=${*: -1}
    tar -cf - -C / "${@:1:$#-1}" 2>/dev/null | guest "mkdir -p $last && tar -xf - -C $last --transform='s|.*/||'"
}

running() { [ -f "$LAB/pid" ] && kill -0 "$(cat "$LAB/pid")" 2>/dev/null; }

# boot ACCELERATOR CPU SECONDS
boot() {
    rm -f "$LAB/ssh"
    with_qemu qemu-system-x86_64 -L "$LAB/qemu/usr/share/qemu" -L "$LAB/qemu/usr/share/seabios" \
        -L "$LAB/qemu/usr/lib/ipxe/qemu" \
        -machine q35 -accel "$1" -cpu "$2" -smp 2 -m "$MEM" -nodefaults -no-reboot -display none \
        -drive "file=$LAB/disk.qcow2,if=virtio,format=qcow2,cache=${CACHE:-writeback}" \
        -netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$SSH_PORT-:22" \
        -device virtio-net-pci,netdev=n -device virtio-rng-pci \
        -serial "file:$LAB/console" -monitor "unix:$LAB/monitor,server,nowait" \
        -kernel "$LAB/vmlinuz" -initrd "$LAB/initrd" \
        -append "root=/dev/vda rw console=ttyS0 quiet panic=-1 net.ifnames=0 systemd.default_timeout_start_sec=300 ${APPEND:-}" \
        -pidfile "$LAB/pid" -daemonize || return 1
    local end=$((SECONDS + $3))
    while [ $SECONDS -lt $end ]; do
        if guest true 2>/dev/null; then say "up, by $1"; echo "$1" > "$LAB/accelerator"; return 0; fi
        running || break
        sleep 1
    done
    tail -n 20 "$LAB/console" >&2
    return 1
}

# Where KVM is offered and boots nothing, as in some containers, without it.
up() {
    ! running || return 0
    if [ -n "${ACCEL:-}" ]; then boot "$ACCEL" max 600; return; fi
    if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
        if boot kvm host 90; then return 0; fi
        cut
    fi
    boot tcg,thread=multi max 600
}

gone() {
    local i
    for i in $(seq "$1"); do running || return 0; sleep 1; done
    return 1
}
down() {
    running || return 0
    guest systemctl poweroff || :
    gone 150 || cut
    rm -f "$LAB/pid" "$LAB/ssh"
    say down
}
cut() {
    running || return 0
    kill -9 "$(cat "$LAB/pid")"
    gone 10
    rm -f "$LAB/pid" "$LAB/ssh"
    say "plug pulled"
}
# A reboot that is asked for in the guest ends qemu (-no-reboot); start it again.
again() { gone 180; rm -f "$LAB/pid" "$LAB/ssh"; up; }

all() {
    [ -x "$LAB/qemu/usr/bin/qemu-system-x86_64" ] || tools
    [ -d "$LAB/packages" ] || packages
    [ -f "$LAB/disk.raw" ] || image
}

check() {
    local name code=0
    for name; do
        if [ -f "$here/checks/host-$name.sh" ]; then
            # shellcheck disable=SC1090
            . "$here/checks/host-$name.sh" || code=1
        else
            put "$here"/guest/* "$here/checks/$name.sh" "$TREE"/tests/samples/bars.mp4 /root/lab
            put "$TREE"/README.md "$TREE"/docs/*.md /root/lab/docs
            guest "bash /root/lab/$name.sh" || code=1
        fi
        say "check $name"
    done
    return $code
}

case "${1:-}" in
    tools|packages|image|all|up|down|cut|again) "$1" ;;
    fresh) ! running || cut; overlay ;;
    sh) shift; guest "$@" ;;
    put) shift; put "$@" ;;
    check) shift; check "$@" ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
