#!/usr/bin/env bats
# What goes wrong while installing or uninstalling, at every step at which it can.
load node.bash

# A node with version 1.0 and an older configuration, so that there is something to put back.
old_node() {
    node kubeadm-deb
    install_all --match-images old.example
    succeeded
    mkdir -p "$ROOT/etc/default"
    echo 'KUBELET_EXTRA_ARGS="--v=2"' >"$ROOT/etc/default/kubelet"
    kubelet_starts
    sed -i s/acme/renamed/ "$FAKE/config.yaml"
}

# with_fault N FAULT SCRIPT [option...]: whoever changes files at the N-th step meets it.
with_fault() {
    local step=$1 fault=$2 script=$3
    shift 3
    mkdir -p "$FAKE/steps.d"
    for command in cp mv ln rm mkdir rmdir chmod sync systemctl; do ln -sf "$here/fakes/step" "$FAKE/steps.d/$command"; done
    echo 0 >"$FAKE/steps"
    if [ "$UNDER" = busybox ]; then set -- busybox sh "$scripts/$script" "$@"; else set -- "$UNDER" "$scripts/$script" "$@"; fi
    # No run has so many: it would go on for ever.
    [ "$step" -lt 300 ]
    run env STEP="$step" FAULT="$fault" PATH="$FAKE/steps.d:$PATH" "$setsid" -w "$@" --root "$ROOT" --restart
}

install_with_fault() {
    with_fault "$1" "$2" install.sh --binary "$PROVIDERS/2.0" --sha256 "$(sha "$PROVIDERS/2.0")" --config "$FAKE/config.yaml" --refresh-timer
}

install_new() { install 2.0 --config "$FAKE/config.yaml" --refresh-timer; }

keep() { rm -rf "$BATS_TEST_TMPDIR/kept"; mkdir "$BATS_TEST_TMPDIR/kept"; cp -a "$ROOT" "$FAKE" "$BATS_TEST_TMPDIR/kept"; }

restore() { rm -rf "$ROOT" "$FAKE"; cp -a "$BATS_TEST_TMPDIR/kept/." "$BATS_TEST_TMPDIR"; }

# Whatever has happened: a kubelet that starts at this moment finds what its flags name.
kubelet_could_start() {
    rm -rf "$BATS_TEST_TMPDIR/copy"
    mkdir "$BATS_TEST_TMPDIR/copy"
    cp -a "$ROOT" "$FAKE" "$BATS_TEST_TMPDIR/copy"
    ROOT=$BATS_TEST_TMPDIR/copy/root FAKE=$BATS_TEST_TMPDIR/copy/fake kubelet_starts
}

# killed_and_run_again FAULT: one run for every step at which that can happen, on the node that was kept.
# Leaves off when a run has come through.
killed_and_run_again() {
    local n=${FROM:-0} fault=$1
    while :; do
        n=$((n + ${STRIDE:-1}))
        restore
        install_with_fault $n "$fault"
        [ "$status" -ne 0 ] || break
        kubelet_could_start || { tail -n 3 "$FAKE/trace"; false; }
        install_new
        succeeded
        diff <(snapshot) "$BATS_TEST_TMPDIR/wanted" || { tail -n 3 "$FAKE/trace"; false; }
        [[ $(kubelet_args) == *"$flag-config="* ]]
        install_new
        says 'nothing to do'
    done
    echo "$n steps"
    [ $n -gt 30 ]
}

@test "killed after every step of a first installation, then run again: all is well" {
    node ack
    keep
    install_new
    snapshot >"$BATS_TEST_TMPDIR/wanted"
    killed_and_run_again kill
}

@test "killed after every step of an upgrade, then run again: all is well" {
    old_node
    keep
    install_new
    snapshot >"$BATS_TEST_TMPDIR/wanted"
    killed_and_run_again kill
}

@test "killed in the middle of every step, then run again: all is well" {
    old_node
    keep
    install_new
    snapshot >"$BATS_TEST_TMPDIR/wanted"
    killed_and_run_again tear
}

@test "the disk full at every step: what was there is back, or all is done" {
    for start in 'node ack' old_node; do
        rm -rf "$BATS_TEST_TMPDIR/root" "$BATS_TEST_TMPDIR/fake"
        $start
        keep
        snapshot >"$BATS_TEST_TMPDIR/before"
        install_new
        snapshot >"$BATS_TEST_TMPDIR/wanted"
        n=${FROM:-0}
        while :; do
            n=$((n + ${STRIDE:-1}))
            restore
            install_with_fault $n full
            if [ "$status" -eq 0 ]; then
                diff <(snapshot) "$BATS_TEST_TMPDIR/wanted"
                [ $n -lt "$(cat "$FAKE/steps")" ] || break
            else
                says 'No space left on device'
                diff <(snapshot) "$BATS_TEST_TMPDIR/before" || { echo "$output"; tail "$FAKE/trace"; false; }
            fi
            [ -e "$FAKE/kubelet-up" ]
        done
        [ $n -gt 30 ]
    done
}

