#!/bin/sh
# Builds a release twice, in two fresh folders, and compares every byte.
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
