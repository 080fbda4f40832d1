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
v1.34.1-aliyun.1 v1 0
END
    node ack
    FAKE_KUBELET_VERSION=v1.19.9 install_all
    failed 'kubelet 1.19 has no credential providers'
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

@test "--match-images in place of what is derived" {
    node ack
    install_all --match-images 'registry.acme.example:5000,*.acme.example'
    succeeded
    [ "$(grep -c '^      - ' "$ROOT/etc/kubernetes/credential-provider-config.yaml")" = 2 ]
    install_all --match-images 'bad pattern'
    failed 'no pattern'
}

@test "hosts in domains, however the configuration writes them" {
    node ack
    while read -r line; do
        printf 'acr-registry-info:\n  - instanceId: cri-x\n%b\n' "$line" >"$FAKE/config.yaml"
        install_all
        succeeded
        [ "$(sed -n 's/^      - //p' "$ROOT/etc/kubernetes/credential-provider-config.yaml" | tr '\n' ' ')" = \
            '"*.*.cr.aliyuncs.com" "registry*.*.aliyuncs.com" "a.example" "b.example:5000" ' ] ||
            { echo "$line"; cat "$ROOT/etc/kubernetes/credential-provider-config.yaml"; false; }
    done <<'END'
    domains: a.example,b.example:5000
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
    run shell "$scripts/install.sh" --root "$ROOT" --binary "$PROVIDERS/1.0" --sha256 "$(sha "$PROVIDERS/1.0")"
    succeeded
    [ "$("$ROOT/srv/providers/$name" --version)" = "$name 1.0" ]
    [ "$before" = "$(cat "$ROOT/etc/kubernetes/kubelet-customized-args.conf")" ]
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

@test "a timer on request, which may write nothing but the cache" {
    node ack
    install_all --refresh-timer
    succeeded
    looks_like timer
    grep -qx "restart $name-refresh.timer" "$FAKE/log"
    uninstall
    succeeded
    grep -qx "stop $name-refresh.timer" "$FAKE/log"
    [ ! -e "$ROOT/etc/systemd/system/timers.target.wants" ]
}

@test "a tree for an image: no systemctl, no running kubelet" {
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

@test "--dry-run shows the change and makes none; no secret is in it" {
    node ack
    mkdir "$ROOT/etc/$name"
    cat >"$ROOT/etc/$name/config.yaml" <<'END'
acr-registry-info:
  - instanceId: cri-xxxxxxxxxxxxxxxx
    customAccessKey: LTAIold
    customAccessKeySecret: SECRETold
END
    cat >"$FAKE/config.yaml" <<'END'
acr-registry-info:
  - instanceId: cri-yyyyyyyyyyyyyyyy
    customAccessKey: LTAInew
    customAccessKeySecret: >-
      SECRETnew
      SECRETmore
    regionId: cn-beijing
  - {instanceId: cri-z, customAccessKeySecret:
    SECRETflow}
  - "customAccessKey": "LTAIjson"
    'customAccessKeySecret' : 'SECRETquoted'
    domains: custom.example
END
    cp "$here/configs/env.yaml" "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    snapshot >"$FAKE/before"
    install_all --dry-run --refresh-timer
    succeeded
    diff <(snapshot) "$FAKE/before"
    [ ! -s "$FAKE/log" ]
    [[ ! $output =~ LTAI|SECRET ]]
    says "would install /opt/$name/bin/$name" '-  - instanceId: cri-xxxxxxxxxxxxxxxx' '+  - instanceId: cri-yyyyyyyyyyyyyyyy' '+    regionId: cn-beijing' \
        "+  - name: $name" '+      - "custom.example"' '-KUBELET_CUSTOMIZED_ARGS="--eviction' '+KUBELET_CUSTOMIZED_ARGS="--eviction' '+RandomizedDelaySec'
}

@test "options that are missing, wrong or too many" {
    node ack
    for arguments in '' '--binary /nonexistent --url https://x --sha256 00' "--url https://downloads.example/x" "--binary $PROVIDERS/1.0 --sha256 abc" '--binary' '--frobnicate' 'word'; do
        # shellcheck disable=SC2086
        run shell "$scripts/install.sh" --root "$ROOT" $arguments
        failed error:
    done
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
