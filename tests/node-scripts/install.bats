#!/usr/bin/env bats
# What install.sh leaves on the nodes that there are. What can go wrong is in faults.bats.
load node.bash

# With the flags at the end of what the kubelet had.
runs_with_both_flags() {
    [[ $(kubelet_args) == *"$1 $flag-config=/etc/kubernetes/credential-provider-config.yaml $flag-bin-dir=/opt/$name/bin"* ]] ||
        { kubelet_args; false; }
}

@test "an ACK node: binary, configuration, kubelet configuration, flags beside those that are there" {
    node ack
    install_all
    succeeded
    looks_like ack
    runs_with_both_flags '--eviction-hard=imagefs.available<5% --system-reserved=cpu=100m --kube-reserved=cpu=100m'
    [ "$(restarts)" = 1 ]
}

@test "a second run changes nothing and restarts nothing" {
    node ack
    install_all --refresh-timer
    succeeded
    snapshot >"$FAKE/first"
    true >"$FAKE/log"
    touch -d 2020-01-01 "$ROOT/etc/$name/config.yaml"
    install_all --refresh-timer
    succeeded
    says 'nothing to do'
    diff <(snapshot) "$FAKE/first"
    [ -n "$(find "$ROOT/etc/$name/config.yaml" -mmin +1000)" ]
    [ ! -s "$FAKE/log" ]
}

@test "an ACK node whose file of arguments is not there yet" {
    node ack
    rm "$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    install_all
    succeeded
    [ "$(cat "$ROOT/etc/kubernetes/kubelet-customized-args.conf")" = "KUBELET_CUSTOMIZED_ARGS=\"$flag-config=/etc/kubernetes/credential-provider-config.yaml $flag-bin-dir=/opt/$name/bin\"" ]
    runs_with_both_flags ''
}

@test "a kubeadm node without /etc/default/kubelet, and with one" {
    node kubeadm-deb
    mkdir -p "$ROOT/etc/default"
    install_all
    succeeded
    looks_like kubeadm-deb
    runs_with_both_flags containerd.sock
}

@test "a unit without a variable gets a drop-in with its command line and the flags" {
    node plain
    install_all
    succeeded
    looks_like plain
    kubelet_starts
}

@test "no kubelet to be found: refused" {
    node plain
    rm "$ROOT/etc/systemd/system/kubelet.service"
    install_all
    failed 'found no kubelet.service that runs a kubelet' "$flag-config="
}

@test "the version of the kubelet decides the version of its configuration" {
    while read -r kubelet config gate; do
        node ack
        FAKE_KUBELET_VERSION=$kubelet install_all
        succeeded
        grep -qx "apiVersion: kubelet.config.k8s.io/$config" "$ROOT/etc/kubernetes/credential-provider-config.yaml"
        grep -qx "    apiVersion: credentialprovider.kubelet.k8s.io/$config" "$ROOT/etc/kubernetes/credential-provider-config.yaml"
        [ "$(kubelet_args | grep -c -e --feature-gates=KubeletCredentialProviders=true)" = "$gate" ]
        rm -rf "$ROOT" "$FAKE"
    done <<END
v1.20.4-aliyun.1 v1alpha1 1
v1.23.17 v1alpha1 1
v1.24.0 v1beta1 0
v1.25.16 v1beta1 0
v1.26.0 v1 0
v1.31.1-aliyun.1 v1 0
v1.36.0-rc.1+build.7 v1 0
END
    node ack
    FAKE_KUBELET_VERSION=v1.19.9 install_all
    failed 'kubelet 1.19 has no credential providers'
}

@test "--match-images in place of what is derived" {
    node ack
    install_all --match-images 'registry.acme.example:5000,*.acme.example'
    succeeded
    [ "$(grep -c '^      - ' "$ROOT/etc/kubernetes/credential-provider-config.yaml")" = 2 ]
    for pattern in 'bad pattern' https://registry.example 'registry.example:*' 'registry.example/*' '[a.example' a.example,; do
        install_all --match-images "$pattern"
        failed 'not a pattern'
    done
}

