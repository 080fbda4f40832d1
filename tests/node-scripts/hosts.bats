#!/usr/bin/env bats
# configure-hosts.sh: what it writes into /etc/hosts, what it leaves alone and what it refuses.
# $UNDER is the shell under test, dash or busybox (default: dash); run sets it.

bats_require_minimum_version 1.5.0

REGISTRY=acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com
AUTH=dockerauth-ee-vpc.cn-hangzhou.aliyuncs.com
OSS=cri-xxxxxxxxxxxxxxxx-registry.oss-cn-hangzhou-internal.aliyuncs.com

setup() {
    shell=("${UNDER:-dash}")
    [ "${shell[0]}" != busybox ] || shell+=(sh)
    script=$BATS_TEST_DIRNAME/../../node-scripts/configure-hosts.sh
    root=$BATS_TEST_TMPDIR/root
    hosts=$root/etc/hosts
    mkdir -p "$root/etc"
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n192.168.0.7\tnode-7\n' >"$hosts"
    chmod 640 "$hosts"
    cp -a "$hosts" "$BATS_TEST_TMPDIR/before"
}

configure() {
    "${shell[@]}" "$script" --root "$root" "$@"
}

# The address that a reader of the file gets for a host: the first line that names it.
address_of() {
    awk -v host="$1" '{ sub(/#.*/, ""); for (i = 2; i <= NF; i++) if ($i == host) { print $1; exit } }' "$hosts"
}

untouched() {
    cmp "$hosts" "$BATS_TEST_TMPDIR/before"
    # No temporary file is left either.
    [ "$(ls -A "$root/etc")" = hosts ]
}

@test "writes every kind of host with its address" {
    configure --registry $REGISTRY=10.0.0.8 --auth $AUTH=100.103.7.181 --oss $OSS=100.118.28.44 \
        --cr-vpc cr-vpc.cn-hangzhou.aliyuncs.com=100.100.80.10 \
        --sts-vpc sts-vpc.cn-hangzhou.aliyuncs.com=100.100.80.11
    [ "$(address_of $REGISTRY)" = 10.0.0.8 ]
    [ "$(address_of $AUTH)" = 100.103.7.181 ]
    [ "$(address_of $OSS)" = 100.118.28.44 ]
    [ "$(address_of cr-vpc.cn-hangzhou.aliyuncs.com)" = 100.100.80.10 ]
    [ "$(address_of sts-vpc.cn-hangzhou.aliyuncs.com)" = 100.100.80.11 ]
    [ "$(address_of node-7)" = 192.168.0.7 ]
}

@test "an option may be repeated, and the authentication service may be the registry itself" {
    configure --registry $REGISTRY=10.0.0.8 --auth $REGISTRY=10.0.0.8 \
        --registry beta-registry-vpc.cn-hangzhou.cr.aliyuncs.com=10.0.0.9
    [ "$(grep -c "$REGISTRY" "$hosts")" = 1 ]
    [ "$(address_of beta-registry-vpc.cn-hangzhou.cr.aliyuncs.com)" = 10.0.0.9 ]
}

@test "a second run changes nothing, not even the file's inode" {
    configure --registry $REGISTRY=10.0.0.8 --oss $OSS=100.118.28.44
    before=$(ls -li --time-style=full-iso "$hosts")
    run -0 configure --registry $REGISTRY=10.0.0.8 --oss $OSS=100.118.28.44
    [[ $output == *unchanged ]]
    [ "$(ls -li --time-style=full-iso "$hosts")" = "$before" ]
}

@test "other hosts replace the whole block, where it stands" {
    configure --registry $REGISTRY=10.0.0.8 --oss $OSS=100.118.28.44
    { echo '10.9.9.9 above'; cat "$hosts"; echo '10.9.9.8 below'; } >"$BATS_TEST_TMPDIR/moved"
    cat "$BATS_TEST_TMPDIR/moved" >"$hosts"
    configure --registry $REGISTRY=10.0.0.99
    [ "$(address_of $REGISTRY)" = 10.0.0.99 ]
    [ -z "$(address_of $OSS)" ]
    [ "$(head -n 1 "$hosts")" = '10.9.9.9 above' ]
    [ "$(tail -n 1 "$hosts")" = '10.9.9.8 below' ]
    [ "$(grep -c 'BEGIN aliyun-acr' "$hosts")" = 1 ]
}

