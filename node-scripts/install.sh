#!/bin/sh
# Installs aliyun-acr-credential-provider on a node and makes its kubelet use it. Run it as root.
#
#   install.sh (--binary FILE | --url URL) --sha256 HEX [option...]
#     --config FILE         the program's configuration; default: the one that is there, if any
#     --match-images LIST   comma-separated; default: ACR's hosts and the configuration's domains
#     --bin-dir DIR         for the binary, if the kubelet does not have such a folder yet
#     --kubelet-version V   such as 1.30, if the kubelet cannot be asked
#     --refresh-timer       a systemd timer that renews logins before they end
#     --dry-run             only shows what would change
#     --root DIR            works on the tree in DIR and restarts nothing
#     --restart             with --root: the tree is that of the running system, so restart
#
# A second run changes nothing. If a run was killed, run it again.
set -eu
umask 077

NAME=aliyun-acr-credential-provider
CONF=/etc/$NAME/config.yaml
STATE=/var/lib/$NAME
ACK=/etc/kubernetes/kubelet-customized-args.conf
DROPIN=/etc/systemd/system/kubelet.service.d/99-$NAME.conf
UNITS=/etc/systemd/system
LINK=$UNITS/timers.target.wants/$NAME-refresh.timer
FLAG=--image-credential-provider
GATE=--feature-gates=KubeletCredentialProviders=true

die() { echo "error: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
sum() { sha256sum <"$1" | cut -d' ' -f1; }
is_json() { case $(tr -d '[:space:]' <"$1") in '{'*) ;; *) return 1 ;; esac; }
mode() { stat -c %a "$1" 2>/dev/null; }
# fetch SECONDS URL [FILE]: into a file, so that a second try does not follow the rest of the first.
fetch() { if has curl; then curl -fsSL --retry 3 -m "$1" -o "${3:--}" "$2"; else wget -q -T "$1" -O "${3:--}" "$2"; fi; }

parse() {
  binary='' url='' sha256='' config='' match_images='' kubelet_version='' root=''
  bin_dir=/opt/$NAME/bin timer='' dry='' live=''
  while [ $# -gt 0 ]; do
    case $1 in
    --refresh-timer) timer=1 ;;
    --dry-run) dry=1 ;;
    --restart) live=1 ;;
    --binary | --url | --sha256 | --config | --match-images | --bin-dir | --kubelet-version | --root)
      [ -n "${2:-}" ] || die "$1 needs a value"
      eval "$(echo "${1#--}" | tr - _)=\$2"
      shift
      ;;
    -h | --help) sed -n '1d; /^#/!q; s/^# \{0,1\}//p' "$0"; exit ;;
    *) die "unknown option '$1'; see --help" ;;
    esac
    shift
  done
  for f in "$binary" "$config"; do [ -z "$f" ] || [ -r "$f" ] || die "cannot read $f"; done
  case $binary,$url in , | ?*,?*) die 'give --binary FILE or --url URL' ;; esac
  sha256=$(echo "$sha256" | tr A-F a-f)
  case $sha256 in *[!0-9a-f]*) sha256='' ;; esac
  [ ${#sha256} = 64 ] || die 'give --sha256 with the 64 hexadecimal digits of the binary'
  R=''
  if [ -n "$root" ]; then
    R=$(cd "$root" && pwd -P)
    R=${R%/}
  else
    live=1
    [ "$(id -u)" = 0 ] || die 'run this as root'
  fi
  # Only one run at a time. The lock ends with this process.
  d=$R/var/lib
  [ -d "$d" ] || d=$R/
  exec 9<"$d"
  ! has flock || flock -n 9 || die 'another run is in progress; wait for it'
  [ -z "$live" ] || has systemctl || die 'systemctl is not installed; --root / writes the files and leaves the restart to you'
  U=$R$STATE/undo
  [ ! -f "$R$STATE/undo.json" ] || die "$NAME setup install has set this node up; use that again"
}

# --- what the kubelet has ---

# Its unit and the drop-ins, in the order in which systemd reads them.
unit_files() {
  set -- $UNITS /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system
  for d; do
    if [ -f "$R$d/kubelet.service" ]; then echo "$d/kubelet.service"; break; fi
  done
  for d; do
    for f in "$R$d"/kubelet.service.d/*.conf; do [ ! -f "$f" ] || echo "${f##*/} ${f#"$R"}"; done
  done | awk '!seen[$1]++' | sort | cut -d' ' -f2-
}

# Any process can have this name, and its arguments decide which files root runs and writes. So it must
# belong to root or to this user, and must not run in a container or a pod.
is_kubelet() {
  [ "$(cat "$1/comm" 2>/dev/null)" = kubelet ] || return 1
  case $(stat -c %u "$1" 2>/dev/null) in 0 | "$(id -u)") ;; *) return 1 ;; esac
  ! grep -qsE '^NSpid:.*[0-9][[:space:]]+[0-9]|kubepods' "$1/status" "$1/cgroup"
}