@test "hosts in domains, however the configuration writes them" {
    node ack
    while read -r line; do
        printf 'acr-registry-info:\n  - instanceId: cri-x\n%b\n' "$line" >"$FAKE/config.yaml"
        install_all
        succeeded
        [ "$(sed -n 's/^      - //p' "$ROOT/etc/kubernetes/credential-provider-config.yaml" | tr '\n' ' ')" = \
            '"*.*.cr.aliyuncs.com" "*.distributed.*.cr.aliyuncs.com" "registry*.*.aliyuncs.com" "a.example" "b.example:5000" ' ] ||
            { echo "$line"; cat "$ROOT/etc/kubernetes/credential-provider-config.yaml"; false; }
    done <<'END'
    domains: a.example,b.example:5000
    regionId: x # domains: old.example\n    domains: a.example,b.example:5000 # domains: older.example
    domains: a.example, b.example:5000 # both
    domains: "a.example,b.example:5000"
    domains: 'a.example,x-registry-vpc.cn-hangzhou.cr.aliyuncs.com,b.example:5000'
    domains: a.example\n  - instanceId: cri-y\n    domains: b.example:5000
    domains: a.example,registry-vpc.cn-hangzhou.aliyuncs.com\n    #domains: c.example\n  - {domains: b.example:5000, regionId: cn-beijing}
    "domains": "a.example,b.example:5000"\n    expireDuration: 3600
END
    cat >"$FAKE/config.yaml" <<'END'
{"data": {"acr-registry-info": "- instanceId: cri-x\n  domains: \"a.example\"\n- domains: b.example:5000\n  regionId: cn-beijing\n"}}
END
    install_all
    succeeded
    grep -qx '      - "b.example:5000"' "$ROOT/etc/kubernetes/credential-provider-config.yaml"
}

@test "no configuration at all: registries of the node's own account" {
    node ack
    install 1.0
    succeeded
    [ ! -e "$ROOT/etc/$name" ]
    kubelet_starts
}

@test "a configuration that is there already is tested, used and kept" {
    node ack
    mkdir "$ROOT/etc/$name"
    cp "$FAKE/config.yaml" "$ROOT/etc/$name"
    install 1.0
    succeeded
    grep -q registry.acme.example:5000 "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    uninstall
    succeeded
    cmp "$FAKE/config.yaml" "$ROOT/etc/$name/config.yaml"
}

@test "a configuration that others could read becomes 0600" {
    node ack
    install_all
    chmod 644 "$ROOT/etc/$name/config.yaml"
    install_all
    succeeded
    [ "$(stat -c %a "$ROOT/etc/$name/config.yaml")" = 600 ]
}

@test "a new version replaces the old one, which is kept, and restarts nothing" {
    node ack
    install_all
    true >"$FAKE/log"
    install 2.0
    succeeded
    [ "$("$ROOT/opt/$name/bin/$name" --version)" = "$name 2.0" ]
    [ "$("$ROOT/opt/$name/bin/$name.prev" --version)" = "$name 1.0" ]
    [ "$(restarts)" = 0 ]
}

@test "a tree's kubelet is not that of the machine that makes it" {
    node ack
    run shell "$scripts/install.sh" --root "$ROOT" --binary "$PROVIDERS/1.0" --sha256 "$(sha "$PROVIDERS/1.0")"
    failed 'cannot ask the kubelet for its version; give --kubelet-version'
    mkdir "$ROOT/usr" "$ROOT/usr/bin"
    printf '#!/bin/sh\necho Kubernetes v1.25.3\n' >"$ROOT/usr/bin/kubelet"
    chmod 755 "$ROOT/usr/bin/kubelet"
    run shell "$scripts/install.sh" --root "$ROOT" --binary "$PROVIDERS/1.0" --sha256 "$(sha "$PROVIDERS/1.0")"
    succeeded
    grep -q v1beta1 "$ROOT/etc/kubernetes/credential-provider-config.yaml"
}