@test "the rest stays byte for byte, and --remove gives the old file back" {
    export LC_ALL=C
    for content in '' '127.0.0.1 localhost' '127.0.0.1 localhost\n\n\n' '127.0.0.1 a\r\n127.0.0.1 b\r\n' \
        '# \377\376 no text\n127.0.0.1 a\001b' '\n127.0.0.1 localhost\n# last line without an end'; do
        # shellcheck disable=SC2059 # the escapes are the content
        printf "$content" >"$hosts"
        cp "$hosts" "$BATS_TEST_TMPDIR/before"
        configure --registry $REGISTRY=10.0.0.8
        sed '/^# BEGIN aliyun-acr/,/^# END aliyun-acr/d' "$hosts" | cmp - "$BATS_TEST_TMPDIR/before"
        configure --registry $REGISTRY=10.0.0.9
        [ "$(address_of $REGISTRY)" = 10.0.0.9 ]
        configure --remove
        untouched
    done
}

@test "mode and owner stay, and the new file takes the old one's place whole" {
    [ "$(id -u)" != 0 ] || chown 12:34 "$hosts"
    before=$(stat -c '%a %u:%g' "$hosts")
    ln "$hosts" "$BATS_TEST_TMPDIR/old"
    configure --registry $REGISTRY=10.0.0.8
    [ "$(stat -c '%a %u:%g' "$hosts")" = "$before" ]
    # Who had the old file open reads it to its end: it was renamed over, not written into.
    cmp "$BATS_TEST_TMPDIR/old" "$BATS_TEST_TMPDIR/before"
}

@test "makes the file where there is none" {
    rm "$hosts"
    configure --remove
    [ ! -e "$hosts" ]
    configure --registry $REGISTRY=10.0.0.8
    [ "$(address_of $REGISTRY)" = 10.0.0.8 ]
    [ "$(stat -c %a "$hosts")" = 644 ]
}

@test "--remove without a block changes nothing" {
    run -0 configure --remove
    [[ $output == *unchanged ]]
    untouched
}

@test "--dry-run says what would be written and writes nothing" {
    run -0 configure --dry-run --registry $REGISTRY=10.0.0.8
    [[ $output == *"10.0.0.8 $REGISTRY"* ]]
    untouched
    configure --registry $REGISTRY=10.0.0.8
    cp "$hosts" "$BATS_TEST_TMPDIR/before"
    run -0 configure --dry-run --remove
    [[ $output == *'would remove'* ]]
    untouched
}

@test "refuses what is not the address of a host" {
    for address in '' 1 1.2.3 1.2.3.4.5 1.2.3.256 1.2.3.04 01.2.3.4 1.2..3 .1.2.3 1.2.3. 0x1.2.3.4 ' 1.2.3.4' \
        1.2.3.4/32 1.2.3.4:443 0.1.2.3 0.0.0.0 224.0.0.1 255.255.255.255 1.2.3.-4 +1.2.3.4 99999999999999999999.1.1.1 169.254.1.1 \
        127.0.0.1 127.1.2.3 100.100.100.200 0:0:0:0:0:0:0:0 ::0 0:: 0000::000 ::1 ::0001 0::1 0:0:0:0:0:0:0:1 \
        : :: ::: 1 1:2 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7::8 1::2::3 :1::2 1::2: 12345::1 g::1 fe80::1 \
        ff02::1 fe80::1%eth0 '[fd00::1]' FD00::1 ::1.2.3.4 host.example '1.2.3.4
5.6.7.8'; do
        run -2 configure --registry "$REGISTRY=$address"
        [[ $output == *"is not the address of a host"* ]] || { echo "$address: $output" && false; }
    done
    untouched
}

@test "takes IPv4 and IPv6" {
    for address in 1.0.0.0 10.0.0.8 100.64.0.1 223.255.255.255 fd00::8 ::8 fd00:: 1:2:3:4:5:6:7:8 1::7:8 2408:4000:0:0::1 \
        128.0.0.1 100.100.100.201 ::11 1:: 2408::ffff:a00:8; do
        configure --registry "$REGISTRY=$address"
        [ "$(address_of $REGISTRY)" = "$address" ]
    done
}

