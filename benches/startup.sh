#!/bin/sh
# What the released binary takes: its size, the memory of a cold run, and the instructions of each kind
# of run, counted by callgrind.
#
#   benches/startup.sh
#
# Counts, unlike times, are nearly the same on a busy machine. Exits with 1 when the binary or a run takes
# more than it may, or a run pays for what it does not need: TLS and HTTP for an answer without a call,
# YAML for one from the cache.
#
# Needs valgrind, and what release/build.sh needs.
set -eu

HOST=acme-registry.cn-hangzhou.cr.aliyuncs.com

# What a run may take, in thousands of instructions on amd64: what it took when this was written, and
# five in a hundred more.
LIMITS='
from the cache	330
foreign host	699
cold: AccessKey	4533
cold: worker role	9513
cold: RRSA	10000
'

# Whose instructions they are, by the names of functions. The first that fits counts.
OWNERS='
CA   pem::|pem_|add_file|add_parsable|anchor_from
EC   nistz256|p256|p384|x25519|^fe_|^ge_|table_select|bn_|ecp_
HASH sha256_block|sha512_block
TLS  rustls|(^|[^t])ring::|ring_core|webpki|untrusted|aesni|gcm
HTTP reqwest|hyper|tokio|tower|mio::|httparse|http::|http_body|bytes::|futures|url::|idna|icu_
YAML saphyr|config::yaml|config::file
JSON serde_json|serde_core
SHA1 sha1|hmac|digest
ECHO redact
SIGN signature|percent_encode
HEAP malloc|free|alloc_slot|realloc|calloc|dealloc|get_meta|queue|[Rr]aw_?[Vv]ec
WIPE zeroiz|clear_bytes
COPY memcpy|memset|memmove|memcmp|^0x
BOOT _start_c|__init_libc|__copy_tls|vdso
'

main() {
    top=$(cd "$(dirname "$0")/.." && pwd)
    for tool in valgrind callgrind_annotate cargo; do
        command -v $tool >/dev/null 2>&1 || {
            echo "NOT RUN: $tool is not installed" >&2
            exit 1
        }
    done
    case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    esac
    "$top/release/build.sh" --arch "$arch" --keep-symbols yes --out "$top/target/startup"
    binary=$top/target/startup/aliyun-acr-credential-provider-linux-$arch
    check_size
    cargo build --quiet --locked --manifest-path "$top/Cargo.toml" --package simulation

    work=$(mktemp -d)
    chmod 700 "$work"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM
    start_cloud
    write_files
    check_memory
    count 'version' --version
    count 'foreign host' --config "$work/key.yaml" <"$work/foreign.json"
    count 'cold: AccessKey' --config "$work/key.yaml" <"$work/request.json"
    count 'cold: worker role' --config "$work/worker.yaml" <"$work/request.json"
    count 'cold: RRSA' --config "$work/rrsa.yaml" <"$work/request.json"
    count 'from the cache' --config "$work/worker.yaml" <"$work/request.json"
    # No caFile: the system's store is searched for the issuer and does not have it.
    expect=5 count 'unknown CA' --config "$work/unknown.yaml" <"$work/request.json"
    # Ends when nobody can write to it any more.
    exec 3>&-
    wait "$cloud"
    check
}

# What release/build.sh holds a release to, which has no symbols.
check_size() {
    strip -o "$top/target/startup/stripped" "$binary"
    bytes=$(wc -c <"$top/target/startup/stripped")
    most=$((5 * 1024 * 1024))
    [ "$bytes" -le "$most" ] || {
        echo "BROKEN without symbols the program has $bytes bytes, limit $most" >&2
        exit 1
    }
    echo "ok     without symbols: $bytes bytes, limit $most"
}

# A cold run over TLS with every call. The kernel's high-water mark is read while the last answer is held
# back: by then everything is loaded.
check_memory() {
    env -i "$binary" --config "$work/memory.yaml" <"$work/request.json" >/dev/null &
    run=$! most=0
    while now=$(awk '/^VmHWM:/ { print $2; found = 1 } END { exit !found }' "/proc/$run/status" 2>/dev/null); do
        [ "$now" -le "$most" ] || most=$now
    done
    wait "$run"
    limit=$((10 * 1024))
    if [ "$most" -eq 0 ] || [ "$most" -gt "$limit" ]; then
        echo "BROKEN a cold run takes $most KiB of memory, limit $limit" >&2
        exit 1
    fi
    echo "ok     memory of a cold run: $most KiB, limit $limit"
}

start_cloud() {
    mkfifo "$work/stdin"
    echo '{tls: true, faults: {get-authorization-token: [{calls: 1, delay-ms: 500}]}}' >"$work/overlay.yaml"
    "${CARGO_TARGET_DIR:-$top/target}/debug/simulated-cloud" --overlay "$work/overlay.yaml" \
        --token-file "$work/token" \
        <"$work/stdin" >"$work/cloud.json" &
    cloud=$!
    exec 3>"$work/stdin"
    until [ -s "$work/cloud.json" ]; do
        kill -0 "$cloud"
        sleep 0.1
    done
}

