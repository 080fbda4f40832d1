#!/bin/sh
# Lets a node reach a registry in another VPC: writes a marked block of hosts into /etc/hosts.
#
# usage: configure-hosts.sh OPTION HOST=ADDRESS ... [--root DIR] [--dry-run]
#        configure-hosts.sh --remove [--root DIR] [--dry-run]
#
#   --registry HOST=ADDRESS   the registry's VPC host and the address of its VPC endpoint
#   --auth HOST=ADDRESS       the authentication service; not needed if the instance took it over
#   --oss HOST=ADDRESS        the bucket of the registry's layers, by its internal host
#   --cr-vpc HOST=ADDRESS     cr-vpc.<region>.aliyuncs.com, for a registry in another region
#   --sts-vpc HOST=ADDRESS    sts-vpc.<region>.aliyuncs.com, if STS is in another region
#   --remove                  removes the block
#   --root DIR, --dry-run     works on DIR/etc/hosts; only says what would be done
#
# The options are the whole block, and may be repeated: they replace what an earlier run wrote. A host
# that the file maps to another address is refused. Exit codes: 0 done, 1 failed or refused, 2 usage.
set -eu
BEGIN='# BEGIN aliyun-acr-credential-provider'
END='# END aliyun-acr-credential-provider'
fail() { echo "configure-hosts.sh: error: $*" >&2; exit 1; }
misuse() { echo "configure-hosts.sh: error: $*; see --help" >&2; exit 2; }

# Says what is wrong with option $1, host $2 and address $3, if anything.
objection() {
  OPTION=$1 HOST=$2 ADDRESS=$3 awk '
    # Lower-case labels with at least one dot. The last is not a number: that would be an address.
    function is_host(h, label, n) {
      if (h !~ /^[a-z0-9.-]+$/ || h ~ /^[.-]|[.-]$|[.][.-]|-[.]/ || h !~ /[.][^.]*[^.0-9][^.]*$/) return 0
      for (n = split(h, label, "."); n > 0; n--) if (length(label[n]) > 63) return 0
      return length(h) <= 253
    }
    # Four numbers without leading zeros, which some readers take for octal; no multicast, no
    # link-local, no 0.0.0.0/8, not this machine and not its metadata service.
    function is_ipv4(a, part, n) {
      if (a !~ /^[0-9.]+$/ || a ~ /^(127|169[.]254)[.]/ || a == "100.100.100.200") return 0
      if (split(a, part, ".") != 4 || part[1] < 1 || part[1] > 223) return 0
      for (n = 1; n <= 4; n++) if (part[n] !~ /^([0-9]|[1-9][0-9][0-9]?)$/ || part[n] > 255) return 0
      return 1
    }
    # Lower-case groups, at most one `::`; no zone, no multicast, no link-local, neither the
    # unspecified address nor this machine in whatever spelling.
    function is_ipv6(a, group, n, is_short) {
      if (a !~ /^[0-9a-f:]+$/ || a ~ /^[0:]*1?$|:::|::.*::|^:[^:]|[^:]:$|^ff..:|^fe[89ab].:/) return 0
      is_short = gsub(/::/, "::", a)
      gsub(/^:|:$/, "", a)
      for (n = split(a, group, ":"); n > 0; n--) if (length(group[n]) > 4) return 0
      n = split(a, group, ":")
      return is_short ? n <= 8 : n == 8
    }
    BEGIN {
      option = ENVIRON["OPTION"]; host = ENVIRON["HOST"]; address = ENVIRON["ADDRESS"]; kind = substr(option, 3)
      if (!is_host(host)) print option ": `" host "` is not a host name in lower case"
      else if (!is_ipv4(address) && !is_ipv6(address)) print option " " host ": `" address "` is not the address of a host"
      else if (kind ~ /-vpc$/ && (index(host, kind ".") != 1 || host !~ /^[^.]+[.][^.]+[.]aliyuncs[.]com$/))
        print option ": `" host "` is not " kind ".<region>.aliyuncs.com"
    }'
}

# Adds option $1's value $2 to the block.
add() {
  case $2 in *=*) ;; *) misuse "$1 takes HOST=ADDRESS, not '$2'" ;; esac
  wrong=$(objection "$1" "${2%%=*}" "${2#*=}")
  [ -z "$wrong" ] || misuse "$wrong"
  # Entries are lines `address host`, so a host stands between a space and the end of its line.
  case "$entries" in
  *"$newline${2#*=} ${2%%=*}$newline"*) ;;
  *" ${2%%=*}$newline"*) misuse "${2%%=*} has two addresses" ;;
  *) entries="$entries${2#*=} ${2%%=*}$newline" ;;
  esac
}

