#!/usr/bin/env bats
# build-user-data.sh: what it makes does on a node what install.sh and configure-hosts.sh do, and it
# makes nothing that would give an AccessKey away.
# $UNDER is the shell under test, dash or busybox (default: dash); run sets it.
# shellcheck disable=SC1003,SC2016 # backslashes and dollars that are meant as such

bats_require_minimum_version 1.5.0

SHA256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
URL=https://acme.oss-cn-hangzhou-internal.aliyuncs.com/v1.0.0/aliyun-acr-credential-provider
HOSTS='--registry acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com=10.0.0.8 --oss cri-x-registry.oss-cn-hangzhou-internal.aliyuncs.com=10.0.0.9'

setup() {
    top=$BATS_TEST_DIRNAME/../..
    scripts=$top/node-scripts
    made=$BATS_TEST_TMPDIR/user-data
    config=$BATS_TEST_TMPDIR/config.yaml
}

teardown() {
    [ -z "${server-}" ] || kill "$server"
}

shell() {
    if [ "${UNDER:-dash}" = busybox ]; then busybox sh "$@"; else "${UNDER:-dash}" "$@"; fi
}

build() {
    shell "$scripts/build-user-data.sh" --url $URL --sha256 $SHA256 "$@"
}

# Serves folder $1 on loopback, at $address.
serve() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        port=$((33000 + RANDOM % 20000))
        busybox httpd -f -p 127.0.0.1:$port -h "$1" 2>/dev/null 3>&- &
        server=$!
        address=http://127.0.0.1:$port
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            kill -0 $server 2>/dev/null || continue 2
            if [ "$(no_proxy='*' curl -s $address/alive)" = yes ]; then return; fi
            sleep 0.1
        done
    done
    return 1
}

# A node's tree before anything was installed.
node() {
    mkdir -p "$1/etc/kubernetes" "$1/etc/systemd/system/kubelet.service.d" "$1/usr/lib/systemd/system" "$1/var/lib"
    printf '127.0.0.1 localhost\n192.168.0.7 node-7' >"$1/etc/hosts"
    printf '[Service]\nEnvironmentFile=-/etc/kubernetes/kubelet-customized-args.conf\n%s\n' \
        'ExecStart=/usr/bin/kubelet $KUBELET_CUSTOMIZED_ARGS' >"$1/usr/lib/systemd/system/kubelet.service"
    echo 'KUBELET_CUSTOMIZED_ARGS="--max-pods=64"' >"$1/etc/kubernetes/kubelet-customized-args.conf"
}

# Every path with its kind, mode, owner, target and content, but not its time.
tree() {
    (cd "$1" && find . -mindepth 1 -printf '%P %y %m %U:%G %l\n' | sort)
    (cd "$1" && find . -type f -exec sha256sum {} + | sort -k 2)
}

@test "run on a root, it gives the tree that install.sh and configure-hosts.sh give" {
    mkdir "$BATS_TEST_TMPDIR/www"
    echo yes >"$BATS_TEST_TMPDIR/www/alive"
    # Any program of this machine.
    cp "$(type -P true)" "$BATS_TEST_TMPDIR/www/binary"
    sum=$(sha256sum <"$BATS_TEST_TMPDIR/www/binary" | cut -d ' ' -f 1)
    serve "$BATS_TEST_TMPDIR/www"
    number=0
    for configuration in config.worker-role.yaml config.rrsa.yaml ''; do
        for more in '' '--refresh-timer' '--bin-dir /opt/providers --match-images registry.example.com,*.*.cr.aliyuncs.com'; do
            number=$((number + 1))
            made_root=$BATS_TEST_TMPDIR/made-$number straight_root=$BATS_TEST_TMPDIR/straight-$number
            node "$made_root"
            node "$straight_root"
            set -f
            # shellcheck disable=SC2086 # several words
            set -- --url "$address/binary" --sha256 "$sum" --kubelet-version 1.30 ${configuration:+--config "$top/config/$configuration"} $more
            set +f
            shell "$scripts/build-user-data.sh" "$@" --hosts-args "$HOSTS" --out "$made"
            shell "$made" --root "$made_root"
            # shellcheck disable=SC2086 # several words
            shell "$scripts/configure-hosts.sh" $HOSTS --root "$straight_root"
            shell "$scripts/install.sh" "$@" --root "$straight_root"
            [ -n "$(find "$made_root" -name aliyun-acr-credential-provider -type f)" ]
            diff <(tree "$made_root") <(tree "$straight_root")
            # And once more changes nothing.
            shell "$made" --root "$made_root"
            diff <(tree "$made_root") <(tree "$straight_root")
        done
    done
    [ $number = 9 ]
}

@test "a binary that is not the one meant is not installed" {
    mkdir "$BATS_TEST_TMPDIR/www"
    echo yes >"$BATS_TEST_TMPDIR/www/alive"
    serve "$BATS_TEST_TMPDIR/www"
    node "$BATS_TEST_TMPDIR/root"
    cp -a "$BATS_TEST_TMPDIR/root" "$BATS_TEST_TMPDIR/before"
    shell "$scripts/build-user-data.sh" --url "$address/alive" --sha256 $SHA256 --kubelet-version 1.30 --out "$made"
    run ! shell "$made" --root "$BATS_TEST_TMPDIR/root"
    diff <(tree "$BATS_TEST_TMPDIR/root") <(tree "$BATS_TEST_TMPDIR/before")
}

