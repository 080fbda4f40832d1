#!/bin/sh
# Installs aliyun-acr-credential-provider on a node and makes its kubelet use it. Run it as root.
#
#   install.sh (--binary FILE | --url URL) --sha256 HEX [option...]
#     --binary FILE         the program
#     --url URL             where to fetch the program
#     --sha256 HEX          the program's checksum; another file is not run
#     --config FILE         the program's configuration; default: the one that is there, if any
#     --match-images LIST   comma-separated; default: ACR's hosts and the configuration's domains
#     --bin-dir DIR         for the program, if the kubelet does not have such a folder yet
#     --kubelet-version V   such as 1.30, if the kubelet cannot be asked
#     --service-accounts    pods' tokens are sent along, by a second provider
#     --close-images        removes images that every service account could start
#     --refresh-timer       a systemd timer that renews logins before they end
#     --dry-run             only shows what would change
#     --root DIR            works on the tree in DIR and restarts nothing
#     --restart             with --root: the tree is that of the running system, so restart
#     --watch SECONDS       how long the kubelet is watched after its restart; default: 10
#     --json                reports in JSON
#
# This script fetches the program and checks it. The program does the rest: `setup install` gets
# all other options. A second run changes nothing. If a run was killed, run it again.
set -eu
umask 077

main() {
  binary='' url='' sha256='' root='' key=''
  for word; do
    shift
    case $key in
    --binary | --url | --sha256) eval "${key#--}=\$word" && key='' && continue ;;
    --root) root=${word%/} ;;
    esac
    key=$word
    case $word in
    --binary | --url | --sha256) ;;
    -h | --help) sed -n '1d; /^#/!q; s/^# \{0,1\}//p' "$0" && exit ;;
    *) set -- "$@" "$word" ;;
    esac
  done
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
  # One that an earlier run has installed is not fetched again.
  for program in $(grep -os "\"/.*/$NAME\"" "$root/var/lib/$NAME/undo.json" | tr -d '"'); do
    [ -z "$url" ] || [ ! -f "$root$program" ] || [ "$(sum "$root$program")" != "$sha256" ] ||
      exec "$root$program" setup install --sha256 "$sha256" "$@"
  done
  folder=$(new_folder)
  [ -n "$folder" ] || die 'found no folder in which a program may run; set TMPDIR to one'
  trap 'rm -rf "$folder"' EXIT && trap 'exit 1' HUP INT TERM
  program=$folder/$NAME
  if [ -n "$binary" ]; then cat "$binary" >"$program"; else fetch; fi || die "cannot get $binary$url"
  found=$(sum "$program")
  [ "$found" = "$sha256" ] || die "$binary$url has SHA-256 $found, not $sha256; it is not installed"
  case $(uname -m)$(od -An -tx1 -j18 -N2 "$program") in 'x86_64 3e 00' | 'aarch64 b7 00') ;;
  *) die "the program is not for this machine ($(uname -m))" ;; esac
  chmod 700 "$program"
  case $("$program" --version 2>/dev/null) in "$NAME "*) ;; *) die 'the program does not run on this machine' ;; esac
  # It goes on without its file, so that no kill leaves one.
  exec 3<"$program"
  rm -rf "$folder"
  exec /proc/self/fd/3 setup install --sha256 "$sha256" "$@"
}

# One in which a program may run: /tmp is often mounted noexec.
new_folder() {
  for parent in "${TMPDIR:-/tmp}" /var/lib /opt; do
    folder=$(mktemp -d "$parent/$NAME.XXXXXX" 2>/dev/null) || continue
    printf '#!/bin/sh\n' >"$folder/try" && chmod 700 "$folder/try"
    if "$folder/try" 2>/dev/null; then echo "$folder" && return; fi
    rm -rf "$folder"
  done
}

# A node that boots may have no network yet.
fetch() {
  for wait in 1 2 4 8 16 ''; do
    if command -v curl >/dev/null 2>&1; then curl -fsSL --connect-timeout 20 -m 600 -o "$program" "$url"; else
      wget -q -T 20 -O "$program" "$url"; fi && return
    [ -z "$wait" ] || sleep "$wait"
  done
  return 1
}

# The end of what is part of user data.
main "$@"