running_args() {
  for p in "$R"/proc/[0-9]*; do
    if is_kubelet "$p"; then tr '\0' ' ' <"$p/cmdline"; fi
  done
}

# The program's configuration without comments. A comment can also end in a quoted text.
settings() { [ ! -f "$conf" ] || sed '/^ *#/d; s/[[:space:]]#[^\\]*//g' "$conf"; }

values() { f=$1; shift; grep -ohE -e "${f}[= ]+[^ \"']+" "$@" | sed 's/^[^= ]*[= ]*//' | sort -u; }

# The kubelet's value of a flag, or nothing.
flag_value() {
  v=$(values "$1" "$tmp/written" "$tmp/pinned")
  now=$(values "$1" "$tmp/running" | tail -n 1)
  case $v in
  *"
"*) v=$now; [ -n "$v" ] || die "$1 is set to several values; leave one" ;;
  # Set in an unknown place, unless this script set it and something rewrote the file.
  '') grep -qsxF "flag $1=$now" "$R$STATE/record" || v=$now ;;
  esac
  echo "${v%/}"
}

# A flag that nothing sets, or that only our drop-in sets.
unset_elsewhere() { [ -z "$v" ] || { grep -q -e "$1" "$tmp/pinned" && ! grep -q -e "$1" "$tmp/written"; }; }

