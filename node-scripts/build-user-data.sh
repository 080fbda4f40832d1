#!/bin/sh
# Makes a script for the User Data field of a node pool: it writes the configuration, fetches the
# program and installs both on the node that runs it. The script is plain text.
#
# usage: build-user-data.sh --url URL --sha256 HEX [--config FILE] [option ...]
#
#   --url URL             where nodes fetch the program
#   --sha256 HEX          its checksum; another program is not installed
#   --verify-key KEY      a public key of ssh-keygen, or its file: as for install.sh
#   --config FILE         the configuration. One with an AccessKey is refused: any pod that reaches
#                         the metadata service can read user data
#   --hosts-args 'ARGS'   also writes hosts into /etc/hosts: the arguments of configure-hosts.sh
#   --refresh-timer, --service-accounts, --match-images LIST, --bin-dir DIR, --kubelet-version V
#                         as for install.sh
#   --gzip                writes it compressed. cloud-init undoes that
#   --base64              writes it encoded in one line, for the API of ACK. cloud-init does not undo that
#   --out FILE            writes it to a file instead of stdout
#
# At most 16384 bytes, before base64: the limit in the vendor's documents.
set -eu
LIMIT=16384
fail() { echo "build-user-data.sh: error: $*" >&2; exit 1; }
misuse() { echo "build-user-data.sh: error: $*; see --help" >&2; exit 2; }

# For the shell. No valid word has a quote or a newline in it.
quoted() {
  case $1 in
  *\'* | *"$newline"*) misuse "'$1' has a quote or a newline in it" ;;
  '' | *[!A-Za-z0-9_.,:/=%@+-]*) printf " '%s'" "$1" ;;
  *) printf ' %s' "$1" ;;
  esac
}

check_url() {
  case $1 in
  *[[:space:]]*) misuse '--url has a space in it' ;;
  http://?* | https://?*) ;;
  *) misuse '--url takes an address with http or https' ;;
  esac
  authority=${1#*://}
  case ${authority%%/*} in *@*) misuse '--url has a password in it, which any pod could read' ;; esac
  case $(printf '%s' "${1#*\?}" | tr '[:upper:]' '[:lower:]') in
  *signature=* | *accesskeyid=* | *token=* | *credential=*)
    misuse '--url is signed or has a token in it: any pod could read that, and when it expires, new nodes get nothing' ;;
  esac
}

# Refuses what looks like an AccessKey anywhere in file $1, comments included. It is a search for
# text, so that it holds in every form of the file; what hides text from it is refused as well:
# letters written as numbers, and names that go on in the next line. Two bytes for a letter hide nothing.
refuse_access_key() {
  for pattern in 'customAccessKey' '(ALIBABA_?CLOUD|ALICLOUD|ALIYUN)_(ACCESS_?KEY|SECRET|SECURITY_TOKEN)' \
    'access[-_ ]?key[-_ ]?(id|secret)' '(LTAI|STS\.)[0-9A-Za-z]{12}' '\\(u00|U000000|x)[4-7][0-9A-Fa-f]' "\\\\$(printf '\r')?\$"; do
    # The line's number alone: the line may hold the secret.
    line=$(LC_ALL=C tr -d '\000' <"$1" | LC_ALL=C grep -aniE -m 1 -e "$pattern" | cut -d: -f1)
    case $line,$pattern in
    ,*) ;;
    *,\\*) fail "line $line of $2 hides text behind a backslash, so that it cannot be searched for an AccessKey; write it plainly" ;;
    *) fail "line $line of $2 has an AccessKey or mentions one, and any pod that reaches the metadata service can read user data; use the worker role or RRSA" ;;
    esac
  done
}

# Writes file $2 on the node, as $work/$1.
file() {
  ! grep -qx END-OF-FILE "$2" || fail "$2 has a line END-OF-FILE"
  printf '%s\n' "cat >\"\$work/$1\" <<'END-OF-FILE'" "$(cat "$2")" END-OF-FILE
}

# In a subshell, because this may be a part of a longer script: that keeps its settings. The shell
# reads it to its end before it runs. Arguments are for tests. Only with a key has it `verify`.
script() {
  cat <<'EOT'
#!/bin/sh
# Installs aliyun-acr-credential-provider on a node. Made by build-user-data.sh; to change anything,
# make it again. It has no secrets. Do not add any: pods can read user data.
(
set -eu
umask 077
case ${1-} in --root) root=$2 ;; *) root='' && set -- ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
EOT
  if [ -n "$config" ]; then file config.yaml "$config"; fi
  if [ -n "$hosts_args" ]; then
    file hosts "$work/hosts"
    cat <<'EOT'
hosts=$root/etc/hosts
sed '/^# BEGIN aliyun-acr-credential-provider/,/^# END aliyun-acr-credential-provider/d' "$hosts" >"$work/others"
awk 'NR == FNR { ours[$2] = $1; next } { sub(/#.*/, ""); for (i = 2; i <= NF; i++) if ($i in ours && $1 != ours[$i]) {
  print "error: /etc/hosts has another address: " $0; exit 1 } }' "$work/hosts" "$work/others" >&2