@test "refuses what is not a host" {
    label=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    long=$(printf 'aaaaaaaaa.%.0s' $(seq 26))com
    for host in '' registry Acme.example a..b .a.b a.b. -a.b a-.b a.-b a.b- a_b.c 'a b.c' 'a.b#' 10.0.0.8 a.8 "$label.com" "$long" \
        '*.aliyuncs.com' a.b:443 'a.b
c.d'; do
        run -2 configure --registry "$host=10.0.0.8"
        [[ $output == *"is not a host name"* ]] || { echo "$host: $output" && false; }
    done
    configure --registry "${label#a}.com=10.0.0.8" --registry "${long#*.}=10.0.0.8"
}

@test "refuses the wrong kind of host for --cr-vpc and --sts-vpc" {
    run -2 configure --cr-vpc sts-vpc.cn-hangzhou.aliyuncs.com=10.0.0.8
    [[ $output == *"is not cr-vpc.<region>.aliyuncs.com"* ]]
    run -2 configure --sts-vpc sts.cn-hangzhou.aliyuncs.com=10.0.0.8
    [[ $output == *"is not sts-vpc.<region>.aliyuncs.com"* ]]
    run -2 configure --cr-vpc cr-vpc.cn-hangzhou.evil.aliyuncs.com=10.0.0.8
    [[ $output == *"is not cr-vpc.<region>.aliyuncs.com"* ]]
    untouched
}

@test "refuses two addresses for one host" {
    run -2 configure --registry $REGISTRY=10.0.0.8 --auth $REGISTRY=10.0.0.9
    [[ $output == *"$REGISTRY has two addresses"* ]]
    untouched
}

@test "refuses a host that a line outside of the block maps elsewhere, and names the line" {
    for line in "10.0.0.1 $REGISTRY" "10.0.0.1	other ${REGISTRY^^} more # old" "10.0.0.1 $REGISTRY."; do
        printf '127.0.0.1 localhost\n%s\n' "$line" >"$hosts"
        cp "$hosts" "$BATS_TEST_TMPDIR/before"
        run -1 configure --registry $REGISTRY=10.0.0.8
        [[ $output == *"$REGISTRY is not 10.0.0.8 in line 2: $line"* ]]
        untouched
    done
}

@test "a line below the block counts as well, in the file's own numbers" {
    configure --registry $REGISTRY=10.0.0.8
    echo "10.0.0.1 $REGISTRY" >>"$hosts"
    cp "$hosts" "$BATS_TEST_TMPDIR/before"
    run -1 configure --registry $REGISTRY=10.0.0.8
    [[ $output == *"in line $(wc -l <"$hosts"): 10.0.0.1 $REGISTRY"* ]]
    untouched
}

@test "a comment, the same address and a longer name are no conflict" {
    printf '# 10.0.0.1 %s\n10.0.0.2 x # %s\n10.0.0.8 %s\n10.0.0.3 x.%s\n' $REGISTRY $REGISTRY $REGISTRY $REGISTRY >"$hosts"
    configure --registry $REGISTRY=10.0.0.8
    [ "$(address_of $REGISTRY)" = 10.0.0.8 ]
}

@test "refuses a block whose marks do not pair" {
    begin='# BEGIN aliyun-acr-credential-provider' end='# END aliyun-acr-credential-provider'
    for content in "$begin\n" "x\n$end\n" "$end\n$begin\n" "$begin\n$begin\n$end\n" "$begin\n$end\n$begin\n$end\n" "$begin\n$end\n$end\n"; do
        printf '%b' "$content" >"$hosts"
        cp "$hosts" "$BATS_TEST_TMPDIR/before"
        run -1 configure --registry $REGISTRY=10.0.0.8
        [[ $output == *"do not pair, see line "* ]]
        run -1 configure --remove
        untouched
    done
}

@test "marks with spaces or a carriage return after them are still the block" {
    for end in ' ' '\t' '\r'; do
        printf '127.0.0.1 localhost\n# BEGIN aliyun-acr-credential-provider%b\n10.0.0.8 %s\n# END aliyun-acr-credential-provider%b\n' \
            "$end" $REGISTRY "$end" >"$hosts"
        configure --registry $REGISTRY=10.0.0.9
        [ "$(address_of $REGISTRY)" = 10.0.0.9 ]
        [ "$(grep -c BEGIN "$hosts")" = 1 ]
    done
}