# The numbers of the block's first and last line, or 0 0.
find_block() {
  awk -v begin="$BEGIN" -v end="$END" '
    { sub(/[ \t\r]+$/, "") }
    $0 == begin { if (first) odd = NR; else first = NR }
    $0 == end { if (last || !first) odd = NR; else last = NR }
    END { if (first && !last) odd = first; if (odd) print "odd", odd; else print first + 0, last + 0 }' "$1"
}

# Prints every line outside of the block (lines $1 to $2 of $3) that maps a host of ours elsewhere.
conflicts() {
  printf '%s' "$entries" | awk -v first="$1" -v last="$2" '
    NR == FNR { if (NF) ours[$2] = $1; next }
    FNR >= first && FNR <= last { next }
    {
      line = $0; sub(/#.*/, ""); sub(/\r$/, "")
      for (i = 2; i <= NF; i++) {
        name = tolower($i); sub(/\.$/, "", name)
        if ((name in ours) && tolower($1) != ours[name]) print name " is not " ours[name] " in line " FNR ": " line
      }
    }' - "$3"
}

block() { printf '%s\n# Written by configure-hosts.sh; what is changed here is lost.\n%s%s\n' "$BEGIN" "${entries#"$newline"}" "$END"; }

# Prints file $1 with its block, lines $2 to $3, replaced, or with a new one on top. Nothing else
# changes, not even a last line without a newline. So a new block cannot be put at the end.
rewritten() {
  [ "$2" -eq 0 ] || head -n "$(($2 - 1))" "$1"
  [ -n "$remove" ] || block
  tail -n "+$(($3 + 1))" "$1"
}

# Puts $new in place of $hosts, whole or not at all.
install_new() {
  { [ ! -e "$hosts" ] && [ ! -s "$old" ]; } || cmp -s "$hosts" "$old" ||
    fail "$hosts was changed by another program during this run; run this again"
  sync "$new" 2>/dev/null || : # against an empty file after a crash; an old `sync` takes no argument
  mv -f "$new" "$hosts" || fail "$hosts cannot be replaced; if it is a mount, as in containers, run this on the node itself. Nothing was changed."
}

parse() {
  while [ $# -gt 0 ]; do
    case $1 in
    --registry | --auth | --oss | --cr-vpc | --sts-vpc) add "$1" "${2-}" && shift ;;
    # An empty one, from a variable that is not set, would mean this machine.
    --root) [ -n "${2-}" ] || misuse '--root takes a folder'; root=${2%/} && shift ;;
    --remove) remove=1 ;;
    --dry-run) dry_run=1 ;;
    --help | -h) sed -n '1d; /^#/!q; s/^# \{0,1\}//p' "$0" && exit ;;
    *) misuse "unknown option '$1'" ;;
    esac
    shift
  done
  case $remove,$entries in
  1,*\ *) misuse '--remove takes no hosts: it removes all of them' ;;
  ,"$newline") misuse 'at least one host is needed' ;;
  esac
}

main() {
  export LC_ALL=C
  newline='
' root='' remove='' dry_run='' old='' new='' entries=$newline
  parse "$@"
  hosts=$root/etc/hosts folder=$root/etc
  [ ! -L "$hosts" ] || fail "$hosts is a symbolic link to $(readlink "$hosts"); its owner has to change it"
  [ ! -e "$hosts" ] || [ -f "$hosts" ] || fail "$hosts is not a file"
  [ -d "$folder" ] || fail "the folder $folder does not exist"
  trap 'rm -f "$old" "$new"' EXIT && trap 'exit 1' HUP INT TERM
  # Beside the file, so that the new one can take its place by renaming. Those of a run that was killed go.
  if [ -n "$dry_run" ]; then folder=${TMPDIR:-/tmp}; else rm -f "$folder"/.hosts.old.?????? "$folder"/.hosts.new.??????; fi
  { old=$(mktemp "$folder/.hosts.old.XXXXXX") && new=$(mktemp "$folder/.hosts.new.XXXXXX"); } || fail "cannot write into $folder"
  chmod 644 "$new"
  [ ! -e "$hosts" ] || { cp -a "$hosts" "$old" && cp -a "$hosts" "$new"; } # with mode, owner and labels
  lines=$(find_block "$old") && first=${lines% *} last=${lines#* }
  [ "$first" != odd ] || fail "$hosts: the block's marks do not pair, see line $last; correct them by hand"
  found=$(conflicts "$first" "$last" "$old")
  [ -z "$found" ] || fail "$hosts has other addresses for these hosts; remove its lines or correct the address:$newline$found"
  rewritten "$old" "$first" "$last" >"$new"
  if cmp -s "$old" "$new"; then echo "$hosts: unchanged" && return; fi
  case $dry_run,$remove in
  1,1) echo "$hosts: would remove the block" ;;
  1,*) echo "$hosts: would write" && block ;;
  *,1) install_new && echo "$hosts: block removed" ;;
  *) install_new && echo "$hosts: block written" ;;
  esac
}

main "$@"
