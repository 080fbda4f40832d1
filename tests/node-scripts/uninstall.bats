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

# refused_running_or_not EDIT TEXT: after this edit, with a kubelet that runs and with one that is stopped,
# nothing is changed, that is said, and the kubelet starts again.
refused_running_or_not() {
    local state
    for state in running stopped; do
        node ack
        install_all --refresh-timer
        eval "$1"
        kubelet_starts
        [ $state = running ] || rm -r "$FAKE/kubelet-up" "$ROOT/proc/100"
        snapshot >"$FAKE/before"
        uninstall
        failed "$2"
        diff "$FAKE/before" <(snapshot)
        [ $state = stopped ] || [ -e "$FAKE/kubelet-up" ]
        kubelet_starts
        [ $state = stopped ] || rm -rf "$ROOT" "$FAKE"
    done
}

also_set_by_others() {
    sed -i "s|--max-pods=64|& $flag-config=$1 $flag-bin-dir=$2|" "$ROOT/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"
}

@test "a flag of ours that others have changed: the kubelet needs both, so all is put back" {
    refused_running_or_not 'cp -r "$ROOT/opt/$name/bin" "$ROOT/opt/$name/others"; sed -i "s/bin\"/others\"/" "$ROOT/$args"' "without any $flag-config"
}

@test "flags of ours that others have set in another place as well: refused until that is undone" {
    refused_running_or_not 'also_set_by_others "/$kconf" "/opt/$name/bin"' "without /$kconf"
    sed -i "s/--max-pods=64 [^\"]*/--max-pods=64/" "$ROOT/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"
    kubelet_starts
    uninstall
    succeeded
    kubelet_starts
}

@test "flags of ours that others have set in lines that go on: refused as well" {
    refused_running_or_not 'sed -i "s|^ExecStart=/.*|&\\\\\n$flag-config=/$kconf\\\\\n$flag-bin-dir=/opt/$name/bin|" "$ROOT/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"' \
        "without /$kconf"
}

@test "flags that only the kubelet itself can tell, since they are put together: all is put back" {
    node ack
    install_all
    sed -i "s|^Environment=.*max-pods.*|&\nEnvironment=\"KUBELET_FLAG=--image-credential\"|
        s|^ExecStart=.*AC*.*ARGS\$|& \${KUBELET_FLAG}-provider-config=/$kconf \${KUBELET_FLAG}-provider-bin-dir=/opt/$name/bin|" \
        "$ROOT/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"
    kubelet_starts
    snapshot >"$FAKE/before"
    uninstall
    failed "without /$kconf"
    diff "$FAKE/before" <(snapshot)
    [ -e "$FAKE/kubelet-up" ]
}

@test "flags of others with files of their own are no reason to stay" {
    node ack
    install_all
    mkdir -p "$ROOT/srv/providers"
    cp "$here/configs/ecr.yaml" "$ROOT/srv/ecr.yaml"
    cp "$PROVIDERS/2.0" "$ROOT/srv/providers/ecr-credential-provider"
    also_set_by_others /srv/ecr.yaml /srv/providers
    kubelet_starts
    uninstall
    succeeded
    [ ! -e "$ROOT/opt" ]
    kubelet_starts
    [[ $(kubelet_args) == *"$flag-bin-dir=/srv/providers"* ]]
}

@test "of two configurations that the kubelet had, one after the other, ours is taken out of both" {
    node ack
    install_all
    mkdir -p "$ROOT/srv/providers"
    cp "$here/configs/ecr.yaml" "$ROOT/srv/ecr.yaml"
    cp "$PROVIDERS/2.0" "$ROOT/srv/providers/ecr-credential-provider"
    sed -i "s|$flag-config=[^ ]*|$flag-config=/srv/ecr.yaml|; s|$flag-bin-dir=[^\"]*|$flag-bin-dir=/srv/providers|" "$ROOT/$args"
    kubelet_starts
    install_all
    grep -q $name "$ROOT/srv/ecr.yaml"
    uninstall
    succeeded
    diff "$here/configs/ecr.yaml" "$ROOT/srv/ecr.yaml"
    [ ! -e "$ROOT/$kconf" ]
    [ "$(find "$ROOT" -name $name)" = '' ]
    kubelet_starts
}

