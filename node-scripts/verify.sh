#!/bin/sh
# Says whether this node can pull: a line for each thing that a pull needs, which begins with `ok`,
# or with FAILED and says what is wrong and what to do. `warn` is for what works and should be seen
# to. Run it as root: others do not see everything, and it fails for that.
#
#   verify.sh [option...]
#     --image IMAGE   the image to ask for; else each host that the configuration names
#     --oss HOST      the bucket of the registry's layers, where routing rules replace its own host
#     --root DIR      the files and processes of a tree, for tests
#
# It changes nothing. The program, asked for a login as the kubelet asks it, keeps it in its cache.
#
# Exit codes: 0 all is well, 1 something FAILED, 2 usage.
set -eu
umask 077

NAME=aliyun-acr-credential-provider
CONF=/etc/$NAME/config.yaml
STATE=/var/lib/$NAME
UNITS=/etc/systemd/system
LINK=$UNITS/timers.target.wants/$NAME-refresh.timer
FLAG=--image-credential-provider
API=credentialprovider.kubelet.k8s.io

has() { command -v "$1" >/dev/null 2>&1; }
is_json() { case $(tr -d '[:space:]' <"$1") in '{'*) ;; *) return 1 ;; esac; }
misuse() { echo "error: $*; the head of this script lists the options" >&2; exit 2; }
ok() { printf 'ok      %s: %s\n' "$1" "$2"; }
warn() { printf 'warn    %s: %s%s\n' "$1" "$2" "${3:+; do: $3}"; }
failed() { bad=1; printf 'FAILED  %s: %s; do: %s\n' "$1" "$2" "$3"; }

parse() {
  R='' image='' oss=auto
  while [ $# -gt 0 ]; do
    case $1 in --image | --oss | --root) [ -n "${2:-}" ] || misuse "$1 needs a value" ;; esac
    case $1 in
    --image) image=$2 ;;
    --oss) oss=$2 ;;
    --root) R=$(cd "$2" && pwd -P) || misuse "--root $2 is not a folder"; R=${R%/} ;;
    *) misuse "unknown option '$1'" ;;
    esac
    shift 2
  done
  case $image in *[!A-Za-z0-9._:/@-]*) misuse "'$image' is not an image" ;; esac
}

recorded() { sed -n "s/^$1 //p" "$R$STATE/record" 2>/dev/null || :; }

# --- the kubelet ---

# Any process can have this name, and its arguments decide which files root runs and writes. So it must
# belong to root or to this user, and must not run in a container or a pod.
is_kubelet() {
  [ "$(cat "$1/comm" 2>/dev/null)" = kubelet ] || return 1
  case $(stat -c %u "$1" 2>/dev/null) in 0 | "$(id -u)") ;; *) return 1 ;; esac
  ! grep -qsE '^NSpid:.*[0-9][[:space:]]+[0-9]|kubepods' "$1/status" "$1/cgroup"
}

# The value of a flag of the running kubelet; the last one counts.
flag() {
  printf '%s\n' "$arguments" | awk -v name="$1" '
    next_is { value = $0; next_is = 0; next }
    $0 == name { next_is = 1 }
    index($0, name "=") == 1 { value = substr($0, length(name) + 2) }
    END { print value }'
}

# Our provider in the kubelet's configuration: lines with api, arg and env, and `unread` for a form that
# is not read here.
entry() {
  if is_json "$1"; then entry_of_json "$1"; else tr -d '\r' <"$1" | entry_of_yaml; fi >"$tmp/entry"
  if [ -s "$tmp/entry" ]; then cat "$tmp/entry"; elif grep -v '^ *#' "$1" | grep -qE "name.*$NAME([^A-Za-z0-9-]|\$)"; then echo unread; fi
}

