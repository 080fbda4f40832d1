#!/bin/sh
# Undoes what install.sh recorded in /var/lib/aliyun-acr-credential-provider: first the kubelet's flags,
# with a restart, then the configuration, and the binary last. Run it as root.
#
#   uninstall.sh [--root DIR [--restart]]
#     --root DIR   works on the tree in DIR and restarts nothing
#     --restart    with --root: the tree is that of the running system, so restart
#
# What others have written since then stays. An edited configuration of the program stays as
# config.yaml.edited. If the kubelet would not start without a file, nothing is removed. If a run was
# killed, run it again.
set -eu
umask 077

NAME=aliyun-acr-credential-provider
CONF=/etc/$NAME/config.yaml
STATE=/var/lib/$NAME
ACK=/etc/kubernetes/kubelet-customized-args.conf
UNITS=/etc/systemd/system
DROPIN=$UNITS/kubelet.service.d/99-$NAME.conf
TIMER=$UNITS/timers.target.wants/$NAME-refresh.timer
FLAG=--image-credential-provider

die() { echo "error: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
is_json() { case $(tr -d '[:space:]' <"$1") in '{'*) ;; *) return 1 ;; esac; }
recorded() { sed -n "s/^$1 //p" "$R$STATE/record"; }
was() { [ -f "$R$STATE/original$1" ] || [ -L "$R$STATE/original$1" ]; }

parse() {
  R='' live=1 restart=''
  while [ $# -gt 0 ]; do
    case $1 in
    --root)
      [ -n "${2:-}" ] || die '--root needs a folder'
      R=$(cd "$2" && pwd -P)
      R=${R%/} live=''
      shift
      ;;
    --restart) restart=1 ;;
    -h | --help) sed -n '1d; /^#/!q; s/^# \{0,1\}//p' "$0"; exit ;;
    *) die "unknown option '$1'; see --help" ;;
    esac
    shift
  done
  live=$live$restart
  # Only one run at a time. The lock ends with this process.
  d=$R/var/lib
  [ -d "$d" ] || d=$R/
  exec 9<"$d"
  ! has flock || flock -n 9 || die 'another run is in progress; wait for it'
  [ -z "$live" ] || [ "$(id -u)" = 0 ] || die 'run this as root'
  [ -z "$live" ] || has systemctl || die 'systemctl is not installed; --root / changes the files and leaves the restart to you'
  [ ! -f "$R$STATE/undo.json" ] || die "$NAME setup install has set this node up; run $NAME setup uninstall"
  if [ ! -f "$R$STATE/record" ]; then
    rm -rf "$R$STATE"
    die "nothing is recorded in $STATE; install.sh has done nothing here, or this was done before"
  fi
}

# --- the files without our parts ---

