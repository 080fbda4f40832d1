# A scratch node: a tree, fakes of what acts on it, and what its files look like afterwards.
# $UNDER is the shell under test (dash or busybox); run sets it and builds the stand-ins of the
# program, $PROVIDERS/1.0 and $PROVIDERS/2.0.

here=$BATS_TEST_DIRNAME
scripts=$here/../../node-scripts
name=aliyun-acr-credential-provider
flag=--image-credential-provider
# busybox's own does not wait.
setsid=$(command -v setsid)

# node TREE: a running node.
node() {
    ROOT=$BATS_TEST_TMPDIR/root FAKE=$BATS_TEST_TMPDIR/fake TMPDIR=$BATS_TEST_TMPDIR/tmp
    export ROOT FAKE TMPDIR
    mkdir -p "$ROOT/var/lib" "$ROOT/proc" "$FAKE" "$TMPDIR"
    cp -r "$here/trees/$1/." "$ROOT"
    tools=$here/fakes:$TOOLS
    PATH=$tools:$PATH
    echo 0 >"$FAKE/steps"
    systemctl restart kubelet
    rm "$FAKE/log"
    touch "$FAKE/log"
    cat >"$FAKE/config.yaml" <<END
acr-registry-info:
  - instanceId: cri-xxxxxxxxxxxxxxxx
    regionId: cn-hangzhou
    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com,registry.acme.example:5000
END
}

shell() { if [ "$UNDER" = busybox ]; then busybox sh "$@"; else "$UNDER" "$@"; fi; }

sha() { sha256sum <"$1" | cut -d' ' -f1; }

# install VERSION [option...] on the scratch node.
install() {
    local version=$1
    shift
    run shell "$scripts/install.sh" --root "$ROOT" --restart --binary "$PROVIDERS/$version" --sha256 "$(sha "$PROVIDERS/$version")" "$@"
}

install_all() { install 1.0 --config "$FAKE/config.yaml" "$@"; }

# It edits files of others. On no file may it run for ever.
uninstall() {
    local sh=("$UNDER")
    [ "$UNDER" != busybox ] || sh+=(sh)
    run timeout 120 "${sh[@]}" "$scripts/uninstall.sh" --root "$ROOT" --restart "$@"
}

succeeded() { [ "$status" -eq 0 ] || { echo "exit $status: $output"; false; }; }

# failed TEXT...: it did, and said all of this.
failed() {
    [ "$status" -ne 0 ] || { echo "no failure: $output"; false; }
    says "$@"
}

says() {
    local text
    for text; do [[ $output == *"$text"* ]] || { echo "not said: $text"; echo "$output"; false; }; done
}

# Every file below a folder with its mode and content, programs by what they say of themselves.
snapshot() {
    (
        cd "${1:-$ROOT}"
        find . -path ./proc -prune -o -print | LC_ALL=C sort | while read -r path; do
            if [ -L "$path" ]; then
                echo "$path -> $(readlink "$path")"
            elif [ -d "$path" ]; then
                echo "$path/ $(stat -c %a "$path")"
            elif [ -x "$path" ]; then
                echo "$path $(stat -c %a "$path"): $("$path" --version)"
            else
                echo "$path $(stat -c %a "$path")"
                # The checksum of a stand-in depends on the compiler.
                sed 's/^/    /; s/^\(    sha256\) [0-9a-f]\{64\}$/\1 .../' "$path"
            fi
        done
    )
}

# What differs from the untouched tree is this golden one. UPDATE_GOLDEN=1 writes it anew.
looks_like() {
    snapshot >"$BATS_TEST_TMPDIR/snapshot"
    [ -z "${UPDATE_GOLDEN:-}" ] || cp "$BATS_TEST_TMPDIR/snapshot" "$here/golden/$1"
    diff -u "$here/golden/$1" "$BATS_TEST_TMPDIR/snapshot"
}

restarts() { grep -c '^restart kubelet' "$FAKE/log" || true; }

# The kubelet could start now, whatever happened.
kubelet_starts() {
    systemctl restart kubelet
    [ -e "$FAKE/kubelet-up" ] || { cat "$FAKE/deaths"; false; }
}

kubelet_args() { tr '\0' ' ' <"$ROOT/proc/100/cmdline"; }

# pretend NUMBER HOW: a process that only calls itself kubelet, of a pod, a container or another user,
# leads whoever believes it to a binary in /srv/others.
pretend() {
    local process=$ROOT/proc/$1
    mkdir -p "$process" "$ROOT/srv/others"
    echo kubelet >"$process/comm"
    printf 'kubelet\0%s-config=/srv/others/p.yaml\0%s-bin-dir=/srv/others\0' "$flag" "$flag" >"$process/cmdline"
    printf '#!/bin/sh\ntrue >%s/ran\n' "$FAKE" >"$ROOT/srv/others/$name"
    chmod 755 "$ROOT/srv/others/$name"
    rm -f "$process/status" "$process/cgroup"
    case $2 in
    pod) echo "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope" >"$process/cgroup" ;;
    container) printf 'Name:\tkubelet\nNSpid:\t%s\t1\n' "$1" >"$process/status" ;;
    user) chown 65534 "$process" ;;
    esac
}

# Those that this user can make.
pretences() {
    echo pod container
    [ "$(id -u)" != 0 ] || echo user
}
