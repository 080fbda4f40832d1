# A scratch node for the scripts: $ROOT. $UNDER is the shell under test, dash or busybox; run sets it, and
# $PROGRAM, the program.

name=aliyun-acr-credential-provider
scripts=$BATS_TEST_DIRNAME/../../node-scripts

node() {
    ROOT=$BATS_TEST_TMPDIR/${1:-root} TMPDIR=$BATS_TEST_TMPDIR/tmp
    export ROOT TMPDIR
    mkdir -p "$ROOT/var/lib" "$ROOT/proc" "$TMPDIR"
    cp -r "$BATS_TEST_DIRNAME/tree/." "$ROOT"
    config=$BATS_TEST_TMPDIR/config.yaml
    cat >"$config" <<'END'
acr-registry-info:
  - instanceId: cri-acmeacmeacme0001
    regionId: cn-hangzhou
    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com,registry.acme.example:5000
END
    sum=$(sha "$PROGRAM")
}

shell() { if [ "$UNDER" = busybox ]; then PATH=$TOOLS:$PATH busybox sh "$@"; else "$UNDER" "$@"; fi; }

# shell_with FUNCTIONS SCRIPT...: with functions in place of commands. A changed PATH does not work,
# because some shells prefer their own commands.
shell_with() {
    # shellcheck disable=SC2016 # the inner shell's variables
    shell -c "$1"'
        script=$1; shift; . "$script"' sh "${@:2}"
}

sha() { sha256sum <"$1" | cut -d' ' -f1; }

succeeded() { [ "$status" -eq 0 ] || { echo "exit $status: $output"; false; }; }

# failed TEXT...: it did, and said all of this.
failed() {
    [ "$status" -ne 0 ] || { echo "no failure: $output"; false; }
    says "$@"
}

says() {
    local text
    for text; do [[ $output == *"$text"* ]] || { echo "not said: $text"; echo "$output"; false; }; done
}

# Every path with its kind, mode, owner, target and content, but not its time.
tree() {
    (cd "${1:-$ROOT}" && find . -mindepth 1 -printf '%P %y %m %U:%G %l\n' | sort)
    (cd "${1:-$ROOT}" && find . -type f -exec sha256sum {} + | sort -k 2)
}

# Nothing has changed since `tree >before`, and no file is left elsewhere.
untouched() {
    diff "$BATS_TEST_TMPDIR/before" <(tree)
    [ -z "$(ls -A "$TMPDIR")" ]
}
