#!/bin/sh
# Builds a release: static binaries, packages, an OCI archive, bills of materials, licences, man page,
# completions, provenance, checksums and, with a key, their signature.
#
#   release/build.sh [--arch amd64|arm64] [--out DIR] [--tools DIR] [--key FILE] [--keep-symbols yes]
#
#   --arch           one architecture only (default: both)
#   --out            where the results go (default: target/dist)
#   --tools          where the tools below go (default: target/tools)
#   --key            a private key of ssh-keygen; SHA256SUMS.sig is made with it
#   --keep-symbols   for profilers, not for a release: keeps the names of functions, and takes the
#                    vDSO's address from libc, because valgrind hides it from everything else
#
# The same commit and the same compiler give the same bytes, in any folder. SOURCE_DATE_EPOCH dates
# the bills of materials. Its default is the time of the commit.
#
# Needs cargo and rustc, python3 with venv, file, sha256sum; for packages dpkg-deb and rpmbuild (Debian:
# rpm), for a signature ssh-keygen. Downloads:
#
#   the standard libraries of the targets   with rustup, into the toolchain
#   a C compiler for both targets           Zig, with pip, into --tools; requirements.txt pins it
#
# ring's C code is compiled by Zig. Everything is linked by the linker that comes with Rust, against
# the musl that comes with Rust: that makes the amd64 binary position-independent, which Zig's own
# linking does not. For arm64 Rust makes static binaries at fixed addresses only.
set -eu

NAME=aliyun-acr-credential-provider
MAX_BYTES=$((5 * 1024 * 1024))

say() { printf '== %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null 2>&1 || die "$1 is not installed${2:+; $2}"
}

target_of() {
    case "$1" in
    amd64) echo x86_64-unknown-linux-musl ;;
    arm64) echo aarch64-unknown-linux-musl ;;
    *) die "unknown architecture \`$1\`; known are amd64 and arm64" ;;
    esac
}

