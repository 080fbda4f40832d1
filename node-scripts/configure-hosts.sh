#!/bin/sh
# Lets a node reach a registry in another VPC: writes a block of hosts to /etc/hosts.
set -eu

BEGIN='# BEGIN aliyun-acr-credential-provider'
END='# END aliyun-acr-credential-provider'

usage() {
    cat <<'EOT'
usage: configure-hosts.sh OPTION HOST=ADDRESS ... [--root DIR] [--dry-run]
       configure-hosts.sh --remove [--root DIR] [--dry-run]

Writes a marked block into /etc/hosts; the rest of the file stays the same. The options are the whole
block: they replace what an earlier run wrote. Each option may be given more than once.

  --registry HOST=ADDRESS   the registry's VPC host and the address of its VPC endpoint
  --auth HOST=ADDRESS       the authentication service; not needed if the instance took it over
  --oss HOST=ADDRESS        the bucket of the registry's layers, by its internal host
  --cr-vpc HOST=ADDRESS     cr-vpc.<region>.aliyuncs.com, for a registry in another region
  --sts-vpc HOST=ADDRESS    sts-vpc.<region>.aliyuncs.com, if STS is in another region
  --remove                  removes the block
  --root DIR                works on DIR/etc/hosts
  --dry-run                 only says what would be done

An address is IPv4 or IPv6. An error is a host that the file maps to another address, and a host
with two addresses. Exit codes: 0 done or nothing to do, 1 failed or refused, 2 usage.
EOT
}

fail() {
    echo "configure-hosts.sh: error: $*" >&2
    exit 1
}

misuse() {
    echo "configure-hosts.sh: error: $*; see --help" >&2
    exit 2
}

# Lower-case labels with at least one dot. The last label is not a number: that would be an address.
is_host() {
    case $1 in
    *[!a-z0-9.-]* | .* | *. | *..* | -* | *- | *.-* | *-.*) return 1 ;;
    *.*) ;;
    *) return 1 ;;
    esac
    case ${1##*.} in *[!0-9]*) ;; *) return 1 ;; esac
    [ "${#1}" -le 253 ] || return 1
    rest=$1.
    while [ -n "$rest" ]; do
        label=${rest%%.*}
        [ "${#label}" -le 63 ] || return 1
        rest=${rest#*.}
    done
}

# Four numbers without leading zeros, which some readers take for octal; no multicast, no link-local,
# no 0.0.0.0/8, not this machine and not its metadata service.
is_ipv4() {
    case $1 in
    *[!0-9.]* | 169.254.* | 127.* | 100.100.100.200 | .* | *. | *..* | *.*.*.*.*) return 1 ;;
    *.*.*.*) ;;
    *) return 1 ;;
    esac
    rest=$1.
    while [ -n "$rest" ]; do
        number=${rest%%.*}
        case $number in 0?* | ????*) return 1 ;; esac
        [ "$number" -le 255 ] || return 1
        rest=${rest#*.}
    done
    [ "${1%%.*}" -ge 1 ] && [ "${1%%.*}" -le 223 ]
}

# Lower-case groups, at most one `::`; no zone, no multicast, no link-local, neither the unspecified
# address nor this machine in whatever spelling.
is_ipv6() {
    case ${1%1} in *[!0:]*) ;; *) return 1 ;; esac
    case $1 in
    *[!0-9a-f:]* | *:::* | *::*::* | ff??:* | fe[89ab]?:*) return 1 ;;
    *::*) [ "$(($(count_groups "${1%%::*}") + $(count_groups "${1#*::}")))" -le 7 ] ;;
    *) [ "$(count_groups "$1")" -eq 8 ] ;;
    esac
}

# How many groups of one to four digits there are between single colons; 9 if anything else is there.
count_groups() {
    count=0
    rest=${1:+$1:}
    while [ -n "$rest" ]; do
        case ${rest%%:*} in '' | ?????*) count=9 && break ;; esac
        count=$((count + 1))
        rest=${rest#*:}
    done
    echo "$count"
}

# Adds option $1's value $2 to the block.
add() {
    case $2 in *=*) ;; *) misuse "$1 takes HOST=ADDRESS, not '$2'" ;; esac
    host=${2%%=*}
    address=${2#*=}
    is_host "$host" || misuse "$1: '$host' is not a host name in lower case"
    is_ipv4 "$address" || is_ipv6 "$address" || misuse "$1 $host: '$address' is not the address of a host"
    case $1:$host in
    --*-vpc:*-vpc.*.*.aliyuncs.com) misuse "$1: '$host' is not ${1#--}.<region>.aliyuncs.com" ;;
    --cr-vpc:cr-vpc.*.aliyuncs.com | --sts-vpc:sts-vpc.*.aliyuncs.com) ;;
    --cr-vpc:* | --sts-vpc:*) misuse "$1: '$host' is not ${1#--}.<region>.aliyuncs.com" ;;
    esac
    # Entries are lines `address host`, so a host stands between a space and the end of its line.
    case "$entries" in
    *"$newline$address $host$newline"*) return ;;
    *" $host$newline"*) misuse "$host has two addresses" ;;
    esac
    entries="$entries$address $host$newline"
}

