#!/usr/bin/env bash
# Mutation testing of src/domain: each small change of a decision must fail a
# test (docs/testing.md; what survives on purpose stands in tests/mutants.txt).
#
#   cargo install --locked cargo-mutants
#   tests/mutants.sh [OPTION OF CARGO-MUTANTS…]
#   tests/mutants.sh --iterate      # goes on: what was caught is not run again
#
# The domain is pure, so it is copied into a crate of its own, which builds in
# a second or two; the whole program would take ten for each mutant. MUTANTS_DIR
# says where: a directory that is made, and made anew each time.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
dir=${MUTANTS_DIR:-${TMPDIR:-/tmp}/supametas-sync-mutants}
rm -rf "$dir/crate"
mkdir -p "$dir/crate/src"
cd "$dir/crate"
cp -r "$root/src/domain" src/domain
cp "$root/Cargo.lock" .
printf '//! The domain alone.\n\npub mod domain;\n' >src/lib.rs

# The lines of the manifest that the domain needs, as they are there.
need() { grep -E "^($1) = " "$root/Cargo.toml"; }
{
    printf '[package]\nname = "supametas-domain"\nversion = "0.0.0"\nedition = "2024"\n\n'
    printf '[workspace]\n\n[dependencies]\n'
    need 'serde|thiserror|jiff|strsim'
    printf '\n[dev-dependencies]\n'
    need 'proptest'
    # Without debug information a mutant is built faster.
    printf '\n[profile.dev]\ndebug = 0\n'
} >Cargo.toml

# Found among mutants: tests must not be what finds new cases by chance, so
# proptest draws the same ones for all of them.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-1}
export PROPTEST_CASES=${PROPTEST_CASES:-32}
export CARGO_TARGET_DIR="$dir/target"
# `--cargo-arg`: nothing but the tests is built, either.
exec cargo mutants --output "$dir" --jobs 1 --minimum-test-timeout 120 \
    --cargo-arg=--lib "$@"