# A CredentialProviderConfig in JSON with $2 as our provider, or without ours if $2 is empty. Its place,
# its other settings and everything else stay the same. install.sh has the same function.
json() {
  awk -v name="\"$NAME\"" -v entry="$2" '
  function no(why) { print why; exit failed = 1 }
  { s = s $0 "\n" }
  END {
    for (i = 1; i <= length(s); i += len) {
      rest = substr(s, i)
      if (match(rest, /^[ \t\r\n]+/)) { len = RLENGTH; continue }
      if (!match(rest, /^"([^"\\]|\\.)*"/) && !match(rest, /^[][{}:,]/) && !match(rest, /^[-+.A-Za-z0-9]+/)) no("not JSON: " substr(rest, 1, 20))
      len = RLENGTH; t = substr(s, i, len)
      if (t ~ /^[]}]/) { if (d == 3 && list) { member[n] = member[n] more(); to[n] = i } if (d-- == 2) list = 0 }
      else if (t == "," && d == 3 && list) member[n] = member[n] more()
      else if (t ~ /^"/ && before ~ /^[{,]$/ && (d == 1 || d == 3)) { key[d] = t; at = i }
      else if (key[3] == "\"name\"" && d == 3 && list && t == name) { if (mine) no(name " is there twice"); mine = n }
      else if (key[1] == "\"kind\"" && d == 1 && t == "\"CredentialProviderConfig\"") kind++
      if (t ~ /^[[{]/ && ++d == 2 && t == "[" && key[1] == "\"providers\"") list = 1
      if (t == "{" && d == 3 && list) { from[++n] = i; key[3] = ""; gap[n] = substr(s, end, i - end) }
      before = t; end = i + len
    }
    if (d || !n || kind != 1) no("not a CredentialProviderConfig with a list of providers")
    if (entry != "") entry = "{" entry member[mine] "}"
    if (entry == "" && mine) {
      if (n == 1) exit
      a = mine < n ? from[mine] - 1 : to[n - 1]; b = mine < n ? from[mine + 1] : to[n] + 1
    } else if (mine) { a = from[mine] - 1; b = to[mine] + 1 }
    else { a = to[n]; b = a + 1; if (entry != "") entry = "," gap[n] entry }
    printf "%s", substr(s, 1, a) entry substr(s, b)
  }
  # The member of a provider that ends here, if this script does not write it.
  function more() { if (key[3] ~ /^"(name|apiVersion|matchImages|defaultCacheDuration)"$/ || before == "{") return ""; return ", " substr(s, at, end - at) }
  ' "$1"
}

# A CredentialProviderConfig without our entry, if it has a form that is known here.
without_entry() {
  [ -f "$1" ] || return 0
  if is_json "$1"; then json "$1" ''; return; fi
  awk -v name=$NAME '
  function indent(s) { match(s, /[^ ]|$/); return RSTART - 1 }
  { line[NR] = $0; gsub(/["\047\r]/, ""); sub(/(^| +)#.*/, ""); sub(/ +$/, "") }
  /^$/ { next }
  /^([^ -]|---)/ { in_list = /^providers:$/; I = -1; next }
  !in_list { next }
  { ind = indent($0) }
  I < 0 { I = ind }
  ind == I && /^ *-( |$)/ { first[++n] = NR; col = 0; sub(/-/, " "); ind = indent($0) }
  !n { next }
  { last[n] = NR }
  /^ *$/ { next }
  !col { col = ind }
  ind == col && /^ *name *: / { sub(/^ *name *: */, ""); if ($0 == name) mine = n }
  END { for (i = 1; i <= NR; i++) if (!mine || i < first[mine] || i > last[mine]) print line[i] }' "$1"
}

# A file of flags without our flags.
without_flags() {
  [ -f "$1" ] || return 0
  recorded flag >"$tmp/flags"
  awk -v flags="$tmp/flags" '
  BEGIN { while ((getline f < flags) > 0) if (f != "") flag[++n] = f }
  !/^[ \t]*#/ {
    for (i = 1; i <= n; i++) {
      before = ""
      while (at = index($0, flag[i])) {
        before = before substr($0, 1, at - 1); $0 = substr($0, at + length(flag[i]))
        if (/^[^ \t\r"\047]/) before = before flag[i]
        else sub(/ $/, "", before)
      }
      $0 = before $0
    }
  }
  { print }' "$1"
}

# For comparing with the file that was there before: without quotes and empty variables.
meaning() { sed '/^\(KUBELET_[A-Z_]*=\)\{0,1\}["'\'']*$/d; s/["'\'']//g'; }

label() { [ -n "$R" ] || ! has restorecon || restorecon "$1" || :; }

# replace PATH: with stdin, or removes it if stdin is empty
replace() {
  cat >"$tmp/replacement"
  if [ -s "$tmp/replacement" ]; then
    cp -p "$R$1" "$R$1.new"
    cat "$tmp/replacement" >"$R$1.new"
    mv -f "$R$1.new" "$R$1"
    label "$1"
  else
    rm -f "$R$1"
  fi
}

# --- the kubelet ---

# Any process can have this name, and its arguments decide which files root runs and writes. So it must
# belong to root or to this user, and must not run in a container or a pod.
is_kubelet() {
  [ "$(cat "$1/comm" 2>/dev/null)" = kubelet ] || return 1
  case $(stat -c %u "$1" 2>/dev/null) in 0 | "$(id -u)") ;; *) return 1 ;; esac
  ! grep -qsE '^NSpid:.*[0-9][[:space:]]+[0-9]|kubepods' "$1/status" "$1/cgroup"
}

# Its unit and the drop-ins, in the order in which systemd reads them. install.sh has the same.
unit_files() {
  set -- $UNITS /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system
  for d; do
    if [ -f "$R$d/kubelet.service" ]; then echo "$d/kubelet.service"; break; fi
  done
  for d; do
    for f in "$R$d"/kubelet.service.d/*.conf; do [ ! -f "$f" ] || echo "${f##*/} ${f#"$R"}"; done
  done | awk '!seen[$1]++' | sort | cut -d' ' -f2-
}

# Both flags in all files that install.sh reads. One line each, with the value.
written() {
  unit_files | while read -r f; do sed '/^[[:space:]]*[#;]/d' "$R$f"; done >"$tmp/unit"
  {
    awk '{ l = l $0 } sub(/\\$/, " ", l) { next } sub(/^ExecStart=/, "", l) { e = l; l = "" } { print l; l = "" } END { print e }' "$tmp/unit"
    for f in $(sed -n 's/^EnvironmentFile=-\{0,1\}//p' "$tmp/unit") $ACK; do [ ! -f "$R$f" ] || sed '/^[[:space:]]*#/d' "$R$f"; done
  } | values
}

# The same for the running kubelet.
given() {
  for p in "$R"/proc/[0-9]*; do
    if is_kubelet "$p"; then tr '\0' ' ' <"$p/cmdline"; fi
  done | values
}

values() { tr -d "\"'\\r" | grep -oE -e "$FLAG-(config|bin-dir)[=[:space:]]+[^[:space:]]+" | sed 's/[=[:space:]]\{1,\}/ /; s,/*$,,' || :; }

# A configuration of the kubelet without comments.
content() { if is_json "$1"; then cat "$1"; else sed -E 's/(^|[[:space:]])#.*//' "$1"; fi | tr -d '\r'; }

# Whether such a text names a provider. A path does not.
names() { grep -qE -e "(^|[^A-Za-z0-9/._-])$1([^A-Za-z0-9/._-]|\$)" "$2"; }

# Whether any is left in the configuration.
has_provider() { content "$tmp/kconf" | grep -qE "(^|[^A-Za-z])name[\"']? *:"; }

# What a kubelet with these flags would not find after the removal.
missed() {
  sort -ru >"$tmp/left"
  configs='' bins=''
  true >"$tmp/named"
  real=$(readlink -f "$R$kconf") || :
  recorded file | grep "/$NAME\$" | while read -r f; do was "$f" || readlink -f "$R$f" || :; done >"$tmp/going"
  while read -r f v; do
    case $f in
    *-config)
      configs=1
      set -- "$R$v"
      [ ! -d "$1" ] || set -- "$1"/*.yaml "$1"/*.yml "$1"/*.json
      for f; do
        if [ -z "$kconf" ] || [ "$(readlink -f "$f")" != "$real" ]; then
          [ ! -f "$f" ] || content "$f" >>"$tmp/named"
        elif [ -s "$tmp/kconf" ]; then
          content "$tmp/kconf" >>"$tmp/named"
        elif [ $# = 1 ]; then
          echo "$v"
        fi
      done
      ;;
    *)
      bins=1
      # A link to the program breaks when it is removed.
      for f in "$R$v"/*; do
        # With an empty list, busybox's grep finds every line.
        if [ -s "$tmp/going" ] && readlink -f "$f" | grep -qxF -f "$tmp/going" && names "${f##*/}" "$tmp/named"; then echo "${f#"$R"}"; fi
      done
      ;;
    esac
  done <"$tmp/left"
  case $configs,$bins in 1,) echo "any $FLAG-bin-dir" ;; ,1) echo "any $FLAG-config" ;; esac
}

# Decides the kubelet's new configuration, $tmp/kconf, and whether the flags stay.
decide() {
  kconf=$(recorded providers | tail -n 1) keep_flags=''
  # If there are several, the one that the kubelet has.
  for f in $(recorded providers); do
    if { written; given; } | grep -qxF -e "$FLAG-config $f" -e "$FLAG-config ${f%/*}"; then kconf=$f; fi
  done
  true >"$tmp/kconf"
  [ -n "$kconf" ] && [ -f "$R$kconf" ] || return 0
  before=$R$STATE/original$kconf
  if ! without_entry "$R$kconf" >"$tmp/kconf" || { content "$tmp/kconf" >"$tmp/named" && names $NAME "$tmp/named"; }; then
    die "$kconf cannot be edited safely any more; remove $NAME from it by hand and run this again"
  fi
  if [ -f "$before" ] && [ "$(without_entry "$before" | tr -d '\r')" = "$(tr -d '\r' <"$tmp/kconf")" ]; then
    # An entry of ours that was there before comes back if its binary stays or comes back, too, or if no
    # kubelet will read it.
    if ! grep -q "$NAME" "$before" || ! recorded file | grep -q "/$NAME\$" ||
      [ -n "$(find "$R$STATE/original" -name $NAME ! -type d)" ] || recorded flag | grep -q -e -config=; then
      cat "$before" >"$tmp/kconf"
    fi
  elif has_provider; then
    keep_flags=1
    echo "$kconf now has other providers; the kubelet's flags stay for them"
  else
    true >"$tmp/kconf"
  fi
  if [ -n "$(recorded flag)" ]; then return; fi
  # Others have set the flags. With them, a kubelet that finds no provider does not start.
  [ -n "$(written; given)" ] || return 0
  if has_provider; then keep_flags=1; return; fi
  for f in "$R${kconf%/*}"/*.yaml "$R${kconf%/*}"/*.yml "$R${kconf%/*}"/*.json; do
    if [ "${kconf##*/}" = $NAME.yaml ] && [ -f "$f" ] && [ "$f" != "$R$kconf" ]; then keep_flags=1; fi
  done
  [ -n "$keep_flags" ] ||
    die "the kubelet has flags that install.sh did not set, and $kconf would be left without a provider; remove the flags --image-credential-provider-*, restart the kubelet and run this again"
}

