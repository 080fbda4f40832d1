#!/bin/sh
# Installs aliyun-acr-credential-provider on a node and makes its kubelet use it. Run it as root.
#
#   install.sh (--binary FILE | --url URL) --sha256 HEX [option...]
#     --binary FILE         the program
#     --url URL             where to fetch the program
#     --sha256 HEX          the program's checksum; another file is not run
#     --verify-key KEY      a public key of ssh-keygen, or its file. SHA256SUMS next to the program
#                           must be signed with it (SHA256SUMS.sig) and have the checksum
#     --config FILE         the program's configuration; default: the one that is there, if any
#     --dry-run             only shows what would change
#
# This script fetches the program and checks it. The program does the rest: `setup install` gets all
# other options, such as --refresh-timer, --service-accounts and --root; its --help has them.
# A second run changes nothing. If a run was killed, run it again.
set -eu
umask 077

main() {
  binary='' url='' sha256='' verify_key='' root='' key=''
  for word; do
    shift
    case $key in
    --binary | --url | --sha256 | --verify-key)
      [ -n "$word" ] || break # such as a variable that is not set
      eval "$(echo "${key#--}" | tr - _)=\$word" && key='' && continue ;;
    --root) root=${word%/} ;;
    esac
    key=$word
    case $word in
    --binary | --url | --sha256 | --verify-key) ;;
    -h | --help) sed -n '1d; /^#/!q; s/^# \{0,1\}//p' "$0" && exit ;;
    *) set -- "$@" "$word" ;;
    esac
  done
  case $key in --binary | --url | --sha256 | --verify-key) die "$key takes a value" ;; esac
  case $binary,$url in , | ?*,?*) die 'give --binary FILE or --url URL' ;; esac
  sha256=$(echo "$sha256" | tr A-F a-f)
  echo "$sha256" | grep -qxE '[0-9a-f]{64}' || die 'give --sha256 with the 64 hexadecimal digits of the program'
  start "$@"
}

# From here on it is also part of user data.
NAME=aliyun-acr-credential-provider

die() { echo "error: $*" >&2; exit 1; }
sum() { sha256sum <"$1" | cut -d' ' -f1; }

start() {
  folder=$(new_folder)
  [ -n "$folder" ] || die 'found no folder in which a program may run; set TMPDIR to one'
  trap 'rm -rf "$folder"' EXIT && trap 'exit 1' HUP INT TERM
  [ -z "$verify_key" ] || verify
  # One that an earlier run has installed is not fetched again.
  for program in $(grep -os "\"/.*/$NAME\"" "$root/var/lib/$NAME/undo.json" | tr -d '"'); do
    [ -z "$url" ] || [ ! -f "$root$program" ] || [ "$(sum "$root$program")" != "$sha256" ] ||
      { rm -rf "$folder" && exec "$root$program" setup install --sha256 "$sha256" "$@"; }
  done
  program=$folder/$NAME
  get "$binary$url" "$program"
  found=$(sum "$program")
  [ "$found" = "$sha256" ] || die "$binary$url has SHA-256 $found, not $sha256; it is not installed"
  case $(uname -m)$(od -An -tx1 -j18 -N2 "$program") in 'x86_64 3e 00' | 'aarch64 b7 00') ;;
  *) die "the program is not for this machine ($(uname -m))" ;; esac
  chmod 700 "$program"
  case $("$program" --version 2>/dev/null) in "$NAME "*) ;; *) die 'the program does not run on this machine' ;; esac
  # It continues without its file, so that no kill leaves one.
  exec 3<"$program" && rm -rf "$folder"
  exec /proc/self/fd/3 setup install --sha256 "$sha256" "$@"
}

# SHA256SUMS next to the program must be signed with the key, and have the checksum of a program.
verify() {
  command -v ssh-keygen >/dev/null 2>&1 || die 'ssh-keygen is not installed: the signature cannot be checked'
  [ ! -f "$verify_key" ] || verify_key=$(cat "$verify_key")
  verify_key=$(echo "$verify_key" | grep -oE '^(ssh|ecdsa|sk)-[^ ]+ AAAA[^ ]+') || die '--verify-key has no public key of ssh-keygen'
  sums=${binary:-${url%%\?*}}
  case $sums in */*) sums=${sums%/*}/SHA256SUMS ;; *) sums=SHA256SUMS ;; esac
  get "$sums" "$folder/sums" && get "$sums.sig" "$folder/sums.sig"
  echo "release $verify_key" >"$folder/signers"
  why=$(ssh-keygen -Y verify -f "$folder/signers" -I release -n "$NAME" -s "$folder/sums.sig" <"$folder/sums" 2>&1) ||
    die "$sums is not signed with the key of --verify-key; nothing is installed:" "$why"
  grep -q "^$sha256  $NAME-linux-[a-z0-9]*\$" "$folder/sums" || die "$sums is signed, but does not have $sha256; nothing is installed"
}

# One in which a program may run: /tmp is often mounted noexec.
new_folder() {
  for parent in "${TMPDIR:-/tmp}" /var/lib /opt; do
    folder=$(mktemp -d "$parent/$NAME.XXXXXX" 2>/dev/null) || continue
    if printf '#!/bin/sh\n' >"$folder/try" && chmod 700 "$folder/try" && "$folder/try" 2>/dev/null; then echo "$folder" && return; fi
    rm -rf "$folder"
  done
}

# Copies a file, or what is at an address, to $2. A node that boots may have no network yet.
get() {
  [ -z "$binary" ] || { cat "$1" >"$2" && return; } || die "cannot get $1"
  for wait in 1 2 4 8 16 ''; do
    if command -v curl >/dev/null 2>&1; then curl -fsSL --connect-timeout 20 -m 600 -o "$2" "$1"; else
      wget -q -T 20 -O "$2" "$1"; fi && return
    [ -z "$wait" ] || sleep "$wait"
  done
  die "cannot get $1"
}

# The end of what is part of user data.
main "$@"