@test "a root with spaces, a relative one, a link to one, and any umask" {
    for form in 'a root' relative link; do
        for mask in 000 077; do
            node ack
            top=$ROOT
            case $form in
            a\ root) top="$BATS_TEST_TMPDIR/a root" && mv "$ROOT" "$top" ;;
            relative) top=root ;;
            link) ln -sfn "$ROOT" "$BATS_TEST_TMPDIR/link" && top=$BATS_TEST_TMPDIR/link ;;
            esac
            mkdir -p "$BATS_TEST_TMPDIR/a tmp"
            binary=$PROVIDERS/1.0 sum=$(sha "$PROVIDERS/1.0")
            options=(--kubelet-version 1.30 --binary "$binary" --sha256 "$sum" --config "$FAKE/config.yaml" --refresh-timer --root "$top")
            cd "$BATS_TEST_TMPDIR"
            for said in installed 'nothing to do'; do
                umask $mask
                TMPDIR="$BATS_TEST_TMPDIR/a tmp" run shell "$scripts/install.sh" "${options[@]}"
                umask 022
                succeeded
                says "$said"
            done
            [ "$form" != 'a root' ] || mv "$top" "$ROOT"
            looks_like timer
            rm -rf "$ROOT" "$FAKE"
        done
    done
}

@test "hosts that only the program can find in the configuration are reported, not forgotten" {
    node ack
    snapshot >"$FAKE/before"
    export FAKE_RENDER='    matchImages:
      - "acme-registry.cn-hangzhou.cr.aliyuncs.com"
      - "*.distributed.cn-hangzhou.cr.aliyuncs.com"
      - "registry.acme.example:5000"
      - "folded.example"
    defaultCacheDuration: 0s'
    install_all
    failed "write these hosts into one line of the configuration's domains, or give --match-images: folded.example"
    diff "$FAKE/before" <(snapshot)
    install_all --match-images folded.example
    succeeded
}

@test "of two runs at the same time one gives way" {
    node ack
    snapshot >"$FAKE/before"
    exec 8<"$ROOT/var/lib"
    flock 8
    install_all 8<&-
    failed 'another run is in progress'
    diff "$FAKE/before" <(snapshot)
    flock -u 8
    install_all
    succeeded
    flock 8
    uninstall 8<&-
    failed 'another run is in progress'
}

@test "from a URL: only if it is not there already" {
    node ack
    cp "$PROVIDERS/1.0" "$FAKE/download"
    sum=$(sha "$PROVIDERS/1.0")
    for upper in "$sum" "$(echo "$sum" | tr a-f A-F)"; do
        run shell "$scripts/install.sh" --root "$ROOT" --restart --url https://downloads.example/provider --sha256 "$upper"
        succeeded
    done
    [ "$(wc -l <"$FAKE/downloads")" = 1 ]
    [ "$("$ROOT/opt/$name/bin/$name" --version)" = "$name 1.0" ]
}

@test "a bin-dir that cannot be written is refused by name" {
    node ack
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-bin-dir=/proc/providers\"" >"$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    touch "$ROOT/proc/providers"
    snapshot >"$FAKE/before"
    install_all
    failed 'cannot write to /proc/providers' 'make it writable'
    diff <(snapshot) "$FAKE/before"
}

@test "a folder as the kubelet's configuration gets a file of ours" {
    node ack
    mkdir -p "$ROOT/srv/config.d" "$ROOT/srv/providers"
    cp "$here/configs/ecr.yaml" "$ROOT/srv/config.d/10-ecr.yaml"
    cp "$PROVIDERS/2.0" "$ROOT/srv/providers/ecr-credential-provider"
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-config=/srv/config.d/ $flag-bin-dir=/srv/providers/\"" >"$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    snapshot >"$FAKE/before"
    FAKE_KUBELET_VERSION=v1.34.1 install_all
    succeeded
    cmp "$here/configs/ecr.yaml" "$ROOT/srv/config.d/10-ecr.yaml"
    grep -q "name: $name" "$ROOT/srv/config.d/$name.yaml"
    kubelet_starts
    install_all
    says 'nothing to do'
    uninstall
    succeeded
    diff <(snapshot) "$FAKE/before"
}

