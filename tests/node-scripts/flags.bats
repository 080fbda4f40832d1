#!/usr/bin/env bats
# Where the kubelet's flags are written, and what becomes of flags that it has already.
load node.bash

args=etc/kubernetes/kubelet-customized-args.conf

# With the flags at the end of what the kubelet had.
runs_with_both_flags() {
    [[ $(kubelet_args) == *"$1 $flag-config=/etc/kubernetes/credential-provider-config.yaml $flag-bin-dir=/opt/$name/bin"* ]] ||
        { kubelet_args; false; }
}

@test "a kubeadm node with arguments in /etc/default/kubelet, however they are quoted" {
    for line in 'KUBELET_EXTRA_ARGS=--node-ip=192.0.2.1 --v=2' 'KUBELET_EXTRA_ARGS="--node-ip=192.0.2.1 --v=2"' "KUBELET_EXTRA_ARGS='--node-ip=192.0.2.1 --v=2'"; do
        node kubeadm-deb
        mkdir -p "$ROOT/etc/default"
        printf '# mine\n%s\nOTHER=1\n' "$line" >"$ROOT/etc/default/kubelet"
        install_all
        succeeded
        runs_with_both_flags '--node-ip=192.0.2.1 --v=2'
        [ "$(sed -n '1p; 3p' "$ROOT/etc/default/kubelet")" = "# mine
OTHER=1" ]
        uninstall
        succeeded
        [ "$(cat "$ROOT/etc/default/kubelet")" = "# mine
$line
OTHER=1" ]
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "arguments in a form that is not certain are left alone, with what to add by hand" {
    node kubeadm-deb
    mkdir -p "$ROOT/etc/default"
    for line in 'KUBELET_EXTRA_ARGS="--a \' 'KUBELET_EXTRA_ARGS="--a=\"b\""' 'KUBELET_EXTRA_ARGS="--a" --b' $'KUBELET_EXTRA_ARGS=--a\nKUBELET_EXTRA_ARGS=--b' 'export KUBELET_EXTRA_ARGS=--a'; do
        echo "$line" >"$ROOT/etc/default/kubelet"
        snapshot >"$FAKE/before"
        install_all
        failed 'cannot read KUBELET_EXTRA_ARGS in /etc/default/kubelet safely' "$flag-config=/etc" "$flag-bin-dir=/opt"
        diff <(snapshot) "$FAKE/before"
    done
}

@test "arguments in a drop-in's Environment are kept there" {
    node kubeadm-deb
    mkdir -p "$ROOT/etc/systemd/system/kubelet.service.d"
    for line in 'Environment="KUBELET_EXTRA_ARGS=--node-ip=192.0.2.1 --v=2"' 'Environment=KUBELET_EXTRA_ARGS=--v=2' 'Environment=KUBELET_EXTRA_ARGS="--v=2"'; do
        printf '[Service]\n%s\n' "$line" >"$ROOT/etc/systemd/system/kubelet.service.d/20-local.conf"
        install_all
        succeeded
        runs_with_both_flags --v=2
        [ ! -e "$ROOT/etc/default/kubelet" ]
        uninstall
        succeeded
        [ "$(tail -n 1 "$ROOT/etc/systemd/system/kubelet.service.d/20-local.conf")" = "$line" ]
    done
    printf '[Service]\nEnvironment="A=b" "KUBELET_EXTRA_ARGS=--v=2"\n' >"$ROOT/etc/systemd/system/kubelet.service.d/20-local.conf"
    install_all
    failed 'cannot read KUBELET_EXTRA_ARGS in /etc/systemd/system/kubelet.service.d/20-local.conf safely'
}

@test "an ACK node's file of arguments without quotes, with single ones, empty, without a last newline" {
    while IFS='|' read -r text before; do
        node ack
        printf '%b' "$text" >"$ROOT/$args"
        install_all
        succeeded
        runs_with_both_flags "$before"
        install_all
        says 'nothing to do'
        uninstall
        succeeded
        [ "$(cat "$ROOT/$args")" = "$(printf '%b' "$text")" ]
        rm -rf "$ROOT" "$FAKE"
    done <<'END'
KUBELET_CUSTOMIZED_ARGS=--v=2 --max-pods=64|--v=2 --max-pods=64
KUBELET_CUSTOMIZED_ARGS=--v=2\n|--v=2
KUBELET_CUSTOMIZED_ARGS='--v=2 --max-pods=64'\n|--v=2 --max-pods=64
# KUBELET_CUSTOMIZED_ARGS="--v=1"\nKUBELET_CUSTOMIZED_ARGS="--v=2"\n|--v=2
KUBELET_CUSTOMIZED_ARGS=\n|
KUBELET_CUSTOMIZED_ARGS=""\n|
\n|
|
END
}

@test "flags that are set already are found in each of the places, and none is added" {
    both="$flag-config=/srv/providers.yaml $flag-bin-dir=/srv/providers"
    while read -r tree place text; do
        node "$tree"
        mkdir -p "$ROOT/srv/providers" "$(dirname "$ROOT$place")"
        cp "$here/configs/ecr.yaml" "$ROOT/srv/providers.yaml"
        cp "$PROVIDERS/2.0" "$ROOT/srv/providers/ecr-credential-provider"
        printf '%b\n' "${text//BOTH/$both}" >"$ROOT$place"
        kubelet_starts
        [[ $(kubelet_args) == *"$both"* ]]
        snapshot >"$FAKE/before"
        install_all
        succeeded
        says "using the kubelet's own bin-dir /srv/providers"
        grep -q "name: $name" "$ROOT/srv/providers.yaml"
        [ "$("$ROOT/srv/providers/$name" --version)" = "$name 1.0" ]
        [ "$(printf '%b' "${text//BOTH/$both}")" = "$(cat "$ROOT$place")" ]
        [ "$(kubelet_args | grep -o -e "$flag" | wc -l)" = 2 ]
        [ ! -e "$ROOT/opt/$name" ]
        install_all
        says 'nothing to do'
        uninstall
        succeeded
        diff "$FAKE/before" <(snapshot)
        rm -rf "$ROOT" "$FAKE"
    done <<'END'
ack /etc/kubernetes/kubelet-customized-args.conf KUBELET_CUSTOMIZED_ARGS="--v=2 BOTH --v=3"
ack /etc/systemd/system/kubelet.service.d/10-kubeadm.conf [Service]\nExecStart=\nExecStart=/usr/bin/kubelet BOTH
kubeadm-deb /var/lib/kubelet/kubeadm-flags.env KUBELET_KUBEADM_ARGS="--v=2 BOTH"
kubeadm-deb /etc/default/kubelet KUBELET_EXTRA_ARGS=BOTH
kubeadm-deb /etc/systemd/system/kubelet.service.d/20-mine.conf [Service]\nEnvironment="KUBELET_EXTRA_ARGS=BOTH"
kubeadm-rpm /etc/sysconfig/kubelet KUBELET_EXTRA_ARGS="BOTH"
plain /etc/systemd/system/kubelet.service [Service]\nExecStart=/usr/local/bin/kubelet \\\n  BOTH \\\n  --v=2
END
}

@test "flags that are written but not in force do not count" {
    node ack
    # The drop-in puts another command line in the place of this one.
    sed -i "s|^ExecStart=.*|& $flag-config=/srv/old.yaml $flag-bin-dir=/srv/old|" "$ROOT/etc/systemd/system/kubelet.service"
    echo "# $flag-bin-dir=/srv/old" >>"$ROOT/$args"
    install_all
    succeeded
    runs_with_both_flags kube-reserved=cpu=100m
}

@test "flags that the kubelet has already: its bin-dir and its configuration are used" {
    node ack
    mkdir -p "$ROOT/srv/providers"
    cp "$here/configs/ecr.yaml" "$ROOT/srv/providers.yaml"
    cp "$PROVIDERS/2.0" "$ROOT/srv/providers/ecr-credential-provider"
    echo "KUBELET_CUSTOMIZED_ARGS=\"--v=2 $flag-config=/srv/providers.yaml $flag-bin-dir=/srv/providers\"" >"$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    snapshot >"$FAKE/before"
    install_all
    succeeded
    says "using the kubelet's own bin-dir /srv/providers"
    looks_like own-flags
    [ "$(restarts)" = 1 ]
    kubelet_starts
    install_all
    succeeded
    says 'nothing to do'
    uninstall
    succeeded
    diff <(snapshot) "$FAKE/before"
}

@test "flags that only the running kubelet shows are respected, too" {
    node ack
    mkdir -p "$ROOT/srv/providers"
    cp "$here/configs/ecr.yaml" "$ROOT/srv/providers.yaml"
    printf '/usr/bin/kubelet\0%s\0/srv/providers.yaml\0%s=/srv/providers\0' "$flag-config" "$flag-bin-dir" >"$ROOT/proc/100/cmdline"
    before=$(cat "$ROOT/etc/kubernetes/kubelet-customized-args.conf")
    run shell "$scripts/install.sh" --root "$ROOT" --kubelet-version 1.30 --binary "$PROVIDERS/1.0" --sha256 "$(sha "$PROVIDERS/1.0")"
    succeeded
    [ "$("$ROOT/srv/providers/$name" --version)" = "$name 1.0" ]
    [ "$before" = "$(cat "$ROOT/etc/kubernetes/kubelet-customized-args.conf")" ]
}

@test "a process that only calls itself kubelet is not believed" {
    for how in $(pretences); do
        rm -rf "${ROOT:-}" "${FAKE:-}"
        node ack
        pretend 50 "$how"
        snapshot >"$FAKE/before"
        ls "$ROOT/srv/others" >"$FAKE/there"
        rm "$FAKE/ran"
        install_all
        succeeded
        ls "$ROOT/srv/others" | diff "$FAKE/there" -
        [ ! -e "$FAKE/ran" ]
        [ -x "$ROOT/opt/$name/bin/$name" ]
        [[ $(kubelet_args) == *"$flag-bin-dir=/opt/$name/bin"* ]]
        uninstall
        succeeded
        diff <(snapshot) "$FAKE/before"
    done
}

@test "our flags that something has thrown out of their file come back" {
    node ack
    install_all
    cp "$here/trees/ack/etc/kubernetes/kubelet-customized-args.conf" "$ROOT/etc/kubernetes"
    install_all
    succeeded
    looks_like ack
}

@test "only one of the flags is set: the other is added" {
    node ack
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-bin-dir=/srv/providers\"" >"$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    install_all
    succeeded
    [ "$(cat "$ROOT/etc/kubernetes/kubelet-customized-args.conf")" = "KUBELET_CUSTOMIZED_ARGS=\"$flag-bin-dir=/srv/providers $flag-config=/etc/kubernetes/credential-provider-config.yaml\"" ]
    kubelet_starts
}

@test "flags with different values in two files: refused unless the kubelet runs" {
    node ack
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-bin-dir=/srv/a $flag-bin-dir=/srv/b\"" >"$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    install_all
    failed "$flag-bin-dir is set to several values"
}

@test "the file that sets the variable gets the flags, whichever it is" {
    for other in /etc/kubernetes/kubelet.env /etc/sysconfig/kubelet; do
        node kubeadm-deb
        mkdir -p "$ROOT${other%/*}"
        sed -i "s|^EnvironmentFile=-/etc/default/kubelet|EnvironmentFile=-$other\n&|" "$ROOT/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
        echo 'KUBELET_EXTRA_ARGS=--node-ip=192.0.2.1' >"$ROOT$other"
        install_all
        succeeded
        runs_with_both_flags --node-ip=192.0.2.1
        [ ! -e "$ROOT/etc/default/kubelet" ]
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "a line that goes on without a space, tabs, and spaces around an equals sign" {
    for text in 'ExecStart=/usr/local/bin/kubelet --a\\\n--b' 'ExecStart = /usr/local/bin/kubelet --a --b' 'ExecStart=/usr/local/bin/kubelet\t--a\t--b'; do
        node plain
        printf "[Service]\n$text\n" >"$ROOT/etc/systemd/system/kubelet.service"
        install_all --kubelet-version 1.30
        succeeded
        grep -qx "ExecStart=/usr/local/bin/kubelet --a --b $flag-config=.* $flag-bin-dir=.*" "$ROOT/etc/systemd/system/kubelet.service.d/99-$name.conf"
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "arguments that a unit gets after us reach the kubelet with the next run" {
    node plain
    install_all --bin-dir /opt/other
    sed -i 's/--v=2/--v=2 --max-pods=110/' "$ROOT/etc/systemd/system/kubelet.service"
    install_all
    succeeded
    [[ $(kubelet_args) == *"--max-pods=110 $flag-config="*"$flag-bin-dir=/opt/other"* ]]
    install_all
    says 'nothing to do'
    uninstall
    succeeded
    [[ $(kubelet_args) != *image-credential* ]]
}

@test "flags that are written and not in force are reported on the next run" {
    node kubeadm-deb
    mkdir -p "$ROOT/etc/systemd/system/kubelet.service.d" "$ROOT/etc/default"
    printf '[Service]\nEnvironment="KUBELET_EXTRA_ARGS=--v=2"\n' >"$ROOT/etc/systemd/system/kubelet.service.d/20-local.conf"
    install_all
    succeeded
    echo 'KUBELET_EXTRA_ARGS=--node-ip=192.0.2.1' >"$ROOT/etc/default/kubelet"
    kubelet_starts
    install_all
    failed 'the kubelet runs without the flags'
}

@test "a file of ACK left on another node, or a longer name of a variable, gets no flags" {
    node kubeadm-deb
    mkdir -p "$ROOT/etc/kubernetes"
    true >"$ROOT/$args"
    install_all
    succeeded
    runs_with_both_flags containerd.sock
    [ ! -s "$ROOT/$args" ]
    rm -rf "$ROOT" "$FAKE"
    node plain
    printf '[Service]\nEnvironment="KUBELET_EXTRA_ARGS_CUSTOM=--a"\nExecStart=/usr/local/bin/kubelet $KUBELET_EXTRA_ARGS_CUSTOM --v=2\n' >"$ROOT/etc/systemd/system/kubelet.service"
    install_all
    succeeded
    runs_with_both_flags --v=2
}

@test "our feature gate goes with the upgrade that ends it" {
    for tree in ack plain; do
        node $tree
        FAKE_KUBELET_VERSION=v1.23.1 install_all
        succeeded
        for version in 1.24.1 1.26.1 1.34.0; do
            FAKE_KUBELET_VERSION=v$version install_all
            succeeded
            [[ $(kubelet_args) == *"$flag-config="* && $(kubelet_args) != *feature-gates* ]]
        done
        rm -rf "$ROOT" "$FAKE"
    done
    node ack
    echo 'KUBELET_CUSTOMIZED_ARGS="--feature-gates=KubeletCredentialProviders=True"' >"$ROOT/$args"
    FAKE_KUBELET_VERSION=v1.22.3 install_all
    succeeded
    [ "$(grep -o feature-gates "$ROOT/$args" | wc -l)" = 1 ]
}

@test "a feature gate that is set is not set again, one that is off is refused" {
    node ack
    echo 'KUBELET_CUSTOMIZED_ARGS="--feature-gates=A=true,KubeletCredentialProviders=true"' >"$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    FAKE_KUBELET_VERSION=v1.22.3 install_all
    succeeded
    [ "$(grep -o feature-gates "$ROOT/etc/kubernetes/kubelet-customized-args.conf" | wc -l)" = 1 ]

    rm -rf "$ROOT" "$FAKE"
    node ack
    echo 'KUBELET_CUSTOMIZED_ARGS="--feature-gates=KubeletCredentialProviders=false"' >"$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    FAKE_KUBELET_VERSION=v1.22.3 install_all
    failed 'the feature gate KubeletCredentialProviders is set to false'
}

@test "other feature gates stay, and ours adds up with them" {
    node ack
    echo 'KUBELET_CUSTOMIZED_ARGS="--feature-gates=A=true,B=false"' >"$ROOT/$args"
    FAKE_KUBELET_VERSION=v1.20.11-aliyun.1 install_all
    succeeded
    [[ $(kubelet_args) == *' --feature-gates=A=true,B=false --image-'*' --feature-gates=KubeletCredentialProviders=true'* ]]
    uninstall
    succeeded
    [ "$(cat "$ROOT/$args")" = 'KUBELET_CUSTOMIZED_ARGS="--feature-gates=A=true,B=false"' ]
}

@test "a gate that is off is refused as long as there is one" {
    for version in 1.23.1 1.25.9; do
        node ack
        echo 'KUBELET_CUSTOMIZED_ARGS="--feature-gates=A=true,KubeletCredentialProviders=false"' >"$ROOT/$args"
        snapshot >"$FAKE/before"
        FAKE_KUBELET_VERSION=v$version install_all
        failed 'the feature gate KubeletCredentialProviders is set to false'
        diff "$FAKE/before" <(snapshot)
        rm -rf "$ROOT" "$FAKE"
    done
}
