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

@test "a symbolic link is not followed" {
    node ack
    cp "$here/configs/ecr.yaml" "$ROOT/etc/elsewhere.yaml"
    ln -s ../elsewhere.yaml "$ROOT/$kconf"
    install_all
    failed 'is a symbolic link'
    cmp "$here/configs/ecr.yaml" "$ROOT/etc/elsewhere.yaml"
}

@test "both scripts read JSON in the same way" {
    sed -n '/^json() {/,/^}/p' "$scripts/install.sh" >"$BATS_TEST_TMPDIR/json"
    [ -s "$BATS_TEST_TMPDIR/json" ]
    diff "$BATS_TEST_TMPDIR/json" <(sed -n '/^json() {/,/^}/p' "$scripts/uninstall.sh")
}

@test "all scripts take the same process for the kubelet" {
    sed -n '/^is_kubelet() {/,/^}/p' "$scripts/install.sh" >"$BATS_TEST_TMPDIR/kubelet"
    [ -s "$BATS_TEST_TMPDIR/kubelet" ]
    for other in uninstall verify; do
        diff "$BATS_TEST_TMPDIR/kubelet" <(sed -n '/^is_kubelet() {/,/^}/p' "$scripts/$other.sh")
    done
}
