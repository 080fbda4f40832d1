#!/usr/bin/env bats
# install.sh: fetches, compares and starts the program, with the options that it was given.
load node.bash

setup() {
    node
    tree >"$BATS_TEST_TMPDIR/before"
}

install() { run shell "$scripts/install.sh" --root "$ROOT" --kubelet-version 1.30 "$@"; }

# A server that answers from file $DOWNLOAD from the $GOOD-th time on.
server='
    sleep() { echo "$1" >>"$TMPDIR/../waits"; }
    curl() {
        echo "$*" >>"$TMPDIR/../calls"
        [ "$(wc -l <"$TMPDIR/../calls")" -ge "${GOOD:-1}" ] || return 7
        while [ "$1" != -o ]; do shift; done
        cat "$DOWNLOAD" >"$2"
    }'

download() {
    run shell_with "$server" "$scripts/install.sh" --root "$ROOT" --kubelet-version 1.30 --url https://downloads.example/program "$@"
}

calls() { if [ -e "$BATS_TEST_TMPDIR/calls" ]; then wc -l <"$BATS_TEST_TMPDIR/calls"; else echo 0; fi; }

@test "from a file: the tree that setup install makes with the same options, and back" {
    export DOWNLOAD=$PROGRAM
    sed 's/cri-x*$/cri-acmeacmeacme0001/' "$BATS_TEST_DIRNAME/../../config/config.rrsa.yaml" >"$BATS_TEST_TMPDIR/rrsa.yaml"
    options=(--config "$BATS_TEST_TMPDIR/rrsa.yaml" --match-images 'a.example:5000,*.b.example' --bin-dir /srv/bin --service-accounts --kubelet-version 1.34 --refresh-timer)
    run shell "$scripts/install.sh" --binary "$PROGRAM" --sha256 "${sum^^}" --root "$ROOT" "${options[@]}"
    succeeded
    [ -x "$ROOT/srv/bin/$name" ]
    tree >"$BATS_TEST_TMPDIR/by-script"
    node straight
    "$PROGRAM" setup install --root "$ROOT" "${options[@]}"
    diff "$BATS_TEST_TMPDIR/by-script" <(tree)
    node fetched
    run shell_with "$server" "$scripts/install.sh" "${options[@]}" --sha256 "$sum" --root "$ROOT" --url https://downloads.example/program
    succeeded
    diff "$BATS_TEST_TMPDIR/by-script" <(tree)
    run shell "$scripts/uninstall.sh" --root "$ROOT"
    succeeded
    untouched
}

@test "options reach the program as they are, and its words and exit code come back" {
    install --binary "$PROGRAM" --sha256 "$sum" --config "$config" --dry-run --json
    succeeded
    [ "$(jq -r .state <<<"$output")" = 'would install' ]
    untouched
    install --binary "$PROGRAM" --sha256 "$sum" --bin-dir '/opt/a  b"$HOME'
    [ "$status" = 2 ]
    says '/opt/a  b"$HOME` is not an absolute path'
    install --binary "$PROGRAM" --sha256 "$sum" --frobnicate
    [ "$status" = 2 ]
    says --frobnicate
    install --binary "$PROGRAM" --sha256 "$sum" --config /nonexistent --dry-run
    failed /nonexistent
    untouched
}

@test "what has another checksum is not run, whether from a file or a URL" {
    printf '#!/bin/sh\ntrue >%s/ran\n' "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/other"
    chmod 755 "$BATS_TEST_TMPDIR/other"
    export DOWNLOAD=$BATS_TEST_TMPDIR/other
    for step in "install --binary $DOWNLOAD" download 'download --dry-run'; do
        $step --sha256 "$sum"
        failed "has SHA-256 $(sha "$DOWNLOAD"), not $sum; it is not installed"
        [ ! -e "$BATS_TEST_TMPDIR/ran" ]
        untouched
    done
    # A download that was cut off.
    head -c 5000 "$PROGRAM" >"$BATS_TEST_TMPDIR/other"
    download --sha256 "$sum"
    failed 'has SHA-256'
    untouched
}

@test "a program for another machine, a page, and what does not run" {
    cp "$PROGRAM" "$BATS_TEST_TMPDIR/other"
    printf '\363' | dd of="$BATS_TEST_TMPDIR/other" bs=1 seek=18 conv=notrunc status=none
    echo '<html>not found</html>' >"$BATS_TEST_TMPDIR/page"
    for binary in other page; do
        install --binary "$BATS_TEST_TMPDIR/$binary" --sha256 "$(sha "$BATS_TEST_TMPDIR/$binary")"
        failed "the program is not for this machine ($(uname -m))"
        untouched
    done
    head -c 64 "$PROGRAM" >"$BATS_TEST_TMPDIR/cut"
    # A shell tries what the kernel refuses as a script, and that may write a file.
    cd "$BATS_TEST_TMPDIR"
    install --binary "$BATS_TEST_TMPDIR/cut" --sha256 "$(sha "$BATS_TEST_TMPDIR/cut")"
    failed 'the program does not run on this machine'
    untouched
}