# The numbers of the block's first and last line, or nothing if there is none.
find_block() {
    awk -v begin="$BEGIN" -v end="$END" '
        { sub(/[ \t\r]+$/, "") }
        $0 == begin { if (first) odd = NR; else first = NR }
        $0 == end { if (last || !first) odd = NR; else last = NR }
        END {
            if (first && !last) odd = first
            if (odd) print "odd", odd; else if (first) print first, last
        }' "$1"
}

# Prints every line outside of the block (lines $1 to $2 of $3) that maps a host of ours elsewhere.
conflicts() {
    printf '%s' "$entries" | awk -v first="$1" -v last="$2" '
        NR == FNR { if (NF) ours[$2] = $1; next }
        FNR >= first && FNR <= last { next }
        {
            line = $0
            sub(/#.*/, ""); sub(/\r$/, "")
            for (i = 2; i <= NF; i++) {
                name = tolower($i); sub(/\.$/, "", name)
                if ((name in ours) && tolower($1) != ours[name])
                    print name " is not " ours[name] " in line " FNR ": " line
            }
        }' - "$3"
}

block() {
    echo "$BEGIN"
    echo '# Written by configure-hosts.sh; what is changed here is lost.'
    printf '%s' "${entries#"$newline"}"
    echo "$END"
}

# Prints file $1 with its block, lines $2 to $3, replaced, or with a new one on top. Nothing else
# changes, not even a last line without a newline. So a new block cannot be put at the end.
rewritten() {
    [ "$2" -eq 0 ] || head -n "$(($2 - 1))" "$1"
    "$remove" || block
    tail -n "+$(($3 + 1))" "$1"
}

# Puts $new in place of $hosts, whole or not at all.
install_new() {
    if [ -e "$hosts" ] || [ -s "$old" ]; then
        cmp -s "$hosts" "$old" || fail "$hosts was changed by another program during this run; run this again"
    fi
    # A crash after the renaming must not leave an empty file; an old `sync` takes no argument.
    sync "$new" 2>/dev/null || :
    mv -f "$new" "$hosts" || fail "$hosts cannot be replaced; if it is a mount, as in containers," \
        "run this on the node itself. Nothing was changed."
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --registry | --auth | --oss | --cr-vpc | --sts-vpc)
            [ $# -ge 2 ] || misuse "$1 takes HOST=ADDRESS"
            add "$1" "$2"
            shift
            ;;
        --root)
            # An empty one, from a variable that is not set, would mean this machine.
            [ -n "${2-}" ] || misuse "--root takes a folder"
            root=${2%/}
            shift
            ;;
        --remove) remove=true ;;
        --dry-run) dry_run=true ;;
        --help | -h) usage && exit 0 ;;
        *) misuse "unknown option '$1'" ;;
        esac
        shift
    done
    if "$remove"; then
        [ "$entries" = "$newline" ] || misuse "--remove takes no hosts: it removes all of them"
    else
        [ "$entries" != "$newline" ] || misuse "at least one host is needed"
    fi
}

main() {
    # Letters and digits are those of ASCII, and bytes that are not text pass through.
    LC_ALL=C
    export LC_ALL
    newline='
'
    entries=$newline
    root='' remove=false dry_run=false
    parse "$@"
    hosts=$root/etc/hosts

    if [ -L "$hosts" ]; then
        fail "$hosts is a symbolic link to $(readlink "$hosts"); its owner has to change it"
    elif [ ! -e "$hosts" ]; then
        "$remove" && echo "$hosts: nothing to remove" && return
        [ -d "$root/etc" ] || fail "there is no folder $root/etc"
    elif [ ! -f "$hosts" ]; then
        fail "$hosts is not a file"
    fi

    old='' new=''
    trap 'rm -f "$old" "$new"' EXIT
    trap 'exit 1' HUP INT TERM
    # Beside the file, so that the new one can take its place by renaming.
    folder=$root/etc
    # Removes files of a run that was killed.
    if "$dry_run"; then folder=${TMPDIR:-/tmp}; else rm -f "$folder"/.hosts.old.?????? "$folder"/.hosts.new.??????; fi
    old=$(mktemp "$folder/.hosts.old.XXXXXX") || fail "cannot write into $folder"
    new=$(mktemp "$folder/.hosts.new.XXXXXX") || fail "cannot write into $folder"
    # -a: mode, owner and, where there are any, labels go over to the new file.
    if [ -e "$hosts" ]; then
        cp -a "$hosts" "$old"
        cp -a "$hosts" "$new"
    else
        chmod 644 "$new"
    fi

    lines=$(find_block "$old")
    case $lines in
    odd*) fail "$hosts: the block's marks do not pair, see line ${lines#odd }; correct them by hand" ;;
    '') lines='0 0' ;;
    esac
    first=${lines% *} last=${lines#* }
    found=$(conflicts "$first" "$last" "$old")
    [ -z "$found" ] || fail "$hosts has other addresses for these hosts; remove its lines or correct the address:$newline$found"
    rewritten "$old" "$first" "$last" >"$new"

    if cmp -s "$old" "$new"; then
        echo "$hosts: unchanged"
    elif "$dry_run"; then
        "$remove" && echo "$hosts: would remove the block" && return
        echo "$hosts: would write"
        block
    else
        install_new
        "$remove" && echo "$hosts: block removed" && return
        echo "$hosts: block written"
    fi
}

main "$@"
