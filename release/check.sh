#!/bin/sh
# Builds a release twice, in two fresh folders and with two cargo homes, and compares every byte. Then
# compares the bill of materials with what was compiled.
#
#   release/check.sh [--arch amd64|arm64]
#
# Builds the last commit. Takes several minutes: the builds share only the tools.
set -eu

main() {
    source=$(cd "$(dirname "$0")/.." && pwd -P)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM
    # Different depth and length: a path in the binary would make a difference. Both are cloned first,
    # because somebody may commit during the first build.
    git clone --quiet --no-hardlinks "$source" "$work/one"
    git clone --quiet --no-hardlinks "$work/one" "$work/another/and deeper"
    build "$work/one" "$@"
    home=${CARGO_HOME:-$HOME/.cargo}
    mkdir -p "$work/cargo home/registry"
    cp -R "$home/registry/index" "$home/registry/cache" "$work/cargo home/registry/"
    for config in config config.toml; do
        [ ! -f "$home/$config" ] || cp "$home/$config" "$work/cargo home/"
    done
    export CARGO_HOME="$work/cargo home"
    build "$work/another/and deeper" "$@"
    diff --recursive --brief "$work/one/target/dist" "$work/another/and deeper/target/dist"
    (cd "$work/one/target/dist" && sha256sum --check SHA256SUMS)
    echo 'the same bytes, twice'
    for bill in "$work"/one/target/dist/*.cdx.json; do compare_bill "$bill"; done
}

build() {
    folder=$1
    shift
    (unset CARGO_TARGET_DIR && "$folder/release/build.sh" --tools "$source/target/tools" "$@")
}

# Cargo makes a folder for each crate that it compiles for the target, with its name and a hash.
compare_bill() {
    target=$(sed -n 's/^ *"value": "\(.*-musl\)"$/\1/p' "$1")
    find "$work/one/target/$target/release/.fingerprint" -mindepth 1 -printf '%f\n' -prune |
        sed 's/-[0-9a-f]\{16\}$//' | sort -u >"$work/compiled"
    # The program itself and its crates; rust-std is part of the toolchain.
    sed -n 's/^      "name": "\(.*\)",$/\1/p' "$1" | grep -vx rust-std | sort -u >"$work/listed"
    diff "$work/compiled" "$work/listed" || {
        echo "error: ${1##*/} does not list what was compiled for $target" >&2
        exit 1
    }
    echo "${1##*/} lists the $(wc -l <"$work/listed") crates that were compiled for $target"
}

main "$@"