@test "flags of others that lead to ours by links: refused" {
    refused_running_or_not 'mkdir -p "$ROOT/srv"; ln -sf "../$kconf" "$ROOT/srv/c.yaml"; ln -sfn "../opt/$name/bin" "$ROOT/srv/bin"
        sed -i "s|$flag-config=[^ ]*|$flag-config=/srv/c.yaml|; s|$flag-bin-dir=[^\"]*|$flag-bin-dir=/srv/bin|" "$ROOT/$args"' 'without /srv/c.yaml'
}

@test "flags of ours that stand twice in a line go both times" {
    node ack
    cp "$ROOT/$args" "$FAKE/args"
    install_all
    sed -i "s|\"\$| $flag-bin-dir=/opt/$name/bin $flag-config=/$kconf\"|" "$ROOT/$args"
    kubelet_starts
    uninstall
    succeeded
    diff "$FAKE/args" "$ROOT/$args"
    kubelet_starts
}

@test "a provider of others that is a link to our binary: refused" {
    refused_running_or_not 'ln -s $name "$ROOT/opt/$name/bin/$name-pods"; sed "1,/^providers/d; s/$name/&-pods/" "$ROOT/$kconf" >"$FAKE/pods"; cat "$FAKE/pods" >>"$ROOT/$kconf"' \
        "without /opt/$name/bin/$name-pods"
}

@test "a timer that systemd does not know does not keep the rest" {
    node ack
    snapshot >"$FAKE/before"
    install_all --refresh-timer
    true >"$FAKE/timer-unknown"
    uninstall
    undone
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
    says 'now has other providers; the kubelet'
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
    failed 'would be left without a provider' "remove the flags $flag-*"
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

# The configurations of the kubelet that tools and editors make of ours.
rewritten() {
    case $1 in
    crlf) sed -i 's/$/\r/' "$ROOT/$kconf" ;;
    quoted) sed -i 's/\([A-Za-z]*\): \(.*\)/"\1": "\2"/; s/\(matchImages\):/"\1":/' "$ROOT/$kconf" ;;
    sorted) printf 'apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - apiVersion: credentialprovider.kubelet.k8s.io/v1\n    env:\n    - name: NOTE\n      value: x\n    matchImages:\n    - a.example\n    name: %s\n' $name >"$ROOT/$kconf" ;;
    dash) sed -i 's/^  - name/  -\n    name/' "$ROOT/$kconf" ;;
    json) printf '{"kind":"CredentialProviderConfig","providers":[{"name":"%s"}]}' $name >"$ROOT/$kconf" ;;
    esac
}

