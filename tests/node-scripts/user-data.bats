#!/usr/bin/env bats
# build-user-data.sh: what it makes does on a node what install.sh and configure-hosts.sh do, and it
# makes nothing that would give an AccessKey away.
# $UNDER is the shell under test, dash or busybox (default: dash); run sets it.
# shellcheck disable=SC1003,SC2016 # backslashes and dollars that are meant as such

bats_require_minimum_version 1.5.0

SHA256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
URL=https://acme.oss-cn-hangzhou-internal.aliyuncs.com/v1.0.0/aliyun-acr-credential-provider
HOSTS='--registry acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com=10.0.0.8 --oss cri-x-registry.oss-cn-hangzhou-internal.aliyuncs.com=10.0.0.9'

load node.bash

setup() {
    top=$BATS_TEST_DIRNAME/../..
    made=$BATS_TEST_TMPDIR/user-data
    config=$BATS_TEST_TMPDIR/config.yaml
}

build() {
    shell "$scripts/build-user-data.sh" --url $URL --sha256 $SHA256 "$@"
}

# The user data $made as a node runs it, where $DOWNLOAD is at the address.
run_made() {
    # shellcheck disable=SC2016 # the inner shell's variables
    shell_with 'sleep() { :; }
        curl() { while [ "$1" != -o ]; do shift; done; cat "$DOWNLOAD" >"$2"; }' "$made" "$@"
}

@test "run on a root, it gives the tree that install.sh and configure-hosts.sh give" {
    export DOWNLOAD=$PROGRAM
    number=0
    for configuration in worker-role pod-identity ''; do
        more=
        [ "$configuration" != pod-identity ] ||
            more='--service-accounts --refresh-timer --bin-dir /opt/providers --match-images registry.example.com:5000,*.acme.example'
        [ -z "$configuration" ] || sed 's/cri-x\{8,\}$/cri-acmeacmeacme0001/' "$top/config/config.$configuration.yaml" >"$BATS_TEST_TMPDIR/$configuration.yaml"
        number=$((number + 1))
        set -f
        # shellcheck disable=SC2086 # several words
        set -- --sha256 "$(sha "$PROGRAM")" --kubelet-version 1.34 ${configuration:+--config "$BATS_TEST_TMPDIR/$configuration.yaml"} $more
        set +f
        node straight-$number
        # shellcheck disable=SC2086 # several words
        shell "$scripts/configure-hosts.sh" $HOSTS --root "$ROOT"
        shell "$scripts/install.sh" "$@" --binary "$PROGRAM" --root "$ROOT"
        tree >"$BATS_TEST_TMPDIR/straight"
        node made-$number
        shell "$scripts/build-user-data.sh" "$@" --url $URL --hosts-args "$HOSTS" --out "$made"
        run_made --root "$ROOT"
        diff <(tree) "$BATS_TEST_TMPDIR/straight"
        # And once more changes nothing.
        run_made --root "$ROOT"
        diff <(tree) "$BATS_TEST_TMPDIR/straight"
        [ -z "$(ls -A "$TMPDIR")" ]
    done
    [ $number = 3 ]
}

@test "what fails on a node is reported, and nothing is installed" {
    node
    tree >"$BATS_TEST_TMPDIR/before"
    build --kubelet-version 1.30 --out "$made"
    export DOWNLOAD=$config
    run run_made --root "$ROOT"
    failed "$URL has SHA-256 $(sha "$config"), not $SHA256"
    untouched
    printf '\n10.9.9.9 acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com # old\n' >>"$ROOT/etc/hosts"
    tree >"$BATS_TEST_TMPDIR/before"
    build --hosts-args "$HOSTS" --out "$made"
    run run_made --root "$ROOT"
    failed 'error: /etc/hosts has another address: 10.9.9.9 acme-registry-vpc'
    untouched
}

@test "begins with an interpreter, passes shellcheck, and is of one piece" {
    build --config "$top/config/config.rrsa.yaml" --hosts-args "$HOSTS" --refresh-timer --out "$made"
    [ "$(head -n 1 "$made")" = '#!/bin/sh' ]
    shellcheck "$made"
    # Without --hosts-args, without anything.
    build --out "$made"
    shellcheck "$made"
    run -1 grep /etc/hosts "$made"
}

@test "cut off anywhere, it does nothing" {
    build --config "$top/config/config.worker-role.yaml" --hosts-args "$HOSTS" --out "$made"
    mkdir -p "$BATS_TEST_TMPDIR/root/etc"
    size=$(wc -c <"$made")
    for kept in $((size - 2)) $((size - 40)) $((size - 300)) $((size - 600)) $((size / 2)) 900 300; do
        head -c "$kept" "$made" >"$BATS_TEST_TMPDIR/cut"
        run shell "$BATS_TEST_TMPDIR/cut" --root "$BATS_TEST_TMPDIR/root"
        [ -z "$(ls -A "$BATS_TEST_TMPDIR/root/etc")" ] || { echo "cut off after $kept of $size" && false; }
    done
}