cp -a "$hosts" "$hosts.new"
cat "$work/hosts" "$work/others" >"$hosts.new"
mv -f "$hosts.new" "$hosts"
EOT
  fi
  sed '1,/^# From here/d; /^# The end/,$d' "$here/install.sh" | sed "/^\$/d; ${verify_key:+#}/^# SHA256SUMS/,/^}/d"
  # shellcheck disable=SC2016 # variables of the script that is made
  printf "binary='' url=%s sha256=%s verify_key=%s\n(start%s \"\$@\")\n)\n" "$(quoted "$url" | sed 's/^ //')" "$sha256" "$(quoted "$verify_key" | sed 's/^ //')" "$words${config:+ --config \"\$work/config.yaml\"}"
}

parse() {
  while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) sed -n '1d; /^#/!q; s/^# \{0,1\}//p' "$0" && exit ;;
    --refresh-timer | --service-accounts) words="$words $1" && shift && continue ;;
    --base64 | --gzip) encode="$encode$1" && shift && continue ;;
    --url | --sha256 | --verify-key | --config | --hosts-args | --match-images | --bin-dir | --kubelet-version | --out)
      [ -n "${2-}" ] || misuse "$1 takes a value" ;;
    *) misuse "unknown option '$1'" ;;
    esac
    case $1 in
    --url) check_url "$2" && url=$2 ;;
    --verify-key) if [ -f "$2" ]; then verify_key=$(cut -d' ' -f1,2 "$2"); else verify_key=$2; fi ;;
    --sha256 | --config | --hosts-args | --out) eval "$(echo "${1#--}" | tr - _)=\$2" ;;
    *) words="$words $1$(quoted "$2")" ;;
    esac
    shift 2
  done
  case $verify_key in '' | ssh-*\ AAAA* | ecdsa-*\ AAAA* | sk-*\ AAAA*) ;; *) misuse '--verify-key takes a public key' ;; esac
  [ -n "$url" ] || misuse 'no --url is given'
  sha256=$(echo "$sha256" | tr A-F a-f)
  case $sha256 in *[!0-9a-f]*) sha256='' ;; esac
  [ ${#sha256} = 64 ] || misuse '--sha256 takes 64 hexadecimal digits'
}

main() {
  newline='
' here=$(dirname "$0")
  url='' sha256='' config='' out='' hosts_args='' verify_key='' encode='' words=''
  parse "$@"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT && trap 'exit 1' HUP INT TERM
  printf '%s\n' "$@" >"$work/arguments"
  refuse_access_key "$work/arguments" 'the arguments'
  if [ -n "$config" ]; then
    { [ -f "$config" ] && [ -s "$config" ]; } || fail "$config is not a file, or is empty"
    refuse_access_key "$config" 'the configuration'
  fi
  if [ -n "$hosts_args" ]; then
    set -f && mkdir "$work/etc"
    for word in $hosts_args; do case $word in --root | --dry-run | --remove | --help | -h) misuse "--hosts-args: $word is not for a node" ;; esac; done
    # shellcheck disable=SC2086 # several words; a mistake in them is found here, not on a node
    sh "$here/configure-hosts.sh" $hosts_args --root "$work" >/dev/null || exit 2
    mv "$work/etc/hosts" "$work/hosts"
  fi
  script >"$work/user-data"
  case $encode in *gzip*) gzip -9n "$work/user-data" && mv "$work/user-data.gz" "$work/user-data" ;; esac
  size=$(($(wc -c <"$work/user-data")))
  [ "$size" -le "$LIMIT" ] || fail "$size bytes are $((size - LIMIT)) more than the $LIMIT that user data may have; shorten the configuration's comments, give --gzip, or put the configuration on the node by other means"
  [ -z "$out" ] || exec >"$out"
  case $encode in *base64*) base64 <"$work/user-data" | tr -d '\n' ;; *) cat "$work/user-data" ;; esac
  echo "$size of $LIMIT bytes" >&2
}

main "$@"
