#!/usr/bin/env bats
# What uninstall.sh takes away, and what it leaves. Killed in the middle: faults.bats.
load node.bash

args=etc/kubernetes/kubelet-customized-args.conf
kconf=etc/kubernetes/credential-provider-config.yaml

provider_of_others() {
    printf '  - name: ecr-credential-provider\n    matchImages: ["*.dkr.ecr.*.amazonaws.com"]\n    defaultCacheDuration: 12h\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n' >>"$ROOT/$kconf"
    cp "$PROVIDERS/2.0" "$ROOT/opt/$name/bin/ecr-credential-provider"
}

# All is as it was before, and the kubelet runs without us.
undone() {
    succeeded
    diff "$FAKE/before" <(snapshot)
    [ -e "$FAKE/kubelet-up" ]
    [[ $(kubelet_args) != *"$flag"* ]]
}

@test "each kind of node is what it was, byte for byte, after one restart" {
    for kind in ack 'ack without arguments' 'ack with empty arguments' kubeadm-deb 'kubeadm-deb with arguments' kubeadm-rpm plain; do
        node "${kind%% *}"
        case $kind in
        *without*) rm "$ROOT/$args" ;;
        *empty*) printf 'KUBELET_CUSTOMIZED_ARGS=""' >"$ROOT/$args" ;;
        *deb\ with*) mkdir "$ROOT/etc/default" && printf 'A=1\nKUBELET_EXTRA_ARGS=--v=2' >"$ROOT/etc/default/kubelet" ;;
        esac
        kubelet_starts
        snapshot >"$FAKE/before"
        install_all --refresh-timer
        succeeded
        [[ $(kubelet_args) == *"$flag-config="* ]]
        true >"$FAKE/log"
        uninstall
        undone || { echo "$kind"; false; }
        [ "$(restarts)" = 1 ]
        uninstall
        failed 'nothing is recorded'
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "after several versions and configurations nothing of them is left" {
    node ack
    snapshot >"$FAKE/before"
    install_all
    install 2.0 --match-images a.example
    sed -i s/acme/renamed/ "$FAKE/config.yaml"
    install 1.0 --config "$FAKE/config.yaml" --refresh-timer
    succeeded
    uninstall
    undone
}

@test "a tree is undone without systemctl" {
    node ack
    rm -r "$ROOT/proc/100"
    snapshot >"$FAKE/before"
    install_all --refresh-timer
    true >"$FAKE/log"
    run shell "$scripts/uninstall.sh" --root "$ROOT"
    succeeded
    diff "$FAKE/before" <(snapshot)
    [ ! -s "$FAKE/log" ]
}

@test "a kubelet that is stopped stays so" {
    node ack
    snapshot >"$FAKE/before"
    install_all
    rm -r "$FAKE/kubelet-up" "$ROOT/proc/100"
    true >"$FAKE/log"
    uninstall
    succeeded
    diff "$FAKE/before" <(snapshot)
    [ "$(restarts)" = 0 ]
}

@test "what was installed by hand before install.sh comes back" {
    node ack
    mkdir -p "$ROOT/srv/providers" "$ROOT/etc/$name"
    cp "$PROVIDERS/2.0" "$ROOT/srv/providers/$name"
    cp "$here/configs/ours-old.yaml" "$ROOT/$kconf"
    echo 'acr-registry-info: []' >"$ROOT/etc/$name/config.yaml"
    chmod 640 "$ROOT/etc/$name/config.yaml"
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-config=/$kconf $flag-bin-dir=/srv/providers\"" >"$ROOT/$args"
    kubelet_starts
    snapshot >"$FAKE/before"
    install_all
    succeeded
    [ "$("$ROOT/srv/providers/$name" --version)" = "$name 1.0" ]
    uninstall
    succeeded
    diff "$FAKE/before" <(snapshot)
    kubelet_starts
}