@test "the same input makes the same script" {
    build --config "$top/config/config.rrsa.yaml" --hosts-args "$HOSTS" --out "$made"
    cp "$top/config/config.rrsa.yaml" "$config"
    touch -d 2001-01-01 "$config"
    build --config "$config" --hosts-args "$HOSTS" | cmp - "$made"
}

@test "an AccessKey is refused in each form of the file, and not repeated" {
    entry='{"instanceId": "cri-x", "customAccessKey": "LTAI5tHereIsAKey00", "customAccessKeySecret": "hunter2hunter2"}'
    for form in \
        'acr-registry-info:\n  - instanceId: cri-x\n    customAccessKey: LTAI5tHereIsAKey00\n    customAccessKeySecret: hunter2hunter2\n' \
        'acr-registry-info:\n  - instanceId: cri-x\n    customAccessKeySecret: hunter2hunter2\n' \
        'acr-registry-info:\n  - {instanceId: cri-x, "customAccessKey": x}\n' \
        'apiVersion: v1\nkind: ConfigMap\ndata:\n  acr-registry-info: |\n    - instanceId: cri-x\n      customAccessKey: x\n' \
        'acr-registry-info: "- instanceId: cri-x\\n  customAccessKey: x\\n"\n' \
        "{\"acr-registry-info\": [$entry]}" \
        "{\"kind\": \"ConfigMap\", \"data\": {\"acr-registry-info\": \"[${entry//\"/\\\\\"}]\"}}" \
        'acr-registry-info: []\n# customAccessKeySecret: hunter2hunter2\n' \
        'acr-registry-info: []\r\n# the old key was LTAI5tHereIsAKey00\r\n' \
        '\xef\xbb\xbfacr-registry-info:\n  - customAccessKey: x\n' \
        '\xff\x00acr-registry-info:\n  - customAccessKey: x\n' \
        'acr-registry-info:\n  - customaccesskeysecret: hunter2hunter2\n' \
        '# ALIBABA_CLOUD_ACCESS_KEY_ID=x\n' \
        'env: [{name: ALIBABA_CLOUD_ACCESS_KEY_SECRET, value: hunter2hunter2}]\n' \
        '# export ALIBABACLOUD_ACCESS_KEY_ID=x\n' \
        '# ACCESS_KEY_SECRET=hunter2hunter2\n' \
        '# accessKeyId: x, accessKeySecret: hunter2hunter2\n' \
        '# AccessKey ID x\n' \
        '# security token: STS.NTHereIsOne12\n' \
        'c\x00u\x00s\x00t\x00o\x00m\x00A\x00c\x00c\x00e\x00s\x00s\x00K\x00e\x00y\x00:\x00x\x00'; do
        printf '%b' "$form" >"$config"
        run -1 --separate-stderr build --config "$config" --out "$made"
        # shellcheck disable=SC2154 # set by run
        [[ $stderr == *"of the configuration has an AccessKey"* ]] || { echo "$form: $stderr" && false; }
        [[ $output$stderr != *hunter2* && $output$stderr != *LTAI5t* ]]
        [ ! -e "$made" ]
    done
    # The line is named.
    printf 'acr-registry-info:\n  - instanceId: cri-x\n    customAccessKey: x\n' >"$config"
    run -1 build --config "$config"
    [[ $output == *'line 3 of the configuration'* ]]
}

@test "a name that is hidden by escapes is refused" {
    for form in '{"acr-registry-info": [{"\\u0063ustomAccessKey": "x"}]}' '- "customAccess\\x4bey": x' '- "customAccess\\U0000004bey": x' \
        '- ? "customAccess\\\n    Key"\n  : x' '- ? "customAccess\\\r\n    Key"\r\n  : x' '"\\u005cx63ustomAccessKe\\u0079": x'; do
        printf '%b' "$form" >"$config"
        run -1 build --config "$config" --out "$made"
        [[ $output == *'hides text behind a backslash'* ]] || { echo "$form: $output" && false; }
        [ ! -e "$made" ]
    done
    # What tools write for < and > hides nothing.
    printf '{"acr-registry-info": [], "metadata": {"note": "\\\\u003ccri\\\\u003e"}}' >"$config"
    build --config "$config" --out "$made"
}

