#!/usr/bin/env bash
# Builds the .deb and the .rpm into target/package/.
#
#   packaging/build.sh                   with a release build
#   packaging/build.sh --binary PATH     with this binary; nothing is built
#   packaging/build.sh --version 0.0.9   as another version, to test upgrades:
#                                        larger, and faster made
#   packaging/build.sh --config PATH     with another starter configuration
#   packaging/build.sh --deb             the .deb alone
#
# Needs cargo-deb and cargo-generate-rpm (`--tools` installs them below
# target/tools/), dpkg-dev for the libraries the binary needs, and gzip.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=
config=packaging/config.toml
compress=zstd fast=() tools_wanted=
rpm=yes
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
out=target/package
tools=target/tools
export PATH="$PWD/$tools/bin:$PATH"

# They run for seconds and would compile for minutes: so only what compresses,
# which is C, is optimised.
install_tools() {
    export CFLAGS=-O2
    export CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
    command -v cargo-deb >/dev/null ||
        cargo install -q --locked --root "$tools" --target-dir "$tools/target" \
            --no-default-features cargo-deb@3.8.0
    [ -z "$rpm" ] || command -v cargo-generate-rpm >/dev/null ||
        cargo install -q --locked --root "$tools" --target-dir "$tools/target" \
            cargo-generate-rpm@0.21.1
    unset CFLAGS "${!CARGO_PROFILE_RELEASE_@}"
}

while [ $# -gt 0 ]; do
    case "$1" in
        --binary) binary=$2; shift 2 ;;
        --version) version=$2 compress=gzip fast=(--fast); shift 2 ;;
        --config) config=$2; shift 2 ;;
        --tools) tools_wanted=yes; shift ;;
        --deb) rpm=; shift ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
[ -z "$tools_wanted" ] || install_tools
for tool in cargo-deb ${rpm:+cargo-generate-rpm} dpkg-shlibdeps gzip; do
    command -v "$tool" >/dev/null || {
        echo "$tool is missing: packaging/build.sh --tools installs the cargo- ones," \
            "apt-get install dpkg-dev gzip the others" >&2
        exit 1
    }
done
if [ -z "$binary" ]; then
    cargo build --release --locked
    binary=${CARGO_TARGET_DIR:-target}/release/supametas-sync
fi

# The same source gives the same package: every time is the last commit's.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
fi
export SOURCE_DATE_EPOCH

rm -rf "$out/man" "$out/completions" "$out/configuration.md"
mkdir -p "$out"
install -m 755 "$binary" "$out/supametas-sync"
strip "$out/supametas-sync"
install -m 644 "$config" "$out/config.toml"
"$out/supametas-sync" generate "$out"
gzip -9nf "$out"/man/*
gzip -9nc CHANGELOG.md > "$out/changelog.gz"
maintainer=$(sed -n 's/^maintainer = "\(.*\)"$/\1/p' Cargo.toml)
gzip -9nc > "$out/changelog.Debian.gz" <<END
supametas-sync ($version-1) unstable; urgency=medium

  * Version $version; what changed is in changelog.gz.

 -- $maintainer  $(date -uRd "@$SOURCE_DATE_EPOCH")
END

cargo deb -q "${fast[@]}" --no-build --no-strip --no-dbgsym --deb-version "$version-1" --output "$out/"
[ -z "$rpm" ] || cargo generate-rpm --auto-req builtin --payload-compress "$compress" --set-metadata "version = \"$version\"" --output "$out/"
ls -l "$out"/*"$version"-1*
