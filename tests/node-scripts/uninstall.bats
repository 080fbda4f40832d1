#!/usr/bin/env bats
# uninstall.sh: finds the program that was installed, and has it undo what it did.
load node.bash

setup() {
    node
    tree >"$BATS_TEST_TMPDIR/before"
    "$PROGRAM" setup install --root "$ROOT" --kubelet-version 1.30 --config "$config" --bin-dir /srv/bin
}

uninstall() { run shell "$scripts/uninstall.sh" --root "$ROOT" "$@"; }

@test "what was there comes back, and then nothing is recorded" {
    uninstall
    succeeded
    untouched
    uninstall
    failed "nothing is recorded in $ROOT/var/lib/$name"
}

@test "options reach the program, and its exit code comes back" {
    uninstall --dry-run --json
    succeeded
    [ "$(jq -r .state <<<"$output")" = 'would uninstall' ]
    [ -x "$ROOT/srv/bin/$name" ]
    uninstall --purge
    [ "$status" = 2 ]
    says --purge
}

@test "where a run was killed that had removed the program, its copy goes on" {
    mkdir -p "$ROOT/var/lib/$name/unfinished/srv/bin"
    mv "$ROOT/srv/bin/$name" "$ROOT/var/lib/$name/unfinished/srv/bin"
    uninstall
    succeeded
    untouched
}

@test "without any program: that is said, with what to do" {
    rm "$ROOT/srv/bin/$name"
    uninstall
    failed 'the installed program is not there' "$name setup uninstall"
    "$PROGRAM" setup uninstall --root "$ROOT"
    untouched
}