take_flags() {
  recorded flags | while read -r place; do
    [ -f "$R$place" ] || continue
    cp -p "$R$place" "$tmp/back"
    before=$R$STATE/original$place
    without_flags "$R$place" >"$tmp/place"
    if [ -f "$before" ] && [ "$(meaning <"$before")" = "$(meaning <"$tmp/place")" ]; then
      replace "$place" <"$before"
    elif [ "$place" = $DROPIN ] || { [ ! -f "$before" ] && [ -z "$(meaning <"$tmp/place")" ]; }; then
      replace "$place" </dev/null
    else
      replace "$place" <"$tmp/place"
    fi
  done
}

healthz() {
  url=http://127.0.0.1:10248/healthz
  [ "$(if has curl; then curl -fsS --noproxy '*' -m 2 $url; else wget -q -T 2 -O - $url; fi 2>/dev/null)" = ok ]
}

# Healthy; or up for ten seconds, if its health could not be read before either.
up() {
  i=0 n=0
  while [ $i -lt 60 ]; do
    i=$((i + 1)) n=$((n + 1))
    sleep 1
    systemctl is-active --quiet kubelet || n=0
    if [ $n -gt 0 ] && healthz; then return; fi
    if [ $n -ge 10 ] && [ -z "$probe" ]; then return; fi
  done
  return 1
}

