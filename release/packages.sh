#!/bin/sh
# Makes a .deb and an .rpm of a static binary. release/build.sh calls it; tests/packages installs them.
#
#   release/packages.sh --arch amd64|arm64 --binary FILE --out DIR [--version V]
#
# The same binary and SOURCE_DATE_EPOCH give the same bytes. The packages put the program into
# /usr/bin and change nothing on a node: `setup install` copies the program to where the kubelet
# looks, so that no upgrade of a package touches what a kubelet runs.
#
# Needs dpkg-deb (Debian: dpkg) and rpmbuild (Debian: rpm).
set -eu

NAME=aliyun-acr-credential-provider
SUMMARY='kubelet credential provider for Alibaba Cloud Container Registry'
DESCRIPTION=' Gives a node of one Alibaba Cloud account short-lived logins for the container
 registry of another account. The kubelet runs it for each registry; docker and
 similar clients run it as docker-credential-acr.'
NEXT="To make the kubelet of this node use it: $NAME setup install --config FILE"

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

main() {
    arch='' binary='' out=''
    source=$(cd "$(dirname "$0")/.." && pwd -P)
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$source/Cargo.toml" | head -n 1)
    while [ $# -gt 1 ]; do
        case "$1" in
        --arch) arch=$2 ;;
        --binary) binary=$2 ;;
        --out) out=$(mkdir -p "$2" && cd "$2" && pwd -P) ;;
        --version) version=$2 ;;
        *) die "unknown option \`$1\`" ;;
        esac
        shift 2
    done
    if [ $# != 0 ] || [ -z "$arch" ] || [ ! -f "$binary" ] || [ -z "$out" ]; then
        die 'see the head of release/packages.sh'
    fi
    for tool in dpkg-deb rpmbuild gzip; do
        command -v "$tool" >/dev/null || die "$tool is not installed"
    done
    : "${SOURCE_DATE_EPOCH:=$(git -C "$source" log -1 --format=%ct)}"
    export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
    umask 022
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    deb
    rpm
}

# What both packages have.
stage() {
    install -D -m 0755 "$binary" "$1/usr/bin/$NAME"
    ln -s "$NAME" "$1/usr/bin/docker-credential-acr"
    for unit in service timer; do
        install -D -m 0644 "$source/release/packages/$NAME-refresh.$unit" \
            "$1/usr/lib/systemd/system/$NAME-refresh.$unit"
    done
    shared=$1/usr/share
    install -D -m 0644 "$source/release/$NAME.1" "$shared/man/man1/$NAME.1"
    echo ".so man1/$NAME.1" >"$shared/man/man1/docker-credential-acr.1"
    gzip -9n "$shared/man/man1/"*.1
    completions=$source/release/completions
    install -D -m 0644 "$completions/$NAME.bash" "$shared/bash-completion/completions/$NAME"
    install -D -m 0644 "$completions/$NAME.fish" "$shared/fish/vendor_completions.d/$NAME.fish"
    install -D -m 0644 "$completions/_$NAME" "$shared/zsh/$2/_$NAME"
}

# Every file as old as the commit.
settle_times() { find "$1" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +; }

deb() {
    tree=$work/deb
    stage "$tree" vendor-completions
    docs=$tree/usr/share/doc/$NAME
    mkdir -p "$docs" "$tree/DEBIAN" "$tree/usr/share/lintian/overrides"
    cp "$source/release/packages/copyright" "$docs/copyright"
    changelog | gzip -9n >"$docs/changelog.gz"
    cp "$source/release/packages/lintian-overrides" "$tree/usr/share/lintian/overrides/$NAME"
    settle_times "$tree/usr"
    size=$(find "$tree/usr" -type f -printf '%s\n' | awk '{ s += int(($1 + 1023) / 1024) } END { print s }')
    cat >"$tree/DEBIAN/control" <<END
Package: $NAME
Version: $version
Architecture: $arch
Maintainer: The maintainers of $NAME <maintainers@invalid.invalid>
Installed-Size: $size
Section: admin
Priority: optional
Description: $SUMMARY
$DESCRIPTION
END
    cat >"$tree/DEBIAN/postinst" <<END
#!/bin/sh
set -e
# On the first installation, not on an upgrade.
if [ "\$1" = configure ] && [ -z "\$2" ]; then echo "$NEXT"; fi
END
    chmod 0755 "$tree/DEBIAN/postinst"
    (cd "$tree" && find usr -type f ! -type l -exec md5sum {} + | sort -k 2 >DEBIAN/md5sums)
    settle_times "$tree"
    dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/${NAME}_${version}_$arch.deb" >/dev/null
}

# Debian's form of it: that there is a version is all it says.
changelog() {
    date=$(date -u -R -d "@$SOURCE_DATE_EPOCH")
    printf '%s (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md of the project.\n\n -- %s  %s\n' \
        "$NAME" "$version" "The maintainers of $NAME <maintainers@invalid.invalid>" "$date"
}

rpm() {
    case "$arch" in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    *) die "unknown architecture \`$arch\`" ;;
    esac
    tree=$work/rpm
    stage "$tree" site-functions
    install -D -m 0644 "$source/LICENSE" "$tree/usr/share/licenses/$NAME/LICENSE"
    settle_times "$tree"
    files=$(cd "$tree" && find usr \( -type f -o -type l \) ! -path 'usr/share/licenses/*' -printf '/%p\n' |
        sort | sed 's#^/usr/share/man/.*#%doc &#')
    cat >"$work/$NAME.spec" <<END
Name: $NAME
Version: $(echo "$version" | tr - '~')
Release: 1
Summary: $(echo "$SUMMARY" | sed 's/^k/K/')
License: Apache-2.0
%description
$(echo "$DESCRIPTION" | sed 's/^ //')
%post
if [ "\$1" = 1 ]; then echo "$NEXT"; fi
%files
%dir /usr/share/licenses/$NAME
%license /usr/share/licenses/$NAME/LICENSE
$files
END
    rpmbuild -bb --quiet --noclean --target "$machine-linux" --buildroot "$tree" \
        --define "_topdir $work/rpmbuild" --define "_rpmdir $out" \
        --define '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
        --define '_buildhost localhost' --define 'use_source_date_epoch_as_buildtime 1' \
        --define 'clamp_mtime_to_source_date_epoch 1' --define '_build_id_links none' \
        --define '__os_install_post %{nil}' --define '_binary_payload w9.gzdio' \
        --define '__spec_install_pre %{nil}' --define '__spec_install_post %{nil}' \
        "$work/$NAME.spec"
}

main "$@"