@test "killed after every step, then uninstalled: what was there is back" {
    node ack
    keep
    snapshot >"$BATS_TEST_TMPDIR/before"
    n=${FROM:-0}
    while :; do
        n=$((n + ${STRIDE:-1}))
        restore
        install_with_fault $n kill
        [ "$status" -ne 0 ] || break
        uninstall
        [ "$status" -eq 0 ] || says 'nothing is recorded'
        diff <(snapshot) "$BATS_TEST_TMPDIR/before" || { tail -n 3 "$FAKE/trace"; false; }
        [[ $(kubelet_args) != *"$flag-config="* ]]
    done
    [ $n -gt 30 ]
}

@test "asked to end after any step: what was there is back, or all is done" {
    node ack
    keep
    snapshot >"$BATS_TEST_TMPDIR/before"
    install_new
    snapshot >"$BATS_TEST_TMPDIR/wanted"
    n=${FROM:-0}
    while :; do
        n=$((n + ${STRIDE:-1}))
        restore
        install_with_fault $n term
        [ "$status" -ne 0 ] || break
        diff <(snapshot) "$BATS_TEST_TMPDIR/before" || diff <(snapshot) "$BATS_TEST_TMPDIR/wanted" || { echo "$output"; tail -n 3 "$FAKE/trace"; false; }
        [ -e "$FAKE/kubelet-up" ]
    done
    [ $n -gt 30 ]
}

# A folder of configurations and flags that are not ours.
flags_of_others() {
    node ack
    mkdir -p "$ROOT/srv/config.d" "$ROOT/srv/providers"
    cp "$here/configs/ecr.yaml" "$ROOT/srv/config.d/10-ecr.yaml"
    cp "$PROVIDERS/2.0" "$ROOT/srv/providers/ecr-credential-provider"
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-config=/srv/config.d $flag-bin-dir=/srv/providers\"" >"$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    kubelet_starts
}

# A provider of others in the file that the kubelet has, with which ours is merged.
configuration_of_others() {
    node ack
    cp "$here/configs/pretty.json" "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    mkdir -p "$ROOT/srv/providers"
    cp "$PROVIDERS/2.0" "$ROOT/srv/providers/ecr-credential-provider"
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-config=/etc/kubernetes/credential-provider-config.yaml $flag-bin-dir=/srv/providers\"" >"$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    kubelet_starts
}

# uninstalling_with FAULT START: one run for every step at which that can happen, each run again.
uninstalling_with() {
    local n=${FROM:-0} args
    $2
    snapshot >"$BATS_TEST_TMPDIR/before"
    args=$(kubelet_args)
    install_new
    keep
    while :; do
        n=$((n + ${STRIDE:-1}))
        restore
        with_fault $n "$1" uninstall.sh
        [ "$status" -ne 0 ] || break
        kubelet_could_start
        uninstall
        [ "$status" -eq 0 ] || says 'nothing is recorded'
        diff <(snapshot) "$BATS_TEST_TMPDIR/before" || { tail -n 3 "$FAKE/trace"; false; }
        [ "$(kubelet_args)" = "$args" ]
    done
    [ $n -gt 15 ]
}

@test "uninstalling killed after every step, then run again: what was there is back" { uninstalling_with kill 'node ack'; }

@test "the same in the middle of every step" { uninstalling_with tear 'node ack'; }

@test "the same with a folder of configurations and flags of others" { uninstalling_with kill flags_of_others; }

@test "the same with providers of others in the same file" { uninstalling_with kill configuration_of_others; }

@test "a kubelet that does not come up with the flags: all is put back and it runs as before" {
    node ack
    snapshot >"$FAKE/before"
    touch "$FAKE/dislikes-flags"
    install_new
    failed 'the kubelet is not healthy after its restart' 'putting back what was there' 'the kubelet is healthy again'
    diff <(snapshot) "$FAKE/before"
    [ -e "$FAKE/kubelet-up" ]
    [[ $(kubelet_args) != *"$flag"* ]]
    [ "$(restarts)" = 2 ]
}

@test "killed while the kubelet does not come up: the next run puts all back" {
    node ack
    snapshot >"$FAKE/before"
    touch "$FAKE/dislikes-flags"
    install_with_fault "$(steps_until 'systemctl restart kubelet')" kill
    [ ! -e "$FAKE/kubelet-up" ]
    install_new
    failed 'the kubelet is not healthy after its restart' 'the kubelet is healthy again'
    diff <(snapshot) "$FAKE/before"
    [ -e "$FAKE/kubelet-up" ]
}