@test "a fetch is tried again, each time a little later, and at last given up" {
    export DOWNLOAD=$PROGRAM GOOD=3
    download --sha256 "$sum" --dry-run
    succeeded
    [ "$(calls)" = 3 ]
    [ "$(tr '\n' ' ' <"$BATS_TEST_TMPDIR/waits")" = '1 2 ' ]
    rm "$BATS_TEST_TMPDIR/calls"
    GOOD=99 download --sha256 "$sum"
    failed 'cannot get https://downloads.example/program'
    [ "$(calls)" = 6 ]
    untouched
}

@test "without curl wget fetches" {
    export DOWNLOAD=$PROGRAM
    # shellcheck disable=SC2016 # the inner shell's variables
    run shell_with 'command() { [ "$2" != curl ] || return 1; [ "$1" = -v ] || "$@"; }
        wget() { while [ "$1" != -O ]; do shift; done; cat "$DOWNLOAD" >"$2"; echo "$3" >"$TMPDIR/../fetched"; }' \
        "$scripts/install.sh" --root "$ROOT" --kubelet-version 1.30 --url https://downloads.example/program --sha256 "$sum" --dry-run
    succeeded
    [ "$(cat "$BATS_TEST_TMPDIR/fetched")" = https://downloads.example/program ]
}

@test "what is installed already is not fetched again" {
    export DOWNLOAD=$PROGRAM
    download --sha256 "$sum" --config "$config" --bin-dir /srv/bin
    succeeded
    download --sha256 "$sum"
    succeeded
    says 'nothing to do'
    [ "$(calls)" = 1 ]
    echo >>"$ROOT/srv/bin/$name"
    download --sha256 "$sum"
    succeeded
    [ "$(calls)" = 2 ]
    [ "$(sha "$ROOT/srv/bin/$name")" = "$sum" ]
    [ -z "$(ls -A "$TMPDIR")" ]
}

@test "where the folder for temporary files is mounted noexec, another is found" {
    unshare -rm true || { echo 'this machine gives out no mount namespaces' >&2; false; }
    # shellcheck disable=SC2016 # the inner shell's variables
    run unshare -rm sh -c 'mount -t tmpfs -o noexec none "$TMPDIR" && mount -t tmpfs none /var/lib && "$@" && find "$TMPDIR" /var/lib -mindepth 1' sh \
        ${UNDER/busybox/busybox sh} "$scripts/install.sh" --root "$ROOT" --kubelet-version 1.30 --binary "$PROGRAM" --sha256 "$sum" --config "$config"
    succeeded
    [ "${lines[-1]}" = installed ]
}

@test "options that are missing, wrong or too many" {
    for arguments in '' "--binary $PROGRAM" '--binary /nonexistent --url https://x --sha256 00' "--url https://downloads.example/x" \
        "--binary $PROGRAM --sha256 abc" "--binary $PROGRAM --sha256 ${sum}0" "--binary $PROGRAM --sha256 ${sum/?/g}" '--binary' word; do
        # shellcheck disable=SC2086
        install $arguments
        failed error:
    done
    install --binary /nonexistent --sha256 "$sum"
    failed 'cannot get /nonexistent'
    untouched
}

@test "--help is the head of the script" {
    for script in install uninstall configure-hosts build-user-data; do
        run shell "$scripts/$script.sh" --help
        succeeded
        [[ $output == *'--'* && $output != *'set -eu'* && $output != *'#'* ]]
    done
}

@test "each script can be run as it is, and all of them together are short" {
    for script in "$scripts"/*.sh; do [ -x "$script" ]; done
    [ "$(cat "$scripts"/*.sh | wc -l)" -le 450 ]
}

@test "cut off anywhere in transfer, the script does nothing" {
    lines=$(wc -l <"$scripts/install.sh")
    for part in 30 60 $((lines - 10)) $((lines - 1)); do
        head -n "$part" "$scripts/install.sh" >"$BATS_TEST_TMPDIR/cut.sh"
        run shell "$BATS_TEST_TMPDIR/cut.sh" --root "$ROOT" --binary "$PROGRAM" --sha256 "$sum"
        untouched
    done
}

# A release beside $1, whose list of checksums the key named $2 has signed.
release() {
    folder=$BATS_TEST_TMPDIR/release
    rm -rf "$folder" && mkdir "$folder"
    for key in right wrong; do ssh-keygen -q -t ed25519 -N '' -C "$key key" -f "$folder/$key"; done
    cp "$PROGRAM" "$folder/program"
    echo "$sum  $name-linux-amd64" >"$folder/SHA256SUMS"
    ssh-keygen -q -Y sign -n "$name" -f "$folder/$1" "$folder/SHA256SUMS"
}

verified() { install --binary "$folder/program" --sha256 "$sum" --verify-key "$@" --config "$config"; }

# The same from an address.
release_server='
    sleep() { :; }
    curl() {
        while [ "$1" != -o ]; do shift; done
        file=${3%%\?*}
        cat "$RELEASE/${file##*/}" >"$2" 2>/dev/null
    }'