@test "begins with an interpreter, passes shellcheck, and is of one piece" {
    build --config "$top/config/config.rrsa.yaml" --hosts-args "$HOSTS" --refresh-timer --out "$made"
    [ "$(head -n 1 "$made")" = '#!/bin/sh' ]
    shellcheck "$made"
    # Without --hosts-args, without anything.
    build --out "$made"
    shellcheck "$made"
    run -1 grep configure-hosts "$made"
}

@test "in a longer script it neither ends it nor changes its settings, and ignores its arguments" {
    build --out "$made"
    printf '%s\n' 'base64() { return 1; }; PATH=; main() { echo "went on with $*"; }; part() { false; }' >"$BATS_TEST_TMPDIR/longer"
    cat "$made" >>"$BATS_TEST_TMPDIR/longer"
    printf '%s\n' 'main "$? $- $1"' >>"$BATS_TEST_TMPDIR/longer"
    run -0 shell "$BATS_TEST_TMPDIR/longer" argument
    [[ ${lines[-1]} =~ ^'went on with '[1-9][0-9]*\ [^eu]*\ argument$ ]]
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

@test "--base64 is the same, encoded" {
    build --out "$made"
    build --base64 | base64 -d | cmp - "$made"
    # A newline in it would break the request that it is put into.
    [ "$(build --base64 | wc -l)" = 0 ]
}

@test "comments and indentation of the scripts are left out, but not those in texts that they write" {
    mkdir "$BATS_TEST_TMPDIR/scripts"
    cp "$scripts/build-user-data.sh" "$scripts/configure-hosts.sh" "$BATS_TEST_TMPDIR/scripts"
    printf '%s\n' '# A comment.' 'cat <<END' '# one' '' 'END' '' "    cat <<'EOT' && cat \"\$0\"" '    # two' 'EOT' '    # Another.' \
        >"$BATS_TEST_TMPDIR/scripts/install.sh"
    shell "$BATS_TEST_TMPDIR/scripts/build-user-data.sh" --url $URL --sha256 $SHA256 --out "$made"
    run -0 --keep-empty-lines shell "$made"
    [ "$output" = $'# one\n\n    # two\ncat <<END\n# one\n\nEND\ncat <<\'EOT\' && cat "$0"\n    # two\nEOT\n' ]
}

@test "arguments reach the node as they are" {
    build --match-images '*.*.cr.aliyuncs.com,a b$(c)`d`"e"\f' --bin-dir '/opt/x y' --out "$made"
    shellcheck --exclude SC2016 "$made"
    words=$(sed -n 's/^    sh "$work\/install.sh"//p' "$made")
    eval "set -- ${words% \"*}"
    [ "$*" = "--url $URL --sha256 $SHA256 --match-images *.*.cr.aliyuncs.com,a b\$(c)\`d\`\"e\"\\f --bin-dir /opt/x y" ]
    [ $# = 8 ]
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

@test "what is too large is refused, with what leaving out saves" {
    cp "$top/config/config.worker-role.yaml" "$config"
    # Noise does not compress.
    { printf '# '; head -c 12000 /dev/urandom | base64 -w 100 | sed '2,$s/^/# /'; } >>"$config"
    run -1 build --config "$config" --hosts-args "$HOSTS" --out "$made"
    [ ! -e "$made" ]
    [[ $output =~ ([0-9]+)' bytes are '([0-9]+)' more than the 16384 that user data may have; leaving out --hosts-args saves '([0-9]+)"; leaving out the configuration's comments saves "([0-9]+)'; putting the configuration on the node by other means saves '([0-9]+)$ ]]
    size=${BASH_REMATCH[1]} over=${BASH_REMATCH[2]} hosts=${BASH_REMATCH[3]} comments=${BASH_REMATCH[4]} all=${BASH_REMATCH[5]}
    [ $((size - over)) = 16384 ]
    [ "$hosts" -gt 1000 ]
    [ "$comments" -gt 12000 ]
    [ "$all" -gt "$comments" ]
    # It is true.
    sed -i '/^ *#/d' "$config"
    build --config "$config" --hosts-args "$HOSTS" --out "$made"
    [ "$(wc -c <"$made")" = $((size - comments)) ]
}

@test "everything that can be asked for fits" {
    for configuration in worker-role rrsa pod-identity; do
        build --config "$top/config/config.$configuration.yaml" --refresh-timer --bin-dir /opt/providers --kubelet-version 1.30 \
            --match-images '*.*.cr.aliyuncs.com,registry.example.com' --out "$made" --hosts-args "$HOSTS
            --auth dockerauth-ee-vpc.cn-hangzhou.aliyuncs.com=100.103.7.181
            --cr-vpc cr-vpc.cn-hangzhou.aliyuncs.com=100.100.80.10 --sts-vpc sts-vpc.cn-hangzhou.aliyuncs.com=100.100.80.11"
        [ "$(wc -c <"$made")" -le 16384 ]
    done
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
    [[ $output == *"'300.0.0.8' is not the address"* ]]
    for word in --root --dry-run --help -h; do
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
    [[ $output == usage:* ]]
}