# The number of the step that is this command.
steps_until() {
    keep
    install_with_fault 0 none
    awk -v command="$1" '{ n = $1; sub(/^[0-9]+ /, "") } $0 == command { print n; exit }' "$FAKE/trace"
    restore
}

@test "a kubelet that ignores where the flags were put: all is put back" {
    node ack
    sed -i "/^EnvironmentFile/d" "$ROOT/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"
    snapshot >"$FAKE/before"
    install_all
    failed 'the kubelet runs without the flags' 'does not read /etc/kubernetes/kubelet-customized-args.conf'
    diff <(snapshot) "$FAKE/before"
}

@test "a new configuration of the kubelet that it does not like: the old one is put back" {
    node ack
    install_all
    snapshot >"$FAKE/before"
    touch "$FAKE/dislikes-flags"
    install_all --match-images new.example
    failed 'the kubelet is not healthy after its restart'
    diff <(snapshot) "$FAKE/before"
}

@test "a binary with another hash is not installed, whether from a file or a URL" {
    node ack
    snapshot >"$FAKE/before"
    cp "$PROVIDERS/1.0" "$FAKE/download"
    echo tampered >>"$FAKE/download"
    for from in "--binary $FAKE/download" '--url https://downloads.example/provider'; do
        # shellcheck disable=SC2086
        run shell "$scripts/install.sh" --root "$ROOT" --restart $from --sha256 "$(sha "$PROVIDERS/1.0")" --config "$FAKE/config.yaml"
        failed "has SHA-256 $(sha "$FAKE/download"), not $(sha "$PROVIDERS/1.0")"
        diff <(snapshot) "$FAKE/before"
    done
    [ "$(restarts)" = 0 ]
}

@test "a download that fails, and one that is cut off" {
    node ack
    snapshot >"$FAKE/before"
    run shell "$scripts/install.sh" --root "$ROOT" --restart --url https://unreachable.example/provider --sha256 "$(sha "$PROVIDERS/1.0")"
    failed 'cannot get https://unreachable.example/provider'
    diff <(snapshot) "$FAKE/before"
    head -c 5000 "$PROVIDERS/1.0" >"$FAKE/download"
    run shell "$scripts/install.sh" --root "$ROOT" --restart --url https://downloads.example/provider --sha256 "$(sha "$PROVIDERS/1.0")"
    failed 'has SHA-256'
    diff <(snapshot) "$FAKE/before"
}

@test "a binary of another architecture, and a file that is not a binary" {
    node ack
    snapshot >"$FAKE/before"
    cp "$PROVIDERS/1.0" "$FAKE/other"
    printf '\363' | dd of="$FAKE/other" bs=1 seek=18 conv=notrunc status=none
    echo '<html>not found</html>' >"$FAKE/page"
    for binary in other page; do
        run shell "$scripts/install.sh" --root "$ROOT" --restart --binary "$FAKE/$binary" --sha256 "$(sha "$FAKE/$binary")"
        failed 'the binary is not for this machine'
        diff <(snapshot) "$FAKE/before"
    done
}

@test "a binary that does not run" {
    node ack
    snapshot >"$FAKE/before"
    head -c 64 "$PROVIDERS/1.0" >"$FAKE/cut"
    # A shell tries what the kernel refuses as a script, and that may write a file.
    cd "$FAKE"
    run shell "$scripts/install.sh" --root "$ROOT" --restart --binary "$FAKE/cut" --sha256 "$(sha "$FAKE/cut")"
    failed 'the binary does not run'
    diff <(snapshot) "$FAKE/before"
}

@test "a configuration that the new binary refuses, new or there already" {
    node ack
    snapshot >"$FAKE/before"
    echo 'broken: true' >"$FAKE/config.yaml"
    install_all
    failed '`broken` is not known' 'the configuration is not valid'
    diff <(snapshot) "$FAKE/before"
    mkdir "$ROOT/etc/$name"
    cp "$FAKE/config.yaml" "$ROOT/etc/$name"
    snapshot >"$FAKE/before"
    install 1.0
    failed 'the configuration is not valid'
    diff <(snapshot) "$FAKE/before"
}

@test "uninstalling from a kubelet that does not come up without us: its settings are put back" {
    # Whether or not systemctl fails, too.
    for code in 0 1; do
        node ack
        install_all --refresh-timer
        snapshot >"$FAKE/before"
        echo $code >"$FAKE/dislikes-no-flags"
        uninstall
        failed 'the kubelet is not healthy without the provider'
        diff <(snapshot) "$FAKE/before"
        [ -e "$FAKE/kubelet-up" ]
        rm -rf "$ROOT" "$FAKE"
    done
}