verified_download() {
    export RELEASE=$folder
    run shell_with "$release_server" "$scripts/install.sh" --root "$ROOT" --kubelet-version 1.30 --sha256 "$sum" \
        --url 'https://downloads.example/v1/program?version=1/2' --config "$config" --verify-key "$@"
}

@test "with a key, what it has signed is installed" {
    release right
    for key in "$folder/right.pub" "$(cat "$folder/right.pub")"; do
        for step in verified verified_download; do
            node "$step-$RANDOM"
            $step "$key"
            succeeded
            says installed
            [ -z "$(ls -A "$TMPDIR")" ]
        done
    done
}

@test "with a key, what it has not signed is refused before anything runs" {
    for step in verified verified_download; do
        release wrong
        $step "$folder/right.pub"
        failed 'SHA256SUMS is not signed with the key of --verify-key; nothing is installed'
        untouched
        release right
        $step "$folder/wrong.pub"
        failed 'is not signed with the key'
        untouched
        # The list was changed after it was signed.
        echo "$(sha /bin/true)  $name-linux-arm64" >>"$folder/SHA256SUMS"
        $step "$folder/right.pub"
        failed 'is not signed with the key'
        untouched
        # The program was changed, and the checksum is that of the list.
        release right
        printf '#!/bin/sh\ntrue >%s/ran\n' "$BATS_TEST_TMPDIR" >"$folder/program"
        $step "$folder/right.pub"
        failed "has SHA-256 $(sha "$folder/program"), not $sum"
        untouched
        # The program was changed, and the checksum is its own.
        run_sum=$sum sum=$(sha "$folder/program")
        $step "$folder/right.pub"
        failed "is signed, but does not have $sum; nothing is installed"
        sum=$run_sum
        untouched
        [ ! -e "$BATS_TEST_TMPDIR/ran" ]
        # No signature, no list.
        for missing in SHA256SUMS.sig SHA256SUMS; do
            release right
            rm "$folder/$missing"
            $step "$folder/right.pub"
            failed "cannot get " "/$missing"
            untouched
        done
    done
}

@test "a signature for something else is not one for a release" {
    release right
    rm "$folder/SHA256SUMS.sig"
    ssh-keygen -q -Y sign -n file -f "$folder/right" "$folder/SHA256SUMS"
    verified "$folder/right.pub"
    failed 'is not signed with the key'
    untouched
}

@test "a key that is not one is not a reason to check nothing" {
    release right
    for key in /nonexistent.pub "$folder/right" "$folder/program"; do
        verified "$key"
        failed '--verify-key has no public key'
        untouched
    done
    install --binary "$folder/program" --sha256 "$sum" --config "$config" --verify-key ''
    failed '--verify-key takes a value'
    install --binary "$folder/program" --sha256 "$sum" --config "$config" --verify-key
    failed '--verify-key takes a value'
    untouched
}

@test "without ssh-keygen nothing is installed" {
    release right
    # shellcheck disable=SC2016 # the inner shell's variables
    run shell_with 'command() { [ "$2" != ssh-keygen ] || return 1; }' "$scripts/install.sh" --root "$ROOT" \
        --kubelet-version 1.30 --binary "$folder/program" --sha256 "$sum" --config "$config" --verify-key "$folder/right.pub"
    failed 'ssh-keygen is not installed'
    untouched
}

@test "a program that is there already is not run before the list is checked" {
    release right
    verified "$folder/right.pub"
    succeeded
    tree >"$BATS_TEST_TMPDIR/before"
    verified_download "$folder/wrong.pub"
    failed 'is not signed with the key'
    untouched
    verified_download "$folder/right.pub"
    succeeded
    untouched
}
