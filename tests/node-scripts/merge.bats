#!/usr/bin/env bats
# What becomes of a CredentialProviderConfig that is there already.
load node.bash

kconf=etc/kubernetes/credential-provider-config.yaml

other_providers() {
    mkdir -p "$ROOT/opt/$name/bin"
    cp "$PROVIDERS/2.0" "$ROOT/opt/$name/bin/ecr-credential-provider"
    cp "$PROVIDERS/2.0" "$ROOT/opt/$name/bin/other-credential-provider"
}

# Every file of configs/merged is what becomes of the one of the same name in configs.
@test "our entry is added, or takes the place of itself; all else stays to the letter" {
    for merged in "$here"/configs/merged/*; do
        node ack
        cp "$here/configs/${merged##*/}" "$ROOT/$kconf"
        other_providers
        install_all
        succeeded
        [ -z "${UPDATE_GOLDEN:-}" ] || cp "$ROOT/$kconf" "$merged"
        diff -u "$merged" "$ROOT/$kconf"
        install_all
        says 'nothing to do'
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "merged and uninstalled, the file is what it was" {
    for merged in "$here"/configs/merged/*; do
        node ack
        cp "$here/configs/${merged##*/}" "$ROOT/$kconf"
        other_providers
        snapshot >"$FAKE/before"
        install_all
        succeeded
        uninstall
        succeeded
        diff <(snapshot) "$FAKE/before"
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "its version and its mode stay" {
    node ack
    other_providers
    sed 's/kubelet.config.k8s.io\/v1/&beta1/' "$here/configs/ecr.yaml" >"$ROOT/$kconf"
    chmod 640 "$ROOT/$kconf"
    install_all
    succeeded
    grep -qx 'apiVersion: kubelet.config.k8s.io/v1beta1' "$ROOT/$kconf"
    [ "$(stat -c %a "$ROOT/$kconf")" = 640 ]
}

@test "what cannot be merged with certainty is refused and left as it is" {
    node ack
    for file in "$here"/configs/refused/*; do
        cp "$file" "$ROOT/$kconf"
        snapshot >"$FAKE/before"
        install_all
        failed 'cannot merge into /etc/kubernetes/credential-provider-config.yaml safely' "name: $name" '"registry.acme.example:5000"' 'by hand'
        diff <(snapshot) "$FAKE/before" || { echo "$file"; false; }
    done
}

@test "a file that was rendered for tokens of pods stays as it is, in YAML and in JSON" {
    for form in yaml json; do
        node ack
        other_providers
        cp "$PROVIDERS/2.0" "$ROOT/opt/$name/bin/$name-pods"
        cp "$here/../../config/config.pod-identity.yaml" "$FAKE/config.yaml"
        cp "$here/../../config/kubelet/credential-provider-config.service-accounts.1.34.yaml" "$ROOT/$kconf"
        [ $form = yaml ] || python3 -c "import sys, json, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)" \
            <"$here/../../config/kubelet/credential-provider-config.service-accounts.1.34.yaml" >"$ROOT/$kconf"
        cp "$ROOT/$kconf" "$FAKE/rendered"
        for version in 1.0 2.0; do
            install $version --config "$FAKE/config.yaml"
            succeeded
            says 'stays the same'
            [[ $output != *warning* ]]
            cmp "$FAKE/rendered" "$ROOT/$kconf"
        done
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "an entry that requires tokens, and a kubelet that sends none: said, with what to do" {
    node ack
    cp "$here/../../config/config.pod-identity.yaml" "$FAKE/config.yaml"
    FAKE_KUBELET_VERSION=v1.34.1 install_all
    succeeded
    says 'warning: podIdentity is required' 'render kubelet-config --service-accounts --kubelet-version 1.34' "ln -s $name /opt/$name/bin/$name-pods"
    cp "$here/../../config/config.worker-role.yaml" "$FAKE/config.yaml"
    install_all
    [[ $output != *warning* ]]
}

@test "owner and group stay" {
    [ "$(id -u)" = 0 ] || skip 'needs root'
    node kubeadm-deb
    mkdir -p "$ROOT/etc/default"
    echo KUBELET_EXTRA_ARGS=--v=2 >"$ROOT/etc/default/kubelet"
    chown 12:34 "$ROOT/etc/default/kubelet"
    chmod 640 "$ROOT/etc/default/kubelet"
    install_all
    succeeded
    [ "$(stat -c '%u:%g %a' "$ROOT/etc/default/kubelet")" = '12:34 640' ]
}

@test "a binary that is a link is refused" {
    node ack
    mkdir -p "$ROOT/opt/$name/bin/v1"
    cp "$PROVIDERS/2.0" "$ROOT/opt/$name/bin/v1/$name"
    ln -s "v1/$name" "$ROOT/opt/$name/bin/$name"
    snapshot >"$FAKE/before"
    install_all
    failed 'is a symbolic link'
    diff "$FAKE/before" <(snapshot)
}

@test "a symbolic link is not followed" {
    node ack
    cp "$here/configs/ecr.yaml" "$ROOT/etc/elsewhere.yaml"
    ln -s ../elsewhere.yaml "$ROOT/$kconf"
    install_all
    failed 'is a symbolic link'
    cmp "$here/configs/ecr.yaml" "$ROOT/etc/elsewhere.yaml"
}

# same FUNCTION SCRIPT...: they have it word for word, for each has to work alone on a node.
same() {
    local function=$1 script first=''
    shift
    for script; do
        sed -n "/^$function() {.*}\$/{p;q;}; /^$function() {/,/^}/p" "$scripts/$script.sh" >"$BATS_TEST_TMPDIR/$script"
        [ -s "$BATS_TEST_TMPDIR/$script" ]
        diff "$BATS_TEST_TMPDIR/${first:=$script}" "$BATS_TEST_TMPDIR/$script"
    done
}

@test "all scripts read JSON in the same way" {
    same json install uninstall
    same is_json install uninstall verify
}

@test "all scripts take the same process for the kubelet, and the same files for its unit" {
    same is_kubelet install uninstall verify
    same unit_files install uninstall
}