entry_of_json() {
  awk -v name="\"$NAME\"" '
  function plain(s) {
    s = substr(s, 2, length(s) - 2)
    if (s ~ /\\/) said = said "unread\n"
    return s
  }
  { s = s $0 "\n" }
  END {
    for (; match(s, /^([ \t\r\n]+|"([^"\\]|\\.)*"|[][{}:,]|[-+.A-Za-z0-9]+)/); s = substr(s, len + 1)) {
      len = RLENGTH; t = substr(s, 1, len)
      if (t ~ /^[ \t\r\n]/) continue
      if (t ~ /^[[{]/) { kind[++d] = t; key[d] = ""; if (d == 3) said = mine = ""; if (d == 5) variable = value = "" }
      else if (t ~ /^[]}]/) {
        if (d == 5 && key[3] == "\"env\"") said = said "env " variable "=" value "\n"
        if (d == 3 && mine) printf "%s", said
        d--
      }
      else if (kind[d] == "{" && before ~ /^[{,]$/) key[d] = t
      else if (t ~ /^"/ && key[1] == "\"providers\"") {
        if (d == 3 && key[3] == "\"name\"") mine = t == name
        if (d == 3 && key[3] == "\"apiVersion\"") said = said "api " plain(t) "\n"
        if (d == 4 && key[3] == "\"args\"") said = said "arg " plain(t) "\n"
        if (d == 5 && key[5] == "\"name\"") variable = plain(t)
        if (d == 5 && key[5] == "\"value\"") value = plain(t)
      }
      before = t
    }
  }' "$1"
}

entry_of_yaml() {
  awk -v name=$NAME '
  function value(s) { sub(/^[^:]*: */, "", s); return plain(s) }
  function plain(s) { sub(/ +#.*/, "", s); sub(/ +$/, "", s); gsub(/^["\047]|["\047]$/, "", s); return s }
  function flush() { if (mine) printf "%s", said; mine = 0; said = key = "" }
  /^ *(#|$)/ { next }
  /^providers:/ { inside = 1; at = -1; next }
  /^[A-Za-z]/ { inside = 0; flush() }
  !inside { next }
  { match($0, /[^ ]/); ind = RSTART - 1; text = substr($0, RSTART); item = text ~ /^- / }
  at < 0 { at = ind }
  ind == at && item { flush(); match(text, /^- +/); ind = column = at + RLENGTH; text = substr(text, RLENGTH + 1); item = 0 }
  ind == column && !item {
    key = text; sub(/:.*/, "", key); gsub(/["\047]/, "", key)
    if (key == "name" && value(text) == name) mine = 1
    if (key == "apiVersion") said = said "api " value(text) "\n"
    if (key ~ /^(args|env)$/ && value(text) !~ /^(\[\])?$/) said = said "unread " key "\n"
    next
  }
  { sub(/^- +/, "", text) }
  key == "args" { said = said "arg " plain(text) "\n" }
  key == "env" && text ~ /^name:/ { variable = value(text) }
  key == "env" && text ~ /^value:/ { said = said "env " variable "=" value(text) "\n" }
  END { flush() }'
}

kubelet() {
  arguments='' environ='' api='' args='' config='' running=''
  for p in "$R"/proc/[0-9]*; do
    if is_kubelet "$p"; then running=$p; break; fi
  done
  if [ -n "$running" ]; then
    arguments=$(tr '\0' '\n' <"$running/cmdline")
    environ=$({ tr '\0' '\n' <"$running/environ"; } 2>/dev/null || :)
  fi
  kconf=$(flag $FLAG-config) bin_dir=$(flag $FLAG-bin-dir)
  if [ -z "$running" ]; then
    failed flags 'this user sees no kubelet process' 'systemctl start kubelet; why it ends is in journalctl -u kubelet'
  elif [ -z "$kconf" ] || [ -z "$bin_dir" ]; then
    failed flags "the running kubelet is missing $FLAG-config or $FLAG-bin-dir: it never runs this program" \
      'add both, by install.sh or as README says, and restart the kubelet'
  else
    ok flags "the running kubelet has $FLAG-config=$kconf and $FLAG-bin-dir=$bin_dir"
  fi
  if [ -n "$kconf" ] && [ ! -e "$R$kconf" ]; then
    failed flags "$kconf is not there: a kubelet that restarts now does not start" 'run install.sh again, or remove the flags'
  elif [ -n "$bin_dir" ] && [ ! -d "$R$bin_dir" ]; then
    failed flags "$bin_dir is not there: a kubelet that restarts now does not start" 'run install.sh again, or remove the flags'
  fi
  [ -n "$kconf" ] || kconf=$(recorded providers | tail -n 1)
  set -- "$R$kconf"
  [ ! -d "$1" ] || set -- "$1"/*.json "$1"/*.yaml "$1"/*.yml
  said=''
  for f; do [ ! -r "$f" ] || [ -d "$f" ] || said=${said:-$(entry "$f")}; done
  api=$(printf '%s\n' "$said" | sed -n 's/^api //p')
  args=$(printf '%s\n' "$said" | sed -n 's/^arg //p')
  environ="$environ
$(printf '%s\n' "$said" | sed -n 's/^env //p')"
  config=$(printf '%s\n' "$args" | awk 'n { print; exit } $0 == "--config" { n = 1 } sub(/^--config=/, "") { print; exit }')
  [ -n "$config" ] || config=$(printf '%s\n' "$environ" | sed -n 's/^ACR_CREDENTIAL_PROVIDER_CONFIG=//p' | tail -n 1)
  config=${config:-$CONF}
  case $said in *unread*)
    warn kubelet "args or env of $NAME in $kconf are in a form that is not read here, and are not used below" \
      'write them as lists of lines, or in JSON without escapes' ;;
  esac
}

# --- binary, configuration, timer ---

binary() {
  v=$(recorded file | grep "/$NAME\$" | tail -n 1 || :)
  program=${bin_dir:-${v%/*}}
  program=${program:-/opt/$NAME/bin}/$NAME
  if [ ! -e "$R$program" ]; then
    failed binary "$program is not there" 'run install.sh again'
    return 1
  elif [ ! -f "$R$program" ] || [ ! -x "$R$program" ]; then
    failed binary "$program is not an executable file" "chmod 0755 $program"
    return 1
  elif ! version=$("$R$program" --version 2>&1); then
    failed binary "$program does not run here: $(echo "$version" | tail -n 1)" \
      "it must be for this machine ($(uname -m)), and its folder must not be mounted noexec; run install.sh again"
    return 1
  fi
  sum=$(recorded sha256 | tail -n 1)
  if [ -n "$v" ] && [ "$v" != "$program" ]; then
    failed binary "the kubelet runs $program, but install.sh installed $v" 'run install.sh again'
  elif [ -z "$sum" ]; then
    ok binary "$program is $version; install.sh has recorded no checksum of it"
  elif [ "$(sha256sum <"$R$program" | cut -d' ' -f1)" = "$sum" ]; then
    ok binary "$program is $version, as it was installed"
  else
    failed binary "$program ($version) is not the binary that install.sh installed" 'find out who replaced it, and run install.sh again'
  fi
}

installation() {
  [ ! -f "$R$STATE/undo/list" ] || failed installation 'install.sh was killed' 'run it again'
  if [ -e "$R$config" ]; then
    v=$(stat -c %a "$R$config")
    case $v in
    *00) ok configuration "$config has mode $v" ;;
    *) failed configuration "$config has mode $v: other users can read it" "chmod 600 $config" ;;
    esac
  fi
}

timer() {
  [ -n "$(recorded file | grep -F $LINK || :)" ] || [ -L "$R$LINK" ] || return 0
  if [ ! -L "$R$LINK" ] || [ ! -f "$R$UNITS/$NAME-refresh.timer" ] || [ ! -f "$R$UNITS/$NAME-refresh.service" ]; then
    failed timer "$NAME-refresh.timer was installed, but its files are missing" 'run install.sh --refresh-timer again'
  elif ! has systemctl; then
    failed timer 'systemctl is not installed' 'run this on the node itself'
  elif ! systemctl is-active --quiet $NAME-refresh.timer; then
    failed timer "$NAME-refresh.timer is not active" "systemctl start $NAME-refresh.timer"
  elif systemctl is-failed --quiet $NAME-refresh.service; then
    failed timer 'the last refresh failed' "see journalctl -u $NAME-refresh, and the lines below"
  else
    ok timer "$NAME-refresh.timer is active"
  fi
}

# --- the program's own checks ---

# Runs the program with the kubelet's environment and arguments, without those of this shell.
as_kubelet() (
  if [ -n "$R" ]; then
    set -- --config "$R$config" "$@"
  else
    IFS='
'
    set -f
    # shellcheck disable=SC2086 # one to a line
    set -- $args "$@"
  fi
  for v in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do unset "$v" 2>/dev/null || :; done
  while IFS= read -r v; do
    case ${v%%=*} in "$v" | '' | [0-9]* | *[!A-Za-z0-9_]*) ;; *) export "${v?}" ;; esac
  done <<END
$environ
END
  exec "$R$program" "$@"
)

# The report as lines of level, check, what, remedy; and a line for each image or host.
findings() {
  awk '
  function text(s) {
    sub(/^ *("[a-z]+": )?"/, "", s); sub(/",?$/, "", s)
    gsub(/\\[nrt]|\\u00[01][0-9a-f]/, " ", s); gsub(/\\"/, "\"", s); gsub(/\\\\/, "\\", s)
    return s
  }
  function out(level, what, remedy) { print level "\t" name "\t" what "\t" remedy }
  function flush(i) {
    if (status == "skipped" || name ~ /^(cache|last runs)$/ && status != "warning") return
    level = "FAILED"
    if (status == "warning" && name ~ /^(configuration|identity|endpoints|clock|cache|last runs)$/) level = "warn"
    if (status == "failed" && problems) {
      for (i = 1; i <= problems; i++) out(level, what[i], remedy[what[i]])
      return
    }
    # Of an entry only which it is: the rest is why it is not another.
    for (i = 1; i <= details && !(i > 1 && name == "entry"); i++) {
      if (detail[i] in remedy) out(level, detail[i], remedy[detail[i]])
      else if (status == "ok" || problems) out("ok", detail[i])
      else out(level, detail[i], remedies)
    }
  }
  /^    "[^ ]/ { print "image\t" text($0) }
  /^    \{/ { details = problems = 0; remedies = status = ""; split("", remedy) }
  /^      "name": / { name = text($0) }
  /^      "status": / { status = text($0) }
  /^      "[a-z]*": \[/ { list = $1 }
  /^        "/ && list ~ /details/ { detail[++details] = text($0) }
  /^        "/ && list ~ /remedies/ { remedies = remedies (remedies == "" ? "" : "; ") text($0) }
  /^          "what": / { what[++problems] = text($0); remedy[what[problems]] = "" }
  /^          "remedy": / { remedy[what[problems]] = text($0) }
  /^    \}/ { flush() }'
}

doctor() {
  images='' tokenless=''
  set -- doctor --json --oss "$oss"
  [ -z "$image" ] || set -- "$@" --image "$image"
  [ -z "$R" ] || set -- "$@" --root "$R"
  report=$(as_kubelet "$@" 2>"$tmp/stderr") || :
  case $report in '{'*'"checks"'*) ;; *)
    failed doctor "$program does not say what a pull would meet: $(head -n 1 "$tmp/stderr")" "run $program doctor by hand"
    images=$image
    return ;;
  esac
  while IFS='	' read -r level check what remedy; do
    case $level in
    image) images="$images $check" ;;
    ok) ok "$check" "$what" ;;
    warn)
      warn "$check" "$what" "$remedy"
      case $what in 'static pods get no login: '*) tokenless="$tokenless
${what#static pods get no login: };" ;; esac ;;
    # Reported above already.
    FAILED) case $check,$what in kubelet,*'runs without '* | kubelet,*'sees no kubelet process'*) ;; *) failed "$check" "$what" "${remedy:-see above}" ;; esac ;;
    esac
  done <<END
$(printf '%s\n' "$report" | findings | awk '!seen[$0]++')
END
  images=${images:-$image}
}

# The login stays in this shell. It is not printed, and no other process gets it.
answer() {
  host=${1%%/*}
  asked=$1
  [ "$host" != "$asked" ] || asked=$host/verify
  request="{\"apiVersion\":\"$api\",\"kind\":\"CredentialProviderRequest\",\"image\":\"$asked\"}"
  code=0
  answer=$(printf '%s\n' "$request" | as_kubelet 2>"$tmp/stderr") || code=$?
  hint=$(sed -n 's/^hint: //p' "$tmp/stderr" | head -n 1)
  life=${answer#*\"cacheDuration\":\"}
  life=${life%%\"*}
  login=${answer#*\"auth\":\{\""$host"\":\{\"username\":\"}
  user=${login%%\"*}
  if [ $code != 0 ]; then
    why=$(head -n 1 "$tmp/stderr")
    # Whether the kubelet sends one is checked above.
    case $why in
    *'has no service account token'*)
      warn answer "$host is for pods with a token of their own: not asked" 'try one by hand, see README, RRSA, pod identity'
      return ;;
    esac
    # The program's words, which are those of its doctor, without the host.
    said=${why#error: }
    said=${said%%"no login for $host: "*}${said#*"no login for $host: "}
    case $tokenless in
    *"
$said;"*)
      warn answer "there is no login for $host without a pod's token: not asked with one" 'try one by hand, see README, RRSA, pod identity'
      return ;;
    esac
    failed answer "the program gives no login for $asked (exit code $code): $why" "${hint:-see the lines above}"
    return
  fi
  case $answer in
  *"
"* | '' | [!\{]* | *[!\}])
    failed answer 'the answer of the program is not one line of JSON' "check that $program is this program"
    return ;;
  *'"auth":null'*)
    failed answer "the program has no login for $host (auth is null): the kubelet pulls without one" \
      "name $host in the domains of an entry in $config"
    return ;;
  esac
  case $answer,$login in
  *"\"apiVersion\":\"$api\""*,"$user"'","password":"'[!\"]*) ok answer "a login for $host as user $user, kept by the kubelet for $life" ;;
  *) failed answer "the program's answer has no login for $host in the form of $api" "check that $program is this program" ;;
  esac
}

main() {
  parse "$@"
  bad=''
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  trap 'exit 1' HUP INT TERM
  [ "$(id -u)" = 0 ] ||
    failed user "this user is not root; only root can read $CONF, the record of install.sh and the kubelet's environment" 'run this as root'
  kubelet
  if binary; then
    installation
    timer
    api=${api:-$API/v1}
    doctor
    # shellcheck disable=SC2086 # none has spaces
    for i in $images; do answer "$i"; done
    [ -n "$images" ] || failed answer 'no image to try: the configuration has no host' 'run this with --image IMAGE'
  else
    installation
    timer
    failed answer 'the program cannot be run' 'repair the binary first'
  fi
  [ -z "$bad" ]
}

main "$@"
