#!/usr/bin/env bash
# Builds both packages and installs, upgrades, removes and purges them in a
# throw-away Debian 12. Nothing outside target/ and a temporary directory is
# touched, and no service of this machine is spoken to.
#
#   packaging/test.sh                    with a release build
#   packaging/test.sh --binary PATH      with this binary; nothing is built
#
# Needs root, debootstrap, rpm and lintian, and a Debian mirror: MIRROR, or the
# first that apt uses. Where one of these is missing it fails and says which.
# BASE names a system that debootstrap made before, to save its minute.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS

binary=(); [ "${1:-}" != --binary ] || binary=(--binary "$2")
work=$(mktemp -d)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
# Lower than any version that will ever be.
older=0.0.0

say() { printf '\n-- %s (%d s)\n' "$1" "$((SECONDS - started))"; }
fail() { echo "packaging/test.sh: $*" >&2; exit 1; }
finish() {
    for mount in "$work"/*/proc; do
        if mountpoint -q "$mount"; then umount "$mount"; fi
    done
    rm -rf --one-file-system "$work"
}
trap finish EXIT

[ "$(id -u)" -eq 0 ] || fail "has to be root: it makes a system of its own to install into"
for tool in debootstrap rpm lintian; do
    command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install debootstrap rpm lintian"
done

# in_root ROOT COMMAND...: as root of that system, with its locale and nothing
# of ours in the environment.
in_root() {
    local root=$1; shift
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        HOME=/root chroot "$root" "$@"
}
# is ROOT PATH EXPECTED: mode, owner and group.
is() {
    local found; found=$(in_root "$1" stat -c '%a %U:%G' "$2") || fail "$2 is not there"
    [ "$found" = "$3" ] || fail "$2 is $found, not $3"
}
there() { [ -e "$1$2" ] || fail "$2 is not there"; }
gone() { [ ! -e "$1$2" ] || fail "$2 is still there"; }
holds() { grep -qF -- "$3" "$1$2" || fail "$2 does not hold: $3"; }

say "packages, an older pair first"
rm -rf target/package target/package-older
# The older package's configuration is another one, so that an upgrade has to
# decide between the new one and what the operator made of the old one.
{ cat packaging/config.toml; echo '# of the older version'; } > "$work/config.toml"
packaging/build.sh --tools "${binary[@]}" --version "$older" --config "$work/config.toml"
mv target/package target/package-older
packaging/build.sh --binary target/package-older/supametas-sync
# A bar of the project (docs/binary.md): what a dependency or a profile adds
# unnoticed is noticed here.
size=$(stat -c %s target/package/supametas-sync) most=12000000
echo "the stripped program has $size bytes, of $most at most"
[ "$size" -le "$most" ] || fail "the stripped program has $size bytes, more than $most: \
docs/binary.md says where the bytes are and how to look"
deb=$(echo target/package/*.deb) rpm=$(echo target/package/*.rpm)
old_deb=$(echo target/package-older/*.deb) old_rpm=$(echo target/package-older/*.rpm)

say "lintian"
# As root it wants to be asked for it; `pedantic` is a matter of taste.
lintian --allow-root --fail-on error,warning --display-level '>=warning' "$deb"

say "a clean Debian 12"
if [ -n "${BASE:-}" ]; then
    cp -a "$BASE" "$work/deb"
else
    # shellcheck disable=SC2016 # $(REPO_URI) is apt's.
    mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 debian || true)}
    [ -n "$mirror" ] || fail "apt knows no Debian mirror: set MIRROR"
    debootstrap --variant=minbase --include=systemd,man-db,ca-certificates,procps \
        bookworm "$work/deb" "$mirror" > "$work/debootstrap.log" 2>&1 || {
        tail -n 20 "$work/debootstrap.log" >&2
        fail "debootstrap could not make a system from $mirror"
    }
fi
# The second system, for the .rpm, before anything is in the first.
cp -a "$work/deb" "$work/rpm"
for root in deb rpm; do mount -t proc proc "$work/$root/proc"; done

# What holds after an installation, whichever package it was.
installed() {
    local root=$1
    is "$root" /usr/bin/supametas-sync '755 root:root'
    is "$root" /etc/supametas-sync/config.toml '644 root:root'
    is "$root" /etc/supametas-sync/keys '700 root:root'
    is "$root" /var/lib/supametas-sync '700 supametas-sync:supametas-sync'
    is "$root" /usr/lib/systemd/system/supametas-sync.service '644 root:root'
    in_root "$root" getent passwd supametas-sync | grep -q '/usr/sbin/nologin$' ||
        fail "the user can log in"
    gone "$root" /etc/systemd/system/multi-user.target.wants/supametas-sync.service
    [ "$(in_root "$root" supametas-sync --version)" = "supametas-sync $version" ] ||
        fail "--version is not $version"

    # Man pages: found, and whole.
    local page
    for page in supametas-sync supametas-sync-run supametas-sync-check supametas-sync.toml; do
        in_root "$root" man -w "$page" >/dev/null || fail "no man page $page"
        in_root "$root" man --warnings "$page" 2>"$work/said" | grep -q 'SEE ALSO' ||
            fail "the man page $page has no end"
        [ ! -s "$work/said" ] || fail "man $page: $(cat "$work/said")"
    done

    # Completions, as bash-completion loads them.
    # shellcheck disable=SC2016 # For the shell in there.
    in_root "$root" bash -c '
        . /usr/share/bash-completion/completions/supametas-sync
        COMP_WORDS=(supametas-sync st) COMP_CWORD=1
        "$(complete -p supametas-sync | sed "s/.*-F \([^ ]*\).*/\1/")" supametas-sync st supametas-sync
        [ "${COMPREPLY[*]}" = status ]' || fail "bash does not complete \`st\` to \`status\`"

    # Not configured: said so, with what to do, and exit code 2.
    local code=0
    in_root "$root" supametas-sync check > "$work/said" || code=$?
    [ "$code" -eq 2 ] || fail "check ended with $code before anything was configured"
    holds "$work" /said 'add a [[dataset]]'

    # The unit as it lies there, with all that it names.
    in_root "$root" systemd-analyze verify --man=no supametas-sync.service > "$work/said" 2>&1 || :
    ! grep -F supametas-sync "$work/said" || fail "systemd-analyze verify is not content"
}