main() {
    archs='amd64 arm64'
    source=$(cd "$(dirname "$0")/.." && pwd -P)
    out=$source/target/dist
    tools=$source/target/tools
    strip=symbols
    features=
    key=
    while [ $# -gt 0 ]; do
        [ $# -gt 1 ] || die "\`$1\` needs a value, or is not an option; see the head of release/build.sh"
        case "$1" in
        --arch) archs=$2 ;;
        --out) out=$2 ;;
        --tools) tools=$2 ;;
        --key) key=$(cd "$(dirname "$2")" && pwd -P)/${2##*/} ;;
        --keep-symbols) strip=debuginfo features=rustix/use-libc-auxv ;;
        *) die "unknown option \`$1\`" ;;
        esac
        shift 2
    done
    for arch in $archs; do target_of "$arch" >/dev/null; done
    out=$(mkdir -p "$out" && cd "$out" && pwd -P)
    tools=$(mkdir -p "$tools" && cd "$tools" && pwd -P)
    cd "$source"

    PATH=$PATH:$HOME/.cargo/bin
    need cargo 'see https://rustup.rs'
    need python3
    need file
    need sha256sum
    [ -z "$key" ] || need ssh-keygen
    settle_environment
    install_tools
    cargo fetch --quiet --locked
    forget_paths

    rm -f "$out/$NAME"[-._]* "$out/_$NAME" "$out"/SHA256SUMS* "$out"/*-LICENSES.*
    for arch in $archs; do build "$arch"; done
    say 'licences'
    # shellcheck disable=SC2046 # one word for each target
    python3 release/licenses.py $(for arch in $archs; do target_of "$arch"; done) \
        >"$out/THIRD-PARTY-LICENSES.txt"
    cp "$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" \
        "$out/RUST-STANDARD-LIBRARY-LICENSES.html"
    cp "release/$NAME.1" release/completions/* "$out"
    image
    if command -v dpkg-deb >/dev/null 2>&1 && command -v rpmbuild >/dev/null 2>&1; then
        for arch in $archs; do package "$arch"; done
    else
        say 'NOT MADE: packages need dpkg-deb and rpmbuild (Debian: dpkg, rpm)'
    fi
    sums
    say "in $out"
    (cd "$out" && ls -l >&2)
}

# No setting of the caller may change the bytes.
settle_environment() {
    unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET \
        RUSTC_WRAPPER CFLAGS CPPFLAGS LDFLAGS
    for name in $(env | sed -n 's/^\(CARGO_PROFILE_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
    export LC_ALL=C TZ=UTC CARGO_PROFILE_RELEASE_STRIP=$strip
    umask 022
    if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
        SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) ||
            die 'this is not a git clone: set SOURCE_DATE_EPOCH to the time of the release, in seconds since 1970'
    fi
    export SOURCE_DATE_EPOCH
    unset ACR_CREDENTIAL_PROVIDER_COMMIT
    if commit=$(git rev-parse --verify HEAD 2>/dev/null); then
        [ -z "$(git status --porcelain)" ] || commit=$commit-modified
        export ACR_CREDENTIAL_PROVIDER_COMMIT="$commit"
    fi
}

install_tools() {
    for arch in $archs; do
        target=$(target_of "$arch")
        [ -d "$(rustc --print target-libdir --target "$target")" ] && continue
        say "the standard library of $target"
        need rustup "$target is not part of this toolchain"
        rustup --quiet target add "$target"
    done
    if ! cmp -s release/requirements.txt "$tools/requirements.txt"; then
        say 'Zig'
        python3 -m venv --clear "$tools/python" || die 'python3 has no venv (Debian: python3-venv)'
        "$tools/python/bin/pip" install --quiet --disable-pip-version-check \
            --require-hashes --requirement release/requirements.txt
        cp release/requirements.txt "$tools/requirements.txt"
    fi
    PATH=$tools/python/bin:$PATH
    export ZIG_GLOBAL_CACHE_DIR="$tools/cache/zig" ZIG_LOCAL_CACHE_DIR="$tools/cache/zig"
    export CARGO_ZIGBUILD_CACHE_DIR="$tools/cache/cargo-zigbuild"
}

# The compiler's flags. A panic names its place in the source. These flags make that the same on
# every machine.
forget_paths() {
    separator=$(printf '\037')
    flags=-Clinker=rust-lld
    flag() { flags=$flags$separator$1; }
    flag -Clinker-flavor=ld.lld
    flag -Clink-self-contained=yes
    # Packs the relocations of a position-independent program: 90 KB less.
    flag -Clink-arg=--pack-dyn-relocs=relr
    flag "--remap-path-prefix=$source=/source"
    for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
        flag "--remap-path-prefix=${registry%/}=/crates"
    done
    commit=$(rustc --version --verbose | sed -n 's/^commit-hash: //p')
    flag "--remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$commit"
    export CARGO_ENCODED_RUSTFLAGS="$flags"
}

build() {
    target=$(target_of "$1")
    binary=$out/$NAME-linux-$1
    say "$target"
    cargo zigbuild --quiet --release --locked --package "$NAME" --bin "$NAME" --target "$target" \
        --target-dir "$source/target" --features "$features"
    cp "$source/target/$target/release/$NAME" "$binary"
    check "$1"
    python3 release/sbom.py "$target" >"$binary.cdx.json"
}

image() {
    say 'OCI archive'
    set --
    for arch in $archs; do set -- "$@" "$arch=$out/$NAME-linux-$arch"; done
    python3 release/oci.py "$out/$NAME-oci.tar" "$(version)" "$@"
}

package() {
    say "packages for $1"
    release/packages.sh --arch "$1" --binary "$out/$NAME-linux-$1" --out "$out" --version "$(version)"
}

version() { sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1; }

# Checksums, how everything was made, and the signature of both.
sums() {
    (cd "$out" && sha256sum -- "$NAME"[-._]* "_$NAME" *-LICENSES.* >SHA256SUMS)
    if [ -n "${ACR_CREDENTIAL_PROVIDER_COMMIT:-}" ]; then
        statement=$NAME.intoto.json
        python3 release/provenance.py "$out/SHA256SUMS" "$ACR_CREDENTIAL_PROVIDER_COMMIT" >"$out/$statement"
        (cd "$out" && sha256sum -- "$statement" >>SHA256SUMS)
    fi
    [ -z "$key" ] || ssh-keygen -q -Y sign -n "$NAME" -f "$key" "$out/SHA256SUMS"
}

check() {
    form=$(file --brief "$binary")
    case "$form" in
    *static-pie\ linked* | *statically\ linked*) ;;
    *) die "$binary is not static: $form" ;;
    esac
    bytes=$(wc -c <"$binary")
    # Symbols are not part of a release.
    [ "$strip" = debuginfo ] || [ "$bytes" -le "$MAX_BYTES" ] ||
        die "$binary has $bytes bytes, more than $MAX_BYTES"
    for path in "$source" "${CARGO_HOME:-$HOME/.cargo}" "$tools" "$(rustc --print sysroot)"; do
        ! grep --quiet --text --fixed-strings "$path" "$binary" || die "$binary has the path $path in it"
    done
    start "$1"
}

# Starts it, with an emulator if it is for another architecture.
start() {
    case "$1" in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    esac
    emulator=
    if [ "$(uname -m)" != "$machine" ]; then
        emulator=$(command -v "qemu-$machine-static" || command -v "qemu-$machine") || {
            say "NOT RUN: starting the $1 binary needs qemu-$machine (Debian: qemu-user-static)"
            return 0
        }
    fi
    version=$(env -i ${emulator:+"$emulator"} "$binary" --version)
    say "$1: $bytes bytes, $version"
}

main "$@"