@test "leaves a symbolic link alone" {
    mv "$hosts" "$root/elsewhere"
    ln -s ../elsewhere "$hosts"
    run -1 configure --registry $REGISTRY=10.0.0.8
    [[ $output == *"is a symbolic link to ../elsewhere"* ]]
    cmp "$root/elsewhere" "$BATS_TEST_TMPDIR/before"
}

@test "a file that is a mount is reported and stays" {
    unshare --mount true 2>/dev/null || skip 'this user may not mount'
    cp "$hosts" "$BATS_TEST_TMPDIR/mounted"
    # shellcheck disable=SC2016 # the inner shell's arguments
    run -1 unshare --mount sh -c '
        mount --bind "$1" "$2" && shift 2 && "$@"' sh "$BATS_TEST_TMPDIR/mounted" "$hosts" \
        "${shell[@]}" "$script" --root "$root" --registry $REGISTRY=10.0.0.8
    [[ $output == *"if it is a mount"*"Nothing was changed."* ]]
    cmp "$BATS_TEST_TMPDIR/mounted" "$BATS_TEST_TMPDIR/before"
    untouched
}

# With function $1 in place of the command of that name: a changed PATH does not work, because busybox's
# shell prefers its own commands.
configure_with() {
    # shellcheck disable=SC2016 # the inner shell's variables
    hosts=$hosts "${shell[@]}" -c "$1"'
        script=$1; shift; . "$script"' sh "$script" --root "$root" --registry $REGISTRY=10.0.0.8
}

@test "a file that somebody changes meanwhile is not overwritten" {
    # shellcheck disable=SC2016 # the inner shell's variables
    run -1 configure_with 'tail() { command tail "$@"; echo "10.1.1.1 late" >>"$hosts"; }'
    [[ $output == *"was changed by another program"* ]]
    { cat "$BATS_TEST_TMPDIR/before"; echo '10.1.1.1 late'; } | cmp - "$hosts"
    [ "$(ls -A "$root/etc")" = hosts ]
}

@test "a write that fails leaves the file and nothing else" {
    run -1 configure_with 'tail() { echo "127.0.0.1 half"; return 1; }'
    untouched
    run -1 configure_with 'mv() { return 1; }'
    [[ $output == *'cannot be replaced'* ]]
    untouched
}

@test "a run that is killed leaves the old file or the new one, and the next run sweeps up" {
    for step in cp awk head tail cmp sync mv; do
        cp -a "$BATS_TEST_TMPDIR/before" "$hosts"
        configure --registry $REGISTRY=10.0.0.7
        cp "$hosts" "$BATS_TEST_TMPDIR/old"
        # Before the step and after it: commands in subshells kill the script, not themselves.
        for half in "kill -9 \$\$; command $step \"\$@\"" "command $step \"\$@\"; kill -9 \$\$"; do
            run configure_with "$step() { $half; }"
            [ "$status" = 137 ]
            cmp "$hosts" "$BATS_TEST_TMPDIR/old" || [ "$(address_of $REGISTRY)" = 10.0.0.8 ]
            [ "$(address_of node-7)" = 192.168.0.7 ]
        done
        configure --registry $REGISTRY=10.0.0.8
        [ "$(address_of $REGISTRY)" = 10.0.0.8 ]
        [ "$(ls -A "$root/etc")" = hosts ]
    done
}

@test "an empty --root is not this machine" {
    run -2 "${shell[@]}" "$script" --dry-run --root '' --registry $REGISTRY=10.0.0.8
    [[ $output == *'--root takes a folder'* ]]
}

@test "usage mistakes are reported with exit code 2" {
    for arguments in '' '--remove --registry a.b=1.2.3.4' '--registry' '--registry a.b' '--regisry a.b=1.2.3.4' 'a.b=1.2.3.4' '--root'; do
        # shellcheck disable=SC2086 # several words
        run -2 configure $arguments
        [[ $output == *'error: '*'see --help' ]]
    done
    run -0 configure --help
    [[ $output == *usage:* ]]
    untouched
}