@test "every configuration of the program's own tests that has an AccessKey is refused, others are taken" {
    refused=0 others=0
    # Those of the tables, each in a file of its own.
    awk -v folder="$BATS_TEST_TMPDIR" '/^(-|  [a-z])/ { here = 0 }
        /^  config: [|]$/ { here = 1; file = folder "/config-" ++number ".yaml"; next }
        here { print substr($0, 5) >file }' "$top"/tests/configurations/*.yaml
    for file in "$top"/tests/scenarios/*/config.yaml "$top"/tests/configurations/standard/*.yaml \
        "$BATS_TEST_TMPDIR"/config-*.yaml "$top"/config/config.*.yaml; do
        [ -s "$file" ] || continue
        if grep -q 'LTAI' "$file"; then
            run -1 build --config "$file" --out "$made"
            [[ $output == *'has an AccessKey'* ]] || { echo "$file: $output" && false; }
            refused=$((refused + 1))
        elif ! grep -qi 'AccessKey\|access_key\|\\' "$file"; then
            others=$((others + 1))
            # They are many, and much alike.
            [ $((others % 8)) -gt 0 ] || build --config "$file" --out "$made"
        fi
    done
    [ $refused -gt 30 ]
    [ $others -gt 50 ]
}

@test "an AccessKey among the arguments is refused" {
    for arguments in '--match-images LTAI5tHereIsAKey00.example.com' '--bin-dir /opt/LTAI5tHereIsAKey00'; do
        # shellcheck disable=SC2086 # several words
        run -1 build $arguments
        [[ $output == *'of the arguments has an AccessKey'* && $output != *LTAI* ]]
    done
    run -1 build --hosts-args '--registry LTAI5tHereIsAKey00.example.com=10.0.0.8'
    [[ $output == *'of the arguments has an AccessKey'* && $output != *LTAI* ]]
    for url in 'https://user:hunter2@example.com/x' 'https://b.oss.example.com/x?OSSAccessKeyId=x&Expires=1&Signature=y' \
        'https://b.oss.example.com/x?Expires=1&Signature=y' 'https://example.com/x?X-Amz-Signature=y' \
        'https://example.com/x?a=b&private_token=hunter2' 'https://example.com/x?ossaccesskeyid=x' 'ftp://example.com/x' 'https://' 'https://example.com/a b' /tmp/x; do
        run -2 build --url "$url"
        [[ $output == *'error: --url '* && $output != *hunter2* ]]
    done
}

@test "in a longer script it neither ends it nor changes its settings, and ignores its arguments" {
    build --out "$made"
    printf '%s\n' 'mktemp() { return 1; }; PATH=; start() { echo "went on with $*"; }; die() { false; }' >"$BATS_TEST_TMPDIR/longer"
    cat "$made" >>"$BATS_TEST_TMPDIR/longer"
    printf '%s\n' 'start "$? $- $1"' >>"$BATS_TEST_TMPDIR/longer"
    run -0 shell "$BATS_TEST_TMPDIR/longer" argument
    [[ ${lines[-1]} =~ ^'went on with '[1-9][0-9]*\ [^eu]*\ argument$ ]]
}

@test "every identity with all options is at most 6 KiB of text that a person can read" {
    for configuration in worker-role rrsa pod-identity ''; do
        build ${configuration:+--config "$top/config/config.$configuration.yaml"} --refresh-timer --service-accounts --bin-dir /opt/providers \
            --kubelet-version 1.30 --match-images '*.*.cr.aliyuncs.com,registry.example.com' --out "$made" --hosts-args "$HOSTS
            --auth dockerauth-ee-vpc.cn-hangzhou.aliyuncs.com=100.103.7.181
            --cr-vpc cr-vpc.cn-hangzhou.aliyuncs.com=100.100.80.10 --sts-vpc sts-vpc.cn-hangzhou.aliyuncs.com=100.100.80.11"
        [ "$(wc -c <"$made")" -le 6144 ]
        [ -z "$configuration" ] || grep -qxF -f <(sed -n '/instanceId/p' "$top/config/config.$configuration.yaml") "$made"
        run -1 grep -aE '.{300}' "$made"
        tr -d '\000-\010\016-\037' <"$made" | cmp - "$made"
    done
}

@test "--base64 and --gzip are the same, encoded" {
    build --config "$top/config/config.rrsa.yaml" --out "$made"
    build --config "$top/config/config.rrsa.yaml" --base64 | base64 -d | cmp - "$made"
    build --config "$top/config/config.rrsa.yaml" --gzip | gzip -dc | cmp - "$made"
    build --config "$top/config/config.rrsa.yaml" --gzip --base64 | base64 -d | gzip -dc | cmp - "$made"
    # A newline in it would break the request that it is put into.
    [ "$(build --base64 | wc -l)" = 0 ]
    run -0 shell "$scripts/build-user-data.sh" --help
    [[ $output == *'cloud-init undoes that'*'cloud-init does not undo that'* ]]
}

@test "arguments reach the node as they are" {
    node
    export DOWNLOAD=$PROGRAM
    shell "$scripts/build-user-data.sh" --url "$URL" --sha256 "$(sha "$PROGRAM" | tr a-f A-F)" --bin-dir '/opt/a  b$(c)`d`"e"\f' --kubelet-version 1.30 --out "$made"
    shellcheck --exclude SC2016 "$made"
    run run_made --root "$ROOT"
    failed '`/opt/a  b$(c)`d`"e"\f` is not an absolute path'
}

@test "a configuration arrives unchanged, and what is too large is refused" {
    node
    printf 'a: "$(b) `c` \\\\ $d"\r\n  # \t\n' >"$config"
    build --config "$config" --out "$made"
    sed -n '/^cat .*config.yaml/,/^END-OF-FILE$/{/END-OF-FILE/d;p}' "$made" | cmp - "$config"
    printf 'a: 1\nEND-OF-FILE\n' >"$config"
    run -1 build --config "$config"
    [[ $output == *'has a line END-OF-FILE'* ]]
    { printf '# '; head -c 12000 /dev/zero | base64 -w 100 | sed '2,$s/^/# /'; } >"$config"
    run -1 build --config "$config" --out "$made.large"
    [ ! -e "$made.large" ]
    [[ $output =~ ([0-9]+)' bytes are '([0-9]+)' more than the 16384 that user data may have; shorten' ]]
    build --config "$config" --gzip --out "$made"
}

@test "usage mistakes are reported with exit code 2" {
    run -2 shell "$scripts/build-user-data.sh" --sha256 $SHA256
    [[ $output == *'no --url is given'* ]]
    run -2 shell "$scripts/build-user-data.sh" --url $URL
    [[ $output == *'--sha256 takes'* ]]
    for arguments in '--sha256 abc' '--sha256' "--sha256 ${SHA256}0" "--sha256 ${SHA256/e/g}" '--config' '--colour' 'x'; do
        # shellcheck disable=SC2086 # several words
        run -2 build $arguments
        [[ $output == *'error: '*'see --help'* ]]
    done
    run -2 build --hosts-args '--registry acme.example.com=300.0.0.8'
    [[ $output == *'`300.0.0.8` is not the address'* ]]
    for word in --root --dry-run --remove --help -h; do
        run -2 build --hosts-args "--registry acme.example.com=10.0.0.8 $word"
        [[ $output == *"$word is not for a node"* ]]
    done
    run -2 build --match-images "it's"
    run -1 build --config "$BATS_TEST_TMPDIR/none"
    [[ $output == *'is not a file'* ]]
    : >"$config"
    run -1 build --config "$config"
    [[ $output == *'is empty'* ]]
    run -0 build --help
    [[ $output == *usage:* ]]
}

@test "with a key, each node checks the signature" {
    ssh-keygen -q -t ed25519 -N '' -C "somebody's key" -f "$BATS_TEST_TMPDIR/right"
    ssh-keygen -q -t ed25519 -N '' -C other -f "$BATS_TEST_TMPDIR/wrong"
    echo "$(sha "$PROGRAM")  $name-linux-amd64" >"$BATS_TEST_TMPDIR/SHA256SUMS"
    ssh-keygen -q -Y sign -n "$name" -f "$BATS_TEST_TMPDIR/right" "$BATS_TEST_TMPDIR/SHA256SUMS"
    server='sleep() { :; }
        curl() { while [ "$1" != -o ]; do shift; done
            case $3 in */SHA256SUMS*) cat "$BATS_TEST_TMPDIR/${3##*/}" ;; *) cat "$PROGRAM" ;; esac >"$2"; }'
    node
    for key in "$BATS_TEST_TMPDIR/right.pub" "$(cut -d' ' -f1,2 "$BATS_TEST_TMPDIR/right.pub")"; do
        shell "$scripts/build-user-data.sh" --url $URL --sha256 "$(sha "$PROGRAM")" --config "$config" \
            --kubelet-version 1.30 --verify-key "$BATS_TEST_TMPDIR/wrong.pub" --out "$made"
        tree >"$BATS_TEST_TMPDIR/before"
        run shell_with "$server" "$made" --root "$ROOT"
        failed 'SHA256SUMS is not signed with the key'
        untouched
        shell "$scripts/build-user-data.sh" --url $URL --sha256 "$(sha "$PROGRAM")" --config "$config" \
            --kubelet-version 1.30 --verify-key "$key" --out "$made"
        run shell_with "$server" "$made" --root "$ROOT"
        succeeded
        node another
    done
    run shell "$scripts/build-user-data.sh" --url $URL --sha256 $SHA256 --verify-key "$BATS_TEST_TMPDIR/right"
    [ "$status" = 2 ]
    says 'takes a public key'
}
