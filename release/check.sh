#!/bin/sh
# Builds a release twice, in two fresh folders and with two cargo homes, and compares every byte.
#
#   release/check.sh [--arch amd64|arm64]
#
# Builds what is committed. Takes several minutes: nothing is shared but the tools.
set -eu

main() {
    source=$(cd "$(dirname "$0")/.." && pwd -P)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM
    # Of different depth and length, so that a path in the binary would show.
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
}

build() {
    folder=$1
    shift
    git clone --quiet --no-hardlinks "$source" "$folder"
    (unset CARGO_TARGET_DIR && "$folder/release/build.sh" --tools "$source/target/tools" "$@")
}

main "$@"
