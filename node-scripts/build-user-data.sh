#!/bin/sh
# Makes a script for the User Data field of a node pool, from a configuration.
set -eu

# The limit in the vendor's documents, before base64. ACK's own part does not count.
LIMIT=16384

usage() {
    cat <<'EOT'
usage: build-user-data.sh --url URL --sha256 HEX [--config FILE] [option ...]

Writes a script that holds install.sh, configure-hosts.sh and the configuration, fetches the binary
and installs all of it on the node that runs it. At most 16384 bytes.

  --url URL              where nodes fetch the binary
  --sha256 HEX           its checksum; another binary is not installed
  --config FILE          the configuration. One with an AccessKey is refused: any pod that reaches
                         the metadata service can read user data
  --hosts-args 'ARGS'    also writes hosts to /etc/hosts: the arguments of configure-hosts.sh
  --refresh-timer, --match-images LIST, --bin-dir DIR, --kubelet-version VERSION
                         as for install.sh
  --base64               writes it encoded in one line, as the API needs it
  --out FILE             writes it to a file instead of stdout
EOT
}

fail() {
    echo "build-user-data.sh: error: $*" >&2
    exit 1
}

misuse() {
    echo "build-user-data.sh: error: $*; see --help" >&2
    exit 2
}

# Quotes a word for the shell. No valid word has a quote or a newline in it.
quoted() {
    case $1 in
    *\'* | *"$newline"*) misuse "'$1' has a quote or a newline in it" ;;
    '' | *[!A-Za-z0-9_.,:/=%@+-]*) printf " '%s'" "$1" ;;
    *) printf ' %s' "$1" ;;
    esac
}