@test "arguments that others have added, changed or taken away since are kept" {
    while IFS='|' read -r edit wanted; do
        node ack
        install_all
        sed -i "$edit" "$ROOT/$args"
        uninstall
        succeeded
        [ "$(cat "$ROOT/$args")" = "$wanted" ] || { cat "$ROOT/$args"; false; }
        [ -e "$FAKE/kubelet-up" ]
        [ ! -e "$ROOT/opt/$name" ]
        rm -rf "$ROOT" "$FAKE"
    done <<'END'
s/"$/ --v=4"/|KUBELET_CUSTOMIZED_ARGS="--eviction-hard=imagefs.available<5% --system-reserved=cpu=100m --kube-reserved=cpu=100m --v=4"
s/="/="--v=4 /|KUBELET_CUSTOMIZED_ARGS="--v=4 --eviction-hard=imagefs.available<5% --system-reserved=cpu=100m --kube-reserved=cpu=100m"
s/--eviction.*=cpu=100m //|KUBELET_CUSTOMIZED_ARGS=""
s/ --image.*bin-dir=[^"]*/ --v=4/|KUBELET_CUSTOMIZED_ARGS="--eviction-hard=imagefs.available<5% --system-reserved=cpu=100m --kube-reserved=cpu=100m --v=4"
END
}

@test "a flag of ours that others have changed: the kubelet needs both, so all is put back" {
    node ack
    install_all
    cp -r "$ROOT/opt/$name/bin" "$ROOT/opt/$name/bin-of-others"
    sed -i 's/bin"/bin-of-others"/' "$ROOT/$args"
    snapshot >"$FAKE/before"
    uninstall
    failed 'the kubelet is not healthy without the provider'
    diff "$FAKE/before" <(snapshot)
    [ -e "$FAKE/kubelet-up" ]
}

@test "a file of arguments that others have removed since stays away" {
    node ack
    install_all
    rm "$ROOT/$args"
    uninstall
    succeeded
    [ ! -e "$ROOT/$args" ]
}

@test "a drop-in of others beside ours stays" {
    node plain
    install_all
    echo '[Service]' >"$ROOT/etc/systemd/system/kubelet.service.d/50-mine.conf"
    uninstall
    succeeded
    [ "$(ls "$ROOT/etc/systemd/system/kubelet.service.d")" = 50-mine.conf ]
}

@test "providers that others have added since keep the file and the flags" {
    node ack
    install_all
    provider_of_others
    uninstall
    succeeded
    says 'has got other providers since; the kubelet'
    [ "$(sed -n 's/.*- name: //p' "$ROOT/$kconf")" = ecr-credential-provider ]
    [ "$(ls "$ROOT/opt/$name/bin")" = ecr-credential-provider ]
    kubelet_starts
    [[ $(kubelet_args) == *"$flag-config=/$kconf $flag-bin-dir=/opt/$name/bin"* ]]
}

@test "flags of others and no provider but ours: refused, with what to do" {
    node ack
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-config=/$kconf $flag-bin-dir=/srv/providers\"" >"$ROOT/$args"
    install_all --refresh-timer
    succeeded
    snapshot >"$FAKE/before"
    true >"$FAKE/log"
    uninstall
    failed 'would be left without a provider' "take the flags $flag-* away"
    diff "$FAKE/before" <(snapshot)
    [ ! -s "$FAKE/log" ]
    sed -i 's/--image.*"/"/' "$ROOT/$args"
    uninstall
    failed 'restart the kubelet'
    kubelet_starts
    # What another process says of itself is not asked.
    pretend 50 container
    uninstall
    succeeded
    [ "$(ls "$ROOT/srv")" = others ]
    [ ! -e "$ROOT/$kconf" ]
}

@test "a folder of configurations: ours goes, theirs stay, and the kubelet is restarted before the binary goes" {
    node ack
    mkdir -p "$ROOT/srv/config.d" "$ROOT/srv/providers"
    cp "$here/configs/pretty.json" "$ROOT/srv/config.d/10-ecr.json"
    cp "$PROVIDERS/2.0" "$ROOT/srv/providers/ecr-credential-provider"
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-config=/srv/config.d $flag-bin-dir=/srv/providers\"" >"$ROOT/$args"
    kubelet_starts
    snapshot >"$FAKE/before"
    FAKE_KUBELET_VERSION=v1.36.0 install_all --refresh-timer
    succeeded
    true >"$FAKE/log"
    uninstall
    succeeded
    diff "$FAKE/before" <(snapshot)
    [ "$(restarts)" = 1 ]
    [ ! -e "$FAKE/deaths" ]
    [ -e "$FAKE/kubelet-up" ]
}

@test "an entry that was changed into something unclear is refused, and nothing is changed" {
    node ack
    install_all --refresh-timer
    printf 'providers: [{name: %s, args: []}]\n' $name >"$ROOT/$kconf"
    snapshot >"$FAKE/before"
    true >"$FAKE/log"
    uninstall
    failed 'no longer in a form that can be edited safely'
    diff "$FAKE/before" <(snapshot)
    [ ! -s "$FAKE/log" ]
}

@test "options: help, and what is not known" {
    node ack
    run shell "$scripts/uninstall.sh" --help
    succeeded
    says 'Takes back what install.sh recorded' '--root DIR'
    install_all
    snapshot >"$FAKE/before"
    for arguments in --purge word --root '--root /nonexistent'; do
        # shellcheck disable=SC2086
        run shell "$scripts/uninstall.sh" $arguments
        [ "$status" -ne 0 ]
    done
    diff "$FAKE/before" <(snapshot)
}