look() {
  # Our drop-in may hold an old copy of the command line.
  pinned=$(grep -s '^ExecStart=.' "$R$DROPIN") || :
  echo "$pinned" >"$tmp/pinned"
  unit_files | grep -vxF "${pinned:+$DROPIN}" >"$tmp/units" || :
  while read -r f; do sed '/^[[:space:]]*[#;]/d; s/[[:space:]]/ /g; s/^ *\([A-Za-z]*\) *= */\1=/' "$R$f"; done <"$tmp/units" >"$tmp/unit"
  sed -n 's/^EnvironmentFile=-\{0,1\}//p' "$tmp/unit" >"$tmp/envfiles"
  exec_start=$(awk '{ l = l $0 } sub(/[ \t]*\\$/, " ", l) { next } sub(/^ExecStart=/, "", l) { e = l } { l = "" } END { print e }' "$tmp/unit")
  {
    grep -v '^ExecStart=' "$tmp/unit" || :
    echo "$exec_start"
    for f in $(cat "$tmp/envfiles") $ACK; do [ ! -f "$R$f" ] || sed '/^[[:space:]]*#/d; s/[[:space:]]/ /g' "$R$f"; done
  } >"$tmp/written"
  running_args >"$tmp/running"

  # A tree for another machine has another kubelet than this one.
  for k in ${exec_start:+"$R${exec_start%% *}"} ${live:+kubelet}; do
    [ -n "$kubelet_version" ] || ! has "$k" || kubelet_version=$("$k" --version) || :
  done
  minor=$(echo "$kubelet_version" | sed -n 's/^[^0-9]*1\.\([0-9]*\).*/\1/p')
  [ -n "$minor" ] || die 'cannot ask the kubelet for its version; give --kubelet-version'
  [ "$minor" -ge 20 ] || die "kubelet 1.$minor has no credential providers; 1.20 is the first"
  api=v1
  [ "$minor" -ge 26 ] || api=v1beta1
  [ "$minor" -ge 24 ] || api=v1alpha1

  add=''
  v=$(flag_value $FLAG-config)
  kconf=${v:-/etc/kubernetes/credential-provider-config.yaml}
  ! unset_elsewhere $FLAG-config || add=$FLAG-config=$kconf
  v=$(flag_value $FLAG-bin-dir)
  if [ -n "$v" ] && [ "$v" != "$bin_dir" ]; then
    echo "using the kubelet's own bin-dir $v"
    bin_dir=$v
  fi
  ! unset_elsewhere $FLAG-bin-dir || add="$add $FLAG-bin-dir=$bin_dir"
  # The gate ended with 1.25. The kubelet adds up flags that are given twice.
  case $api,$(cat "$tmp/written") in
  v1,* | *KubeletCredentialProviders=[1tT]*) ;;
  *KubeletCredentialProviders=*) die 'the feature gate KubeletCredentialProviders is set to false; remove that' ;;
  v1alpha1,*) add="$add $GATE" ;;
  esac
  # A kubelet that does not know the gate does not start: a gate that we set is removed.
  gone=''
  [ "$minor" -lt 24 ] || ! grep -qsxF "flag $GATE" "$R$STATE/record" || ! grep -qE -e "$GATE([ \"']|\$)" "$tmp/written" || gone=$GATE
  add=${add# }
  case $kconf,$bin_dir in /*,/*) ;; *) die "not an absolute path: $kconf or $bin_dir" ;; esac
  case $kconf$bin_dir in *[!A-Za-z0-9._/+@:-]*) die "$kconf or $bin_dir has characters that the kubelet's arguments cannot have" ;; esac
  grep -rhsv '^ *#' "$R$kconf" >"$tmp/there" || :
  if [ -d "$R$kconf" ]; then
    v=$(grep -lsE "name[\"']? *: *[\"']?$NAME([\"', }]|\$)" "$R$kconf"/*.yaml "$R$kconf"/*.yml "$R$kconf"/*.json | head -n 1)
    v=${v##*/}
    kconf=$kconf/${v:-$NAME.yaml}
  fi
}

# --- the new files ---