check_url() {
    case $1 in
    *[[:space:]]*) misuse "--url has a space in it" ;;
    http://?* | https://?*) ;;
    *) misuse "--url takes an address with http or https" ;;
    esac
    authority=${1#*://}
    case ${authority%%/*} in *@*) misuse '--url has a password in it, which any pod could read' ;; esac
    case $(printf '%s' "${1#*\?}" | tr '[:upper:]' '[:lower:]') in
    *signature=* | *accesskeyid=* | *token=* | *credential=*)
        misuse '--url is signed or has a token in it: any pod could read that, and when it expires, new nodes get nothing'
        ;;
    esac
}

# Refuses what looks like an AccessKey anywhere in file $1, comments included. It is a search for
# text, so that it holds in every form of the file; what hides text from it is refused as well:
# letters written as numbers, and names that go on in the next line. Two bytes for a letter hide nothing.
refuse_access_key() {
    for pattern in 'customAccessKey' '(ALIBABA_?CLOUD|ALICLOUD|ALIYUN)_(ACCESS_?KEY|SECRET|SECURITY_TOKEN)' \
        'access[-_ ]?key[-_ ]?(id|secret)' \
        '(LTAI|STS\.)[0-9A-Za-z]{12}' '\\(u00|U000000|x)[4-7][0-9A-Fa-f]' "\\\\$cr?\$"; do
        # The line's number alone: the line may hold the secret.
        line=$(LC_ALL=C tr -d '\000' <"$1" | LC_ALL=C grep -aniE -m 1 -e "$pattern" | cut -d: -f1)
        [ -n "$line" ] || continue
        case $pattern in
        \\*) fail "line $line of $2 hides text behind a backslash, so that it cannot be searched for an AccessKey; write it plainly" ;;
        *) fail "line $line of $2 has an AccessKey or mentions one, and any pod that reaches the metadata service can read user data; use the worker role or RRSA" ;;
        esac
    done
}

# A script without comments, empty lines and indentation. Here-documents stay the same.
stripped() {
    awk '
        text != "" { print; if ($0 == text) text = ""; next }
        /^[ \t]*(#|$)/ { next }
        { sub(/^[ \t]+/, ""); print }
        match($0, /<<.?[A-Z]+/) { text = substr($0, RSTART, RLENGTH); gsub(/[^A-Z]/, "", text) }
    ' "$here/$1" >"$work/$1"
    sh -n "$work/$1" || fail "$1 cannot be made smaller"
}

# Prints the script, without configure-hosts.sh if $1 is false, and with the configuration in file $2.
script() {
    : >"$work/all"
    parts=
    if "$1"; then embed configure-hosts.sh "$work/configure-hosts.sh"; fi
    embed install.sh "$work/install.sh"
    if [ -n "$2" ]; then embed config.yaml "$2"; fi
    # A subshell, because this may be a part of a longer script: that keeps its settings and functions.
    # The shell reads it to its end before it runs. Arguments are for tests: a node gives none.
    cat <<'EOT'
#!/bin/sh
# Installs aliyun-acr-credential-provider on a node. Made by build-user-data.sh; to change anything,
# make it again. It has no secrets. Do not add any: pods can read user data.

(
    set -eu
    umask 077
    case ${1-} in --root) ;; *) set -- ;; esac
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    base64 -d <<'END' | gzip -dc >"$work/all"
EOT
    gzip -9nc <"$work/all" | base64 | tr -d '\n'
    cat <<'EOT'

END
    # A file's name, where it ends and how long it is.
    part() { head -c "$2" "$work/all" | tail -c "$3" >"$work/$1"; }
EOT
    printf '%s' "$parts"
    # shellcheck disable=SC2016 # variables of the script that is made
    "$1" && printf '    sh "$work/configure-hosts.sh"%s "$@"\n' "$hosts_words"
    # shellcheck disable=SC2016
    printf '    sh "$work/install.sh"%s "$@"\n' "$install_words${2:+ --config \"\$work/config.yaml\"}"
    printf ')\n'
}

# Adds file $2 to the packed files, under name $1.
embed() {
    cat "$2" >>"$work/all"
    parts="$parts    part $1 $(($(wc -c <"$work/all"))) $(($(wc -c <"$2")))$newline"
}

# Makes the script without each optional part, and says how much that saves.
too_large() {
    said="$1 bytes are $(($1 - LIMIT)) more than the $LIMIT that user data may have"
    if "$hosts"; then
        script false "$config" >"$work/less"
        said="$said; leaving out --hosts-args saves $(($1 - $(wc -c <"$work/less")))"
    fi
    if [ -n "$config" ]; then
        sed '/^[[:space:]]*#/d' "$config" >"$work/bare"
        script "$hosts" "$work/bare" >"$work/less"
        said="$said; leaving out the configuration's comments saves $(($1 - $(wc -c <"$work/less")))"
        script "$hosts" '' >"$work/less"
        said="$said; putting the configuration on the node by other means saves $(($1 - $(wc -c <"$work/less")))"
    fi
    fail "$said"
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --url | --sha256 | --config | --hosts-args | --match-images | --bin-dir | --kubelet-version | --out)
            [ -n "${2-}" ] || misuse "$1 takes a value"
            ;;
        esac
        case $1 in
        --url)
            check_url "$2"
            url=$2
            ;;
        --sha256) sha256=$2 ;;
        --config) config=$2 ;;
        --hosts-args) hosts=true hosts_args=$2 ;;
        --out) out=$2 ;;
        --match-images | --bin-dir | --kubelet-version) install_words="$install_words $1$(quoted "$2")" ;;
        --refresh-timer) install_words="$install_words $1" && set -- '' "$@" ;;
        --base64) encode=true && set -- '' "$@" ;;
        --help | -h) usage && exit 0 ;;
        *) misuse "unknown option '$1'" ;;
        esac
        shift 2
    done
    [ -n "$url" ] || misuse 'no --url is given'
    case $sha256 in
    *[!0-9a-fA-F]*) misuse '--sha256 takes 64 hexadecimal digits' ;;
    esac
    [ ${#sha256} -eq 64 ] || misuse '--sha256 takes 64 hexadecimal digits'
}

main() {
    newline='
'
    cr=$(printf '\r')
    here=$(dirname "$0")
    url='' sha256='' config='' out='' hosts=false hosts_args='' encode=false
    install_words='' hosts_words=''
    parse "$@"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM

    printf '%s\n' "$@" >"$work/arguments"
    refuse_access_key "$work/arguments" 'the arguments'
    if [ -n "$config" ]; then
        [ -f "$config" ] || fail "$config is not a file"
        [ -s "$config" ] || fail "$config is empty"
        cat "$config" >"$work/config.yaml" || fail "$config cannot be read"
        config=$work/config.yaml
        refuse_access_key "$config" 'the configuration'
    fi
    install_words=" --url$(quoted "$url") --sha256 $sha256$install_words"
    if "$hosts"; then
        set -f
        for word in $hosts_args; do
            case $word in --root | --dry-run | --help | -h) misuse "--hosts-args: $word is not for a node" ;; esac
            hosts_words="$hosts_words$(quoted "$word")"
        done
        # A mistake in them is found here, not on a node.
        mkdir -p "$work/root/etc"
        # shellcheck disable=SC2086 # several words
        sh "$here/configure-hosts.sh" $hosts_args --dry-run --root "$work/root" >/dev/null || exit 2
        set +f
    fi

    stripped install.sh
    stripped configure-hosts.sh
    script "$hosts" "$config" >"$work/user-data"
    size=$(($(wc -c <"$work/user-data")))
    [ "$size" -le "$LIMIT" ] || too_large "$size"
    # In one line, for a string of JSON.
    if "$encode"; then base64 <"$work/user-data" | tr -d '\n' >"$work/result"; else mv "$work/user-data" "$work/result"; fi
    if [ -n "$out" ]; then cat "$work/result" >"$out"; else cat "$work/result"; fi
    echo "$size of $LIMIT bytes" >&2
}

main "$@"