# The operator at work: a configuration, a key, and a ledger.
use() {
    local root=$1
    echo '# my own' >> "$root/etc/supametas-sync/config.toml"
    echo secret > "$root/etc/supametas-sync/keys/main"
    echo ledger > "$root/var/lib/supametas-sync/ledger.sqlite"
}
kept() {
    local root=$1
    holds "$root" /etc/supametas-sync/config.toml '# my own'
    holds "$root" /etc/supametas-sync/keys/main secret
    holds "$root" /var/lib/supametas-sync/ledger.sqlite ledger
}

say "deb: install"
root=$work/deb
dpkg_in() { in_root "$root" dpkg --force-confdef --force-confold "$@"; }
cp "$old_deb" "$root/older.deb"; cp "$deb" "$root/newer.deb"
dpkg_in -i /older.deb
installed "$root"

say "deb: the program at work, as its own user"
in_root "$root" install -d -o supametas-sync /srv/try
in_root "$root" runuser -u supametas-sync -- sh -c \
    'cd /srv/try && supametas-sync try --once --pending-for 100ms' | tee "$work/said"
holds "$work" /said '6 succeeded'

say "deb: upgrade, remove, install again, purge"
use "$root"
dpkg_in -i /newer.deb
in_root "$root" dpkg -s supametas-sync | grep -qx "Version: $version-1" || fail "not upgraded"
kept "$root"
holds "$root" /etc/supametas-sync/config.toml '# of the older version'
there "$root" /etc/supametas-sync/config.toml.dpkg-dist
dpkg_in -r supametas-sync
gone "$root" /usr/bin/supametas-sync
kept "$root"
dpkg_in -i /newer.deb
kept "$root"
dpkg_in -P supametas-sync
gone "$root" /var/lib/supametas-sync
gone "$root" /etc/supametas-sync
left=$(find "$root/etc" "$root/usr" "$root/var/lib" -name '*supametas*' \
    ! -path '*/info/*' -print)
[ -z "$left" ] || fail "left after the purge: $left"

say "rpm: install, upgrade, erase"
root=$work/rpm
rpm -qpl "$rpm"
rpm -qp --requires "$rpm" | grep -q 'libc.so.6' || fail "the .rpm does not name the C library"
# Its own database knows none of Debian's packages, hence --nodeps.
rpm_in() { rpm --root "$root" --dbpath /var/lib/rpm --nodeps --force-debian "$@"; }
rpm_in -i "$old_rpm"
installed "$root"
use "$root"
rpm_in -U "$rpm"
found=$(rpm --root "$root" --dbpath /var/lib/rpm -q --qf '%{VERSION}' supametas-sync)
[ "$found" = "$version" ] || fail "not upgraded"
kept "$root"
there "$root" /etc/supametas-sync/config.toml.rpmnew
rpm_in -e supametas-sync
gone "$root" /usr/bin/supametas-sync
holds "$root" /etc/supametas-sync/config.toml.rpmsave '# my own'
holds "$root" /etc/supametas-sync/keys/main secret
holds "$root" /var/lib/supametas-sync/ledger.sqlite ledger

say "all passed: $deb, $rpm"