record() {
  echo "$1 $2" >>"$tmp/record"
  p=${2%/*}
  while [ ! -d "$R$p/" ]; do echo "dir $p"; p=${p%/*}; done >>"$tmp/record"
}

# want KIND PATH [MODE]: plans a file with stdin as its content.
want() {
  [ ! -L "$R$2" ] || die "$2 is a symbolic link; put a file in its place"
  mkdir -p "$tmp/new${2%/*}"
  cat >"$tmp/new$2"
  m=${3:-$(mode "$R$2" || echo 644)}
  [ -n "${3:-}" ] || [ ! -f "$R$2" ] || chown "$(stat -c %u:%g "$R$2")" "$tmp/new$2" || :
  if [ "$(mode "$R$2")" = "$m" ] && [ "$(sum "$R$2")" = "$(sum "$tmp/new$2")" ]; then return; fi
  echo "$m $2" >>"$tmp/plan"
  record "$1" "$2"
}

images() {
  if [ -n "$match_images" ]; then echo "$match_images" | tr , '\n'; return; fi
  printf '%s\n' '*.*.cr.aliyuncs.com' '*.distributed.*.cr.aliyuncs.com' 'registry*.*.aliyuncs.com'
  settings | grep -oE "domains[\"\\]*: *[\"'\\]*[^\"'\\#}]*" | sed 's/^[^:]*: *//' | tr -d " \"'\\\\" |
    tr , '\n' | grep -E '^[A-Za-z0-9.-]+\.[A-Za-z0-9-]+(:[0-9]+)?$' |
    own_hosts | awk '!seen[$0]++' || :
}

# Hosts that the patterns above do not cover.
own_hosts() { grep -vE '^([^.:]+(\.distributed)?\.[^.:]+\.cr|registry[^.:]*\.[^.:]+)\.aliyuncs\.com$'; }

entry() {
  printf '%s\n' "name: $NAME" "apiVersion: credentialprovider.kubelet.k8s.io/$api" matchImages:
  sed 's/.*/  - "&"/' "$tmp/images"
  echo 'defaultCacheDuration: 0s'
}

# A CredentialProviderConfig in JSON with $2 as our provider, or without ours if $2 is empty. Its place,
# its other settings and everything else stay the same. uninstall.sh has the same function.
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

# Puts our entry into a CredentialProviderConfig in block YAML. It replaces an entry of that name, but
# keeps the settings that this script does not write. Refuses every other form.
merge() {
  awk -v name=$NAME -v entry="$tmp/entry" '
  function no(why) { print "line " NR ": " why; exit failed = 1 }
  BEGIN { made = "^(name|apiVersion|matchImages|defaultCacheDuration)$" }
  function pad(n, s) { s = ""; while (n-- > 0) s = s " "; return s }
  function ours(i, k) {
    printf "%s-%s", pad(I), pad(k - I - 1)
    for (s = ""; (getline t < entry) > 0; s = pad(k)) print s t
    if (mine) for (i = first[n = mine]; i <= last[n]; i++) if (i in keep) print keep[i]
  }
  { line[NR] = $0; match($0, /[^ ]|$/); ind = RSTART - 1; text = substr($0, RSTART) }
  /\r|^ *\t/ { no("tab or carriage return") }
  text ~ /^(#|$)/ || NR == 1 && text == "---" { if (key !~ made) keep[NR] = $0; next }
  /^(apiVersion: *"?kubelet\.config\.k8s\.io\/v1|kind: *"?CredentialProviderConfig)/ { head++; in_list = 0; next }
  /^providers: *(#.*)?$/ { head++; in_list = 1; I = -1; next }
  !in_list { no("not understood") }
  I < 0 { I = ind }
  ind == I {
    if (text !~ /^- +[A-Za-z]+:/) no("not in block style")
    match(text, /^- +/); ind = col[++n] = I + RLENGTH; text = substr(text, RLENGTH + 1); first[n] = NR
  }
  ind < col[n] { no("indentation") }
  ind == col[n] && text !~ /^- / {
    if (text !~ /^[A-Za-z]+:/) no("not understood")
    key = value = text; sub(/:.*/, "", key); sub(/^name: */, "", value); sub(/ *( #.*)?$/, "", value); gsub(/["\047]/, "", value)
    if (key == "name" && value == name) { if (mine) no(name " is there twice"); mine = n }
  }
  { last[n] = NR; if (key !~ made) keep[NR] = pad(ind) text }
  END {
    if (failed) exit 1
    if (!n || head != 3) no("not a CredentialProviderConfig with a list of providers")
    for (i = 1; i <= NR; i++) {
      if (!mine || i < first[mine] || i > last[mine]) print line[i]
      if (mine ? i == first[mine] : i == last[n]) ours(i, col[mine ? mine : n])
    }
  }' "$1"
}

# Finds the place of flags on this node, and changes nothing else there.
flags() {
  var=''
  for v in EXTRA CUSTOMIZED; do ! echo "$exec_start" | grep -qE "KUBELET_${v}_ARGS([^A-Z_]|\$)" || var=KUBELET_${v}_ARGS; done
  [ -s "$tmp/units" ] || [ ! -f "$R$ACK" ] || var=KUBELET_CUSTOMIZED_ARGS
  place=''
  # The last setting wins. An environment file wins over all drop-ins.
  [ -z "$var" ] || {
    while read -r f; do ! grep -qE "^ *Environment *=(.*[ \"'])?$var=" "$R$f" || place=$f; done <"$tmp/units"
    while read -r f; do ! grep -qsE "^[[:space:]]*$var=" "$R$f" || place=$f; done <"$tmp/envfiles"
  }
  if [ -z "$place" ]; then
    place=$(grep -E '/(default|sysconfig)/kubelet$' "$tmp/envfiles" | tail -n 1)
    [ "$var" != KUBELET_CUSTOMIZED_ARGS ] || place=$ACK
  fi
  place=${place:-$DROPIN}
  [ -z "$pinned" ] || var=''
  true >"$tmp/old"
  if [ -z "$var" ]; then
    case $exec_start in
    */kubelet | */kubelet\ *) ;;
    *) die "found no kubelet.service that runs a kubelet; add to its command line by hand: $add" ;;
    esac
    place=$DROPIN
    printf '%s\n' '[Service]' ExecStart= "ExecStart=$exec_start${add:+ $add}" >"$tmp/flags"
  elif [ "$place" = $DROPIN ] && [ ! -f "$R$place" ]; then
    printf '%s\n' '[Service]' "Environment=\"$var=$add\"" >"$tmp/flags"
  else
    [ ! -f "$R$place" ] || cp "$R$place" "$tmp/old"
    awk -v var="$var" -v add="$add" -v gone="$gone" '
    $0 !~ /^[ \t]*[#;]/ && match($0, var "=") {
      n++
      head = substr($0, 1, RSTART - 1); value = substr($0, RSTART + RLENGTH); sub(/[ \t]+$/, "", value)
      q = "\""
      if (head ~ /["\047]$/) { q = substr(head, length(head)); head = substr(head, 1, length(head) - 1); value = q value }
      else if (head == "" && value !~ /^["\047]/ || value !~ /["\047 ]/) value = q value q
      else q = substr(value, 1, 1)
      inner = substr(value, 2, length(value) - 2)
      if (head !~ /^(Environment=)?$/ || value !~ (q "$") || length(value) < 2 || inner ~ /["\047\\]/) { n = 2; exit }
      if (gone != "" && sub(gone "( |$)", "", inner)) sub(/ $/, "", inner)
      print (head == "" ? var "=" q : head q var "=") inner (inner == "" || add == "" ? "" : " ") add q
      next
    }
    { print }
    END { if (!n) print var "=\"" add "\""; exit n > 1 }' "$tmp/old" >"$tmp/flags" ||
      die "cannot read $var in $place safely; add to it by hand: $add"
  fi
  want flags "$place" <"$tmp/flags"
  ! grep -q " $place\$" "$tmp/plan" || for f in $add; do echo "flag $f"; done >>"$tmp/record"
}

timer() {
  [ -L "$R$LINK" ] || record file $LINK
  v=$(settings | grep -oE "cacheDir[\"'\\]*: *[\"'\\]*/[^\"'\\ ,}#]*" | sed 's/^[^/]*/-/; s/%/%%/g') || :
  want file $UNITS/$NAME-refresh.service <<END
[Unit]
Description=Renew ACR logins before they end
[Service]
Type=oneshot
ExecStart=$bin_dir/$NAME refresh
RuntimeDirectory=$NAME
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
ReadWritePaths=$v
ProtectSystem=strict
ProtectHome=read-only
NoNewPrivileges=yes
END
  want file $UNITS/$NAME-refresh.timer <<END
[Unit]
Description=Renew ACR logins before they end
[Timer]
OnBootSec=5min
OnUnitActiveSec=5min
RandomizedDelaySec=2min
[Install]
WantedBy=timers.target
END
}

plan() {
  true >"$tmp/plan"
  true >"$tmp/record"
  [ "$(sum "$R$bin_dir/$NAME" 2>/dev/null)" = "$sha256" ] || swap=1
  [ -z "$swap" ] || [ ! -L "$R$bin_dir/$NAME" ] || die "$bin_dir/$NAME is a symbolic link; put a file in its place"
  [ -z "$swap" ] || { record file "$bin_dir/$NAME"; echo "sha256 $sha256" >>"$tmp/record"; }
  conf=$R$CONF
  if [ -n "$config" ]; then
    want file $CONF 600 <"$config"
    conf=$tmp/new$CONF
    ! grep -qx "file $CONF" "$tmp/record" || echo "written $(sum "$conf")" >>"$tmp/record"
  fi
  images >"$tmp/images"
  ! grep -nvE '^[A-Za-z0-9.*_-]([A-Za-z0-9.*_-]|\[[A-Za-z0-9-]+])*(:[0-9]+)?(/[A-Za-z0-9._/-]*)?$' "$tmp/images" ||
    die 'that is not a pattern for an image, which is a host with * in it, a port, the beginning of a path'
  entry >"$tmp/entry"
  # A file for pods' tokens: with wider patterns the node's login would pull the pods' images.
  if [ -z "$match_images" ] && grep -q tokenAttributes "$tmp/there" && grep -q $NAME "$tmp/there"; then
    echo "$kconf is for tokens of pods and stays the same; for other hosts, render it again"
  else
    providers
  fi
  if ! grep -q tokenAttributes "$tmp/there" && settings | grep -qE "podIdentity[\"'\\]*: *[\"'\\]*required"; then
    cat >&2 <<END
warning: podIdentity is required, but with $kconf the kubelet sends no tokens: pulls will fail. Replace it by the output of
  $bin_dir/$NAME render kubelet-config --service-accounts --kubelet-version 1.$minor
run ln -s $NAME $bin_dir/$NAME-pods and restart the kubelet
END
  fi
  [ -z "$timer" ] || timer
  [ -z "$add$pinned$gone" ] || flags
}

# Plans the kubelet's file with our entry.
providers() {
  if [ -f "$R$kconf" ]; then
    if is_json "$R$kconf"; then
      json "$R$kconf" "$(awk '
        { sub(/: /, "\": \""); v[NR] = "\"" $0 "\"" }
        $1 == "-" { l = l (l == "" ? "" : ", ") $2 }
        END { print v[1] ", " v[2] ", \"matchImages\": [" l "], " v[NR] }' "$tmp/entry")" >"$tmp/kconf"
    else
      merge "$R$kconf" >"$tmp/kconf"
    fi || {
      tail -n 1 "$tmp/kconf" | sed 's/\(not JSON\).*/\1/' >&2
      cat "$tmp/entry" >&2
      die "cannot merge into $kconf safely; add the provider above to it by hand and run this again"
    }
  else
    { echo "apiVersion: kubelet.config.k8s.io/$api"; echo 'kind: CredentialProviderConfig'; echo providers:
      sed 's/^/    /; 1s/^   /  -/' "$tmp/entry"; } >"$tmp/kconf"
  fi
  want providers "$kconf" <"$tmp/kconf"
}

# Prints a file without secrets. A secret may also be below its key or start in the next line.
mask() {
  awk '/^[ \t]*$/ { print; next } { gsub(/\/\/[^\/ ]*@/, "//***@"); match($0, /[^ -]|$/) } next_line || hide && RSTART > hide { next_line = 0; print "***"; next } { hide = 0; at = RSTART }
    match(tolower($0), /customaccesskey(secret)?|((access[-_ ]?key|secret|passw)[a-z0-9_]*|token|value)["\047\\]* *[:=]/) {
      if ($0 !~ /^[ \t]*#/) hide = at
      next_line = substr($0, RSTART + RLENGTH) ~ /^["\047\\]* *:? *[>|+-]* *$/
      $0 = substr($0, 1, RSTART + RLENGTH - 1) " ***"
    }
    { print }' "$1"
}

show() {
  [ ! -f "$U/list" ] || echo 'would complete a run that was killed'
  [ -z "$swap" ] || echo "would install $bin_dir/$NAME (SHA-256 $sha256)"
  while read -r m path; do
    echo "would write $path (mode $m)"
    f=$R$path
    [ -f "$f" ] || f=/dev/null
    mask "$f" >"$tmp/a"
    mask "$tmp/new$path" >"$tmp/b"
    if ! has diff; then cat "$tmp/b"; elif diff -u -L "$path" -L "$path" "$tmp/a" "$tmp/b"; then echo '(only masked values differ)'; fi
  done <"$tmp/plan"
}

# --- the changes ---

# These files are only replaced by rename, so a link is a copy that needs no space.
twin() { rm -f "$2"; ln "$1" "$2" 2>/dev/null || cp -p "$1" "$2"; }

# Keeps the file at a path until this run, or the one after a killed run, has succeeded.
save() {
  ! grep -qxF "file $1" "$U/list" || return 0
  if [ -f "$R$1" ]; then
    mkdir -p "$U/tree${1%/*}"
    twin "$R$1" "$U/tree$1"
  fi
  echo "file $1" >>"$U/list"
}

label() { [ -n "$R" ] || ! has restorecon || restorecon "$1" || :; }

# put FILE PATH MODE
put() {
  save "$2"
  (umask 022; mkdir -p "$R${2%/*}")
  case $(cd "$R${2%/*}" && pwd -P)/ in "$R"/*) ;; *) die "$2 leads out of $R" ;; esac
  [ "$1" = "$R$2.new" ] || cp -p "$1" "$R$2.new"
  chmod "$3" "$R$2.new"
  mv -f "$R$2.new" "$R$2"
  label "$2"
}

# Puts the binary beside its target, and checks that it runs here and accepts the configuration.
stage() {
  new=$R$bin_dir/$NAME
  if [ -n "$swap" ]; then
    new=$new.new
    v=$({ (umask 022; mkdir -p "$R$bin_dir") && true >"$new"; } 2>&1) ||
      die "cannot write to $bin_dir, where the kubelet looks for providers; make it writable, or change the kubelet's $FLAG-bin-dir ($v)"
    if [ -n "$binary" ]; then cat "$binary" >"$new"; else fetch 600 "$url" "$new"; fi || die "cannot get $binary$url"
    v=$(sum "$new")
    [ "$v" = "$sha256" ] || die "$binary$url has SHA-256 $v, not $sha256; it is not installed"
    case $(uname -m)$(od -An -tx1 -j18 -N2 "$new") in 'x86_64 3e 00' | 'aarch64 b7 00') ;; *)
      die "the binary is not for this machine ($(uname -m))" ;;
    esac
    chmod 755 "$new"
  fi
  "$new" --version || die "the binary does not run in $bin_dir; is that mounted noexec?"
  [ ! -f "$conf" ] || "$new" --config "$conf" doctor --config-only || die 'the configuration is not valid; nothing was changed'
  # Hosts in a form that only the program reads. The kubelet would never call it for them.
  v=''
  [ ! -f "$conf" ] || [ -n "$match_images" ] ||
    v=$("$new" --config "$conf" render kubelet-config | sed -n 's/^ *- "\(.*\)"$/\1/p' | own_hosts | grep -vxF -f "$tmp/images") || :
  [ -z "$v" ] || die "write these hosts into one line of the configuration's domains, or give --match-images:" "$v"
}

healthz() { [ "$(fetch 2 http://127.0.0.1:10248/healthz 2>/dev/null)" = ok ]; }

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

restart() {
  systemctl daemon-reload
  if [ -f "$U/restart" ] && [ -n "$running" ]; then
    true >"$U/restarted"
    systemctl restart kubelet
    up || die 'the kubelet is not healthy after its restart; see journalctl -u kubelet'
    v=$(running_args)
    case $v in '' | *$FLAG-config*) ;; *) die "the kubelet runs without the flags; its unit does not read ${place:-them}" ;; esac
  elif [ -f "$U/restart" ]; then
    echo 'the kubelet is not running; it takes the flags when it starts'
  fi
  [ -z "$timer" ] || systemctl restart $NAME-refresh.timer
}

apply() {
  changing=1
  mkdir -p "$U"
  grep '^dir ' "$tmp/record" | sort -u >>"$U/list" || :
  grep -v '^dir ' "$tmp/record" | while read -r kind path; do
    if [ -f "$R$path" ] && ! grep -qsxF "$kind $path" "$R$STATE/record"; then
      put "$R$path" "$STATE/original$path" "$(mode "$R$path")"
    fi
  done
  cat "$R$STATE/record" "$tmp/record" 2>/dev/null |
    awk '/^sha256 / { sum = $0; next } !seen[$0]++ { print } END { if (sum) print sum }' >"$tmp/all"
  put "$tmp/all" $STATE/record 600
  stage
  if [ -n "$swap" ]; then
    path=$bin_dir/$NAME
    if [ -f "$R$path" ]; then save "$path.prev"; twin "$R$path" "$R$path.prev"; fi
    put "$new" "$path" 755
  fi
  while read -r m path; do
    case $path in "$kconf" | "${place:-}") true >"$U/restart" ;; esac
    put "$tmp/new$path" "$path" "$m"
  done <"$tmp/plan"
  # Its folder may be older, and others may write to it.
  [ ! -f "$R$CONF" ] || v=$("$R$bin_dir/$NAME" --config "$R$CONF" doctor --config-only 2>&1) || die "$v"
  if [ -n "$timer" ] && [ ! -L "$R$LINK" ]; then
    save $LINK
    (umask 022; mkdir -p "$R${LINK%/*}")
    ln -sf $UNITS/$NAME-refresh.timer "$R$LINK"
  fi
  [ -z "$live" ] || restart
  sync
  rm -f "$U/list"
  rm -rf "$U" || :
}

undo() {
  echo 'putting back what was there' >&2
  [ ! -f "$U/list" ] || sed '1!G; h; $!d' "$U/list" | while read -r kind path; do
    if [ "$kind" = dir ]; then rmdir "$R$path"
    elif [ -f "$U/tree$path" ]; then
      twin "$U/tree$path" "$R$path.new"
      mv -f "$R$path.new" "$R$path"
      rm -f "$R$path.new"
      label "$path"
    else
      rm -f "$R$path"
    fi
  done 2>/dev/null
  if [ -f "$U/restarted" ]; then
    systemctl daemon-reload
    systemctl restart kubelet
    up && echo 'the kubelet is healthy again' >&2
  fi
  rm -rf "$U"
  [ -f "$R$STATE/record" ] || rm -rf "$R$STATE"
}

finish() {
  code=$?
  trap - EXIT
  set +e
  if [ -n "$changing" ]; then
    rm -f "$R$bin_dir/$NAME.new"
    while read -r _ path; do rm -f "$R$path.new"; done <"$tmp/plan"
    [ $code = 0 ] || undo
  fi
  rm -rf "$tmp"
  exit $code
}

main() {
  parse "$@"
  changing='' swap='' running='' probe='' place=''
  no_proxy=127.0.0.1${no_proxy:+,$no_proxy}
  export no_proxy
  tmp=$(mktemp -d)
  trap finish EXIT
  trap 'exit 1' HUP INT TERM
  look
  plan
  # Left by a run that was killed at its end.
  [ -n "$dry" ] || [ -f "$U/list" ] || rm -rf "$U"
  if [ ! -s "$tmp/record" ] && [ ! -f "$U/list" ]; then
    v=$(cat "$tmp/running")
    [ -z "$live" ] || case $v in '' | *$FLAG-config*) ;; *)
      die 'the kubelet runs without the flags in its files; restart it, and see which files its unit reads' ;;
    esac
    echo 'all is in place; nothing to do'
  elif [ -n "$dry" ]; then
    show
  else
    if [ -n "$live" ]; then
      if systemctl is-active --quiet kubelet || [ -f "$U/restart" ]; then running=1; fi
      ! healthz || probe=1
    fi
    apply
    echo 'installed'
  fi
}

main "$@"
