#!/usr/bin/env bats
# The scripts without --root, on a system that is the scratch node: in a mount namespace its folders
# lie over those of this machine. Needs root or user namespaces.
load node.bash

setup() {
    unshare -rm true || { echo 'this machine gives out no mount namespaces' >&2; false; }
}

live_node() {
    node "$1"
    mkdir -p "$ROOT/opt" "$ROOT/etc/default" "$FAKE/bin" "$BATS_TEST_TMPDIR/bin"
    # /etc/alternatives is hidden, too.
    ln -sf "$(readlink -f "$(command -v awk)")" "$FAKE/bin/awk"
    [ "$UNDER" != busybox ] || ln -sf "$(command -v busybox)" "$FAKE/bin/awk"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\necho "$*" >>"$FAKE/labelled"\n[ -e "$1" ]\n' >"$FAKE/bin/restorecon"
    chmod 755 "$FAKE/bin/restorecon"
    snapshot >"$FAKE/before"
}

# live COMMAND...: with the scratch node as the system. $BEFORE may prepare more.
live() {
    # shellcheck disable=SC2016
    run unshare -rm sh -c '
        set -e
        for d in etc opt var/lib proc; do mount --bind "$ROOT/$d" "/$d"; done
        eval "${BEFORE-}"
        ROOT="" PATH=$FAKE/bin:$PATH
        export ROOT
        cd /
        "$@"' live "$@"
}

under_test() { if [ "$UNDER" = busybox ]; then live busybox sh "$@"; else live "$UNDER" "$@"; fi; }

live_install() {
    under_test "$scripts/install.sh" --binary "$PROVIDERS/1.0" --sha256 "$(sha "$PROVIDERS/1.0")" --config "$FAKE/config.yaml" --refresh-timer "$@"
}

@test "installed on the system itself, and undone; every file gets its label when it is in its place" {
    live_node ack
    live_install
    succeeded
    rmdir "$ROOT/etc/default"
    # The folders that the namespace needs are not among those that were made.
    diff <(grep -v 'dir /opt$' "$here/golden/timer") <(snapshot)
    grep -qx "/opt/$name/bin/$name" "$FAKE/labelled"
    grep -qx "/etc/$name/config.yaml" "$FAKE/labelled"
    grep -qx /etc/kubernetes/credential-provider-config.yaml "$FAKE/labelled"
    grep -qx /etc/kubernetes/kubelet-customized-args.conf "$FAKE/labelled"
    grep -qx "/etc/systemd/system/$name-refresh.service" "$FAKE/labelled"
    [ "$(restarts)" = 1 ]
    mkdir "$ROOT/etc/default"
    live_install
    says 'nothing to do'
    rm "$FAKE/labelled"
    under_test "$scripts/uninstall.sh"
    succeeded
    diff "$FAKE/before" <(snapshot)
    grep -qx /etc/kubernetes/kubelet-customized-args.conf "$FAKE/labelled"
}

@test "a kubelet that does not come up on the system itself: all is put back, with its labels" {
    live_node ack
    touch "$FAKE/dislikes-flags"
    live_install
    failed 'the kubelet is not healthy after its restart' 'the kubelet is healthy again'
    diff "$FAKE/before" <(snapshot)
    [ "$(grep -cx /etc/kubernetes/kubelet-customized-args.conf "$FAKE/labelled")" = 2 ]
}

@test "a folder for programs that may not run any is refused by name" {
    live_node ack
    BEFORE='mount -t tmpfs -o noexec none /opt' live_install
    failed "the binary does not run in /opt/$name/bin; is that mounted noexec?"
    diff "$FAKE/before" <(snapshot)
}

@test "a folder for programs on a disk that is read-only is refused by name" {
    live_node ack
    BEFORE='mount -t tmpfs -o ro none /opt' live_install
    failed "cannot write to /opt/$name/bin"
    diff "$FAKE/before" <(snapshot)
}

@test "a disk that is full, at every size: what was there is back, or all is done" {
    node ack
    refused=0
    for blocks in 11 12 13 14 15 16 17 20; do
        # shellcheck disable=SC2016
        BLOCKS=$blocks run unshare -rm sh -c '
            mkdir -p "$FAKE/small"
            mount -t tmpfs -o size=$((BLOCKS * 4096)) none "$FAKE/small"
            cp -a "$ROOT/." "$FAKE/small" 2>/dev/null || exit 0
            (cd "$FAKE/small" && find . -type f -exec sha256sum {} + | sort) >"$FAKE/a"
            ROOT=$FAKE/small
            export ROOT
            code=0
            "$@" --root "$ROOT" || code=$?
            (cd "$ROOT" && find . -path ./proc -prune -o -type f -exec sha256sum {} + | sort) >"$FAKE/b"
            grep -v " ./proc/" "$FAKE/a" >"$FAKE/c"
            if [ $code = 0 ]; then echo "DONE"; else diff "$FAKE/c" "$FAKE/b" && echo "REFUSED"; fi
            ' full ${UNDER/busybox/busybox sh} "$scripts/install.sh" --restart --binary "$PROVIDERS/1.0" --sha256 "$(sha "$PROVIDERS/1.0")" --config "$FAKE/config.yaml" --refresh-timer
        echo "$blocks: $output"
        case $output in
        '') continue ;;
        *DONE) ;;
        *REFUSED) refused=$((refused + 1)) ;;
        *) false ;;
        esac
    done
    [[ $output == *DONE ]]
    [ "$refused" -gt 3 ]
}