release_kubelet() {
  mkdir "$tmp/was"
  { recorded flags; echo "$kconf"; } | while read -r path; do
    if [ -f "$R$path" ]; then
      mkdir -p "$tmp/was${path%/*}"
      cp -p "$R$path" "$tmp/was$path"
    fi
  done
  running='' probe=''
  if [ -n "$live" ] && systemctl is-active --quiet kubelet; then running=1; fi
  if [ -n "$running" ] && healthz; then probe=1; fi
  if [ -n "$keep_flags" ]; then replace "$kconf" <"$tmp/kconf"; else take_flags; fi
  written | missed >"$tmp/missed"
  if [ -s "$tmp/missed" ]; then
    put_back
    still_flagged
  fi
  [ -z "$live" ] || systemctl daemon-reload
  if [ -n "$running" ]; then
    if systemctl restart kubelet && up; then
      given | missed >"$tmp/missed"
      [ -s "$tmp/missed" ] || return 0
      put_back
      systemctl restart kubelet || :
      still_flagged
    fi
    put_back
    systemctl restart kubelet || :
    die 'the kubelet is not healthy without the provider; its settings were put back. See journalctl -u kubelet'
  fi
}

put_back() {
  (cd "$tmp/was" && find . -type f) | while read -r path; do cp -p "$tmp/was/$path" "$R/$path.new"; mv -f "$R/$path.new" "$R/$path"; label "/$path"; done
  [ -z "$live" ] || systemctl daemon-reload
}