@test "a configuration that was rewritten in another form is undone as well" {
    for form in crlf quoted sorted dash json; do
        node ack
        snapshot >"$FAKE/before"
        install_all
        rewritten $form
        kubelet_starts
        uninstall
        undone || { echo "$form"; false; }
        kubelet_starts
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "what others have added to it since stays in that form" {
    for form in crlf quoted sorted dash; do
        node ack
        install_all
        provider_of_others
        rewritten $form
        [ $form != sorted ] || provider_of_others
        uninstall
        succeeded
        says 'now has other providers'
        [ "$(grep -c name "$ROOT/$kconf")" = 1 ] || { echo "$form"; cat "$ROOT/$kconf"; false; }
        grep -q 'name.*ecr-credential-provider' "$ROOT/$kconf"
        [ $form != crlf ] || [ "$(grep -c $'\r$' "$ROOT/$kconf")" = 7 ]
        kubelet_starts
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "an entry that was changed into something unclear is refused, and nothing is changed" {
    while read -r unclear; do
        node ack
        install_all --refresh-timer
        printf "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n$unclear" $name >"$ROOT/$kconf"
        snapshot >"$FAKE/before"
        true >"$FAKE/log"
        uninstall
        failed 'cannot be edited safely any more'
        diff "$FAKE/before" <(snapshot)
        [ ! -s "$FAKE/log" ]
        rm -rf "$ROOT" "$FAKE"
    done <<'END'
providers: [{name: %s, args: []}]\n
"providers":\n  name: %s\n
name: %s\nproviders:\n
providers:\n  - name: >-\n      %s\n    args: []\n
providers:\n  - name: !!str %s\n
providers:\n  - name: %s\n  - name: aliyun-acr-credential-provider\n
END
    node ack
    install_all
    printf '{"kind": "CredentialProviderConfig", "providers": [{"name": "%s"}, ' $name >"$ROOT/$kconf"
    uninstall
    failed 'cannot be edited safely any more'
}

@test "an entry and a binary that were there already, the same as ours, stay" {
    for provider in alone beside; do
        node ack
        mkdir -p "$ROOT/srv/providers"
        cp "$PROVIDERS/1.0" "$ROOT/srv/providers/$name"
        cp "$here/configs/ours-old.yaml" "$ROOT/$kconf"
        if [ $provider = beside ]; then
            cp "$PROVIDERS/2.0" "$ROOT/srv/providers/ecr-credential-provider"
            sed 1,/^providers/d "$here/configs/ecr.yaml" >>"$ROOT/$kconf"
        fi
        echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-config=/$kconf $flag-bin-dir=/srv/providers\"" >"$ROOT/$args"
        kubelet_starts
        snapshot >"$FAKE/before"
        install_all
        succeeded
        uninstall
        succeeded
        diff "$FAKE/before" <(snapshot)
        kubelet_starts
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "the binary that comes back can be written by its owner alone, and a link stays one" {
    node ack
    mkdir -p "$ROOT/srv/providers"
    cp "$PROVIDERS/2.0" "$ROOT/srv/providers/$name"
    cp "$here/configs/ours-old.yaml" "$ROOT/$kconf"
    echo "KUBELET_CUSTOMIZED_ARGS=\"$flag-config=/$kconf $flag-bin-dir=/srv/providers\"" >"$ROOT/$args"
    install_all
    original=$ROOT/var/lib/$name/original/srv/providers/$name
    chmod 777 "$original"
    cp -r "$ROOT" "$FAKE/installed"
    uninstall
    succeeded
    [ "$(stat -c %a "$ROOT/srv/providers/$name")" = 755 ]
    rm -r "$ROOT"
    cp -r "$FAKE/installed" "$ROOT"
    mkdir "$ROOT/srv/providers/v2"
    mv "$original" "$ROOT/srv/providers/v2/$name"
    ln -s "v2/$name" "$original"
    uninstall
    succeeded
    [ "$(readlink "$ROOT/srv/providers/$name")" = "v2/$name" ]
    kubelet_starts
}

@test "a configuration that was changed since is kept under another name" {
    conf=etc/$name/config.yaml
    for before in '' 'acr-registry-info: []'; do
        for edit in '' '# a note'; do
            node ack
            if [ -n "$before" ]; then
                mkdir "$ROOT/etc/$name"
                (umask 077 && echo "$before" >"$ROOT/$conf")
            fi
            snapshot >"$FAKE/before"
            install_all
            cp -p "$ROOT/$conf" "$FAKE/first"
            sed -i s/acme/renamed/ "$FAKE/config.yaml"
            install_all
            if [ -n "$edit" ]; then
                echo "$edit" >>"$ROOT/$conf"
                cp "$ROOT/$conf" "$FAKE/edited"
            else
                # What install.sh had written before is nobody's work.
                cp -p "$FAKE/first" "$ROOT/$conf"
            fi
            uninstall
            succeeded
            if [ -n "$edit" ]; then
                says "/$conf was changed after install.sh had written it; that is kept as /$conf.edited"
                diff "$FAKE/edited" "$ROOT/$conf.edited"
                [ "$(stat -c %a "$ROOT/$conf.edited")" = 600 ]
                rm "$ROOT/$conf.edited"
                [ -n "$before" ] || rmdir "$ROOT/etc/$name"
            fi
            diff "$FAKE/before" <(snapshot)
            rm -rf "$ROOT" "$FAKE"
        done
    done
}

@test "options: help, and what is not known" {
    node ack
    run shell "$scripts/uninstall.sh" --help
    succeeded
    says 'Undoes what install.sh recorded' '--root DIR'
    install_all
    snapshot >"$FAKE/before"
    for arguments in --purge word --root '--root /nonexistent'; do
        # shellcheck disable=SC2086
        run shell "$scripts/uninstall.sh" $arguments
        [ "$status" -ne 0 ]
    done
    diff "$FAKE/before" <(snapshot)
}