@test "a folder in which another file has our entry: it is changed there" {
    node ack
    mkdir -p "$ROOT/srv/config.d"
    cp "$here/configs/ours-old.yaml" "$ROOT/srv/config.d/all.yaml"
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-config=/srv/config.d $flag-bin-dir=/srv/providers\"" >"$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    install_all
    succeeded
    [ "$(ls "$ROOT/srv/config.d")" = all.yaml ]
    grep -q registry.acme.example:5000 "$ROOT/srv/config.d/all.yaml"
}

@test "a tree for an image: without systemctl and a running kubelet" {
    node ack
    rm -r "$ROOT/proc/100"
    true >"$FAKE/log"
    run shell "$scripts/install.sh" --root "$ROOT" --binary "$PROVIDERS/1.0" --sha256 "$(sha "$PROVIDERS/1.0")" --config "$FAKE/config.yaml" --refresh-timer --kubelet-version 1.30
    succeeded
    [ ! -s "$FAKE/log" ]
    looks_like timer
}

@test "a kubelet that does not run yet is not waited for" {
    node ack
    rm -r "$FAKE/kubelet-up" "$ROOT/proc/100"
    install_all
    succeeded
    says 'it takes the flags when it starts'
    [ "$(restarts)" = 0 ]
    looks_like ack
}

@test "a kubelet that does not tell its health is watched for ten seconds" {
    node ack
    touch "$FAKE/mute"
    install_all
    succeeded
    looks_like ack
}

@test "--help is the head of the script" {
    run shell "$scripts/install.sh" --help
    succeeded
    says 'Installs aliyun-acr-credential-provider on a node' '--refresh-timer' 'A second run changes nothing.'
    [[ $output != *'set -eu'* && $output != *'#'* ]]
}

@test "options that are missing, wrong or too many" {
    node ack
    for arguments in '' '--binary /nonexistent --url https://x --sha256 00' "--url https://downloads.example/x" "--binary $PROVIDERS/1.0 --sha256 abc" '--binary' '--frobnicate' 'word'; do
        # shellcheck disable=SC2086
        run shell "$scripts/install.sh" --root "$ROOT" $arguments
        failed error:
    done
}

@test "what cannot be read, or cannot stand in the kubelet's arguments, is refused before anything is changed" {
    node ack
    snapshot >"$FAKE/before"
    install 1.0 --config /nonexistent
    failed 'error: cannot read /nonexistent'
    for bin_dir in bin '/opt/a b' "/opt/a\"b" '/opt/$HOME'; do
        run shell "$scripts/install.sh" --root "$ROOT" --restart --binary "$PROVIDERS/1.0" \
            --sha256 "$(sha "$PROVIDERS/1.0")" --bin-dir "$bin_dir"
        failed error: "$bin_dir"
    done
    diff <(snapshot) "$FAKE/before"
}

@test "each script can be run as it is" {
    for script in "$scripts"/*.sh; do [ -x "$script" ]; done
}

@test "cut off anywhere in transfer, the script does nothing" {
    node ack
    snapshot >"$FAKE/before"
    lines=$(wc -l <"$scripts/install.sh")
    for part in 50 200 $((lines - 20)) $((lines - 1)); do
        head -n "$part" "$scripts/install.sh" >"$FAKE/cut.sh"
        run shell "$FAKE/cut.sh" --root "$ROOT" --restart --binary "$PROVIDERS/1.0" --sha256 "$(sha "$PROVIDERS/1.0")"
        diff <(snapshot) "$FAKE/before"
    done
}