still_flagged() {
  die "the kubelet would not start again without $(sort -u "$tmp/missed" | paste -sd ' ' -); its settings were put back." \
    "Change the flags or providers that others have set first: $(paste -sd ' ' "$tmp/left")"
}

# --- everything else ---

remove() {
  rm -f "$R$1.new"
  if was "$1"; then
    cp -pP "$R$STATE/original$1" "$R$1.new"
    # Root runs it, so no other user may write it, whatever was recorded.
    case $1 in */$NAME) [ -L "$R$1.new" ] || chmod go-w "$R$1.new" ;; esac
    mv -f "$R$1.new" "$R$1"
    label "$1"
  else
    rm -f "$R$1"
  fi
  rm -f "$R$1.new"
}

# Removes our entry from configurations that the kubelet had before.
leave_others() {
  recorded providers | grep -vxF "$kconf" | while read -r path; do
    if [ ! -f "$R$path" ] || ! without_entry "$R$path" >"$tmp/kconf"; then continue; fi
    if was "$path" && [ "$(without_entry "$R$STATE/original$path")" = "$(cat "$tmp/kconf")" ]; then
      replace "$path" <"$R$STATE/original$path"
    elif has_provider; then
      replace "$path" <"$tmp/kconf"
    else
      replace "$path" </dev/null
    fi
  done
}

# A configuration that was edited stays, under another name.
keep_edited() {
  [ -f "$R$CONF" ] && recorded written | grep -q . || return 0
  if was $CONF && cmp -s "$R$CONF" "$R$STATE/original$CONF"; then return; fi
  if ! recorded written | grep -qx "$(sha256sum <"$R$CONF" | cut -d' ' -f1)"; then
    mv -f "$R$CONF" "$R$CONF.edited"
    echo "$CONF was changed after install.sh had written it; that is kept as $CONF.edited"
  fi
}

main() {
  parse "$@"
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  trap 'exit 1' HUP INT TERM
  decide
  release_kubelet
  if [ -L "$R$TIMER" ]; then
    [ -z "$live" ] || systemctl stop "$NAME-refresh.timer" || :
    rm -f "$R$TIMER"
  fi
  if [ -n "$kconf" ] && [ -f "$R$kconf" ]; then replace "$kconf" <"$tmp/kconf"; fi
  leave_others
  # Of an installation that was killed.
  { recorded providers; recorded flags; } | while read -r path; do rm -f "$R$path.new"; done
  keep_edited
  recorded file | grep -v "/$NAME\$" | while read -r path; do remove "$path"; done
  recorded file | grep "/$NAME\$" | while read -r path; do
    rm -f "$R$path.prev"
    remove "$path"
  done
  recorded dir | sort -ru | while read -r path; do rmdir "$R$path" 2>/dev/null || :; done
  [ -z "$live" ] || systemctl daemon-reload
  rm -f "$R$STATE/record"
  rm -rf "$R$STATE"
  echo 'uninstalled'
}

main "$@"