write_files() {
    url() { sed "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/" "$work/cloud.json"; }
    version='"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest"'
    echo "{$version,\"image\":\"$HOST/team/app\"}" >"$work/request.json"
    echo "{$version,\"image\":\"docker.io/team/app\"}" >"$work/foreign.json"
    umask 077
    chmod 600 "$work/token"
    role="assumeRoleARN: acs:ram::2000000000000002:role/acr-puller"
    key="customAccessKey: LTAI5tImagePullerOfB0001
    customAccessKeySecret: MadeUpB3pullTk9Dw2Mv7Qz4Xc6Ln0"
    write_config unknown "$key"
    ca="caFile: $(url ca)"
    write_config key "$key"
    write_config memory "$role"
    write_config worker "$role"
    write_config rrsa "$role
    rrsaRoleARN: acs:ram::1000000000000001:role/acr-rrsa
    rrsaOIDCProviderRoleARN: acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a"
}

# A name of its own for each host, since one TLS session is not resumed at another host.
write_config() {
    cat >"$work/$1.yaml" <<END
rrsa: {enable: true}
acr-registry-info:
  - instanceId: cri-acmeprod00000001
    regionId: cn-hangzhou
    domains: $HOST
    $2
credential-provider:
  cacheDir: $work/cache-$1
  timeout: 50s
  oidcTokenFile: $work/token
  endpoints: {metadata: "$(url metadata)", sts: "$(url sts | sed s/127.0.0.1/localhost/)", cr: "$(url cr)", registry: "$(url registry)"}
  ${ca:-}
END
}

# One run; its instructions by function go to a file of its name, the sum and the groups to stdout.
count() {
    name=$1
    shift
    status=0
    env -i PATH="$PATH" valgrind --tool=callgrind --quiet --callgrind-out-file="$work/out" \
        "$binary" "$@" >/dev/null 2>"$work/stderr" || status=$?
    if [ "$status" -ne "${expect:-0}" ]; then
        echo "error: $name ended with $status:" >&2
        cat "$work/stderr" >&2
        exit 1
    fi
    callgrind_annotate --threshold=100 "$work/out" >"$work/$name.txt"
    printf '\n== %s\n' "$name"
    echo "$OWNERS" | awk -v name="$name" -v sums="$work/sums" '
        FNR == NR { if (NF) { groups[++n] = $1; patterns[n] = $2 } next }
        # 1,234,567 (12.34%)  file:function [object]
        /^ *[0-9,]+ \(.*%\) +[^ ]*:/ {
            count = $1
            gsub(",", "", count)
            sub(/^[^)]*\) +[^:]*:/, "")
            sub(/ \[[^]]*\]$/, "")
            for (i = 1; i <= n && $0 !~ patterns[i]; i++);
            of[i] += count
            total += count
            if (++lines <= 10) top = top sprintf("   %11d  %s\n", count, substr($0, 1, 100))
        }
        END {
            printf "   %11d  instructions\n", total
            groups[n + 1] = "rest"
            for (i = 1; i <= n + 1; i++) {
                printf "   %11d  %s\n", of[i], groups[i]
                print name "\t" groups[i] "\t" of[i] + 0 >>sums
            }
            printf "   the most, by function:\n%s", top
        }' - "$work/$name.txt"
}

# Nobody pays for what is not needed, nobody takes more than it may, and the names are found where
# they are.
check() {
    [ "$arch" = amd64 ] || LIMITS=
    echo "$LIMITS" | awk -F '\t' '
        FNR == NR { if (NF) limits[$1] = $2; next }
        { of[$1, $2] = $3; total[$1] += $3 }
        # Two hundred instructions are a value that is made and dropped, and nothing done with it.
        function none(run, group) { if (of[run, group] > 200) wrong(run " pays for " group) }
        function some(run, group) { if (of[run, group] + 0 == 0) wrong(run " shows no " group) }
        function wrong(what) { print "BROKEN " what; broken++ }
        END {
            print ""
            for (run in limits) {
                thousands = total[run] / 1000
                if (thousands == 0 || thousands > limits[run])
                    wrong(sprintf("%s: %d thousand instructions, limit %d", run, thousands, limits[run]))
                else
                    printf "ok     %s: %d thousand instructions, limit %d\n", run, thousands, limits[run]
            }
            none("version", "YAML"); none("version", "JSON")
            none("from the cache", "YAML"); some("foreign host", "YAML"); some("cold: AccessKey", "YAML")
            split("version/foreign host/from the cache", runs, "/")
            for (i in runs) { none(runs[i], "CA"); none(runs[i], "TLS"); none(runs[i], "HTTP") }
            some("cold: AccessKey", "TLS"); some("cold: AccessKey", "HTTP"); some("cold: AccessKey", "CA")
            if (of["unknown CA", "CA"] < 10 * of["cold: AccessKey", "CA"]) wrong("cold pays for the whole CA store")
            if (!broken) print "nobody pays for what is not needed"
            exit broken > 0
        }' - "$work/sums"
}

main "$@"
