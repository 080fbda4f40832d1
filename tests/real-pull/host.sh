# shellcheck shell=bash disable=SC2154 # `run` sets `subject`.
# The host's half of tests with real software: downloads it, makes room, and looks whether the host is
# the same as before. The script that reads this file sets `subject`, what is run.

work=
child=
namespaces=(--mount --net --pid --uts --ipc --fork --mount-proc --kill-child)

# Makes the folder `work`, which is gone at the end, and sets `target`, the folder of cargo.
begin() {
    PATH=$PATH:/usr/sbin:/sbin
    [ "$(id -u)" = 0 ] || cannot 'it needs root, to make namespaces'
    command -v cargo >/dev/null || PATH="$HOME/.cargo/bin:$PATH"
    command -v cargo >/dev/null || cannot 'cargo is not installed; see https://rustup.rs'
    unshare "${namespaces[@]}" true || cannot 'this machine does not allow new namespaces'

    work=$(mktemp -d "/tmp/$subject.XXXXXX")
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    look_at_host >"$work/before"
    target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
}

# enter COMMAND...: runs it in new namespaces beside the empty folder `$work/room`. File descriptor 3 gets
# one line for each check.
enter() {
    local status=0
    mkdir "$work/room"
    # If this script is killed, the command is killed, too.
    setpriv --pdeathsig KILL unshare "${namespaces[@]}" "$@" 3>>"$work/results" &
    child=$!
    wait "$child" || status=$?
    child=
    check 'all checks were run' [ "$status" = 0 ]
    check 'nothing is left: processes, mounts, files' nothing_is_left
    rm -rf --one-file-system "$work/room"
}

# The last check, and the verdict. Fails if one has failed.
conclude() {
    local passed failed
    look_at_host >"$work/after"
    check 'the host is the same as before: /etc/hosts, listening ports, services' \
        diff "$work/before" "$work/after"
    failed=$(grep -c ^FAIL "$work/results" || true)
    passed=$(grep -c ^ok "$work/results" || true)
    echo "${subject//-/ }: $passed checks passed, $failed failed, in $SECONDS seconds"
    [ "$failed" = 0 ]
}

cannot() {
    echo "error: ${subject//-/ }: NOT RUN: $*" >&2
    exit 2
}

clean_up() {
    # When the first process of a namespace ends, all others and their mounts end, too.
    [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
    [ -z "$child" ] || wait "$child" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}

# need COMMAND PACKAGE: installs a tool that has no service.
need() {
    command -v "$1" >/dev/null && return
    apt_get install --yes --no-install-recommends "$2" || cannot "Debian package $2 cannot be installed"
}

# daemon PACKAGE: downloads and unpacks it. If it were installed, its service would start, now or at the
# next boot.
daemon() {
    dpkg-query --show --showformat='${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q ^ii && return
    local place=$target/real-pull/$1
    if ! [ -d "$place" ]; then
        mkdir -p "$target/real-pull" "$work/$1"
        (cd "$work/$1" && apt_get download "$1") || cannot "Debian package $1 cannot be downloaded"
        dpkg-deb --extract "$work/$1"/*.deb "$place.part"
        mv "$place.part" "$place"
    fi
    PATH="$place/usr/bin:$PATH"
}

# Tries again with fresh package lists. A fresh container has none.
apt_get() {
    command -v apt-get >/dev/null || cannot 'there is no apt-get; this works on Debian and Ubuntu only'
    local quiet=(-qq -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0)
    DEBIAN_FRONTEND=noninteractive apt-get "${quiet[@]}" "$@" >"$work/apt" 2>&1 && return
    apt-get "${quiet[@]}" update >>"$work/apt" 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get "${quiet[@]}" "$@" >>"$work/apt" 2>&1 || {
        cat "$work/apt" >&2
        return 1
    }
}

# Prints /etc/hosts, the listening ports, and the registries and containerds that run on the host.
# Ephemeral ports are left out: other programs open and close them all the time.
look_at_host() {
    sha256sum /etc/hosts
    local first_free address state
    read -r first_free _ </proc/sys/net/ipv4/ip_local_port_range
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ address _ state _; do
        if [ "$state" = 0A ] && [ $((16#${address##*:})) -lt "$first_free" ]; then
            echo "listening: $address"
        fi
    done | sort
    local process name
    for process in /proc/[0-9]*; do
        read -r name 2>/dev/null <"$process/comm" || continue
        case $name in
        containerd* | docker-registry)
            [ "$process/ns/net" -ef /proc/self/ns/net ] && echo "running: $name ${process##*/}"
            ;;
        esac
    done
    true
}

# Every process that `inside` starts has the folder on its command line.
nothing_is_left() {
    ! grep -lsz "$work/room" /proc/[0-9]*/cmdline && ! grep -s "$work" /proc/mounts &&
        [ -z "$(ls -A "$work/room")" ]
}

check() {
    local what=$1 verdict=ok
    shift
    "$@" || verdict=FAIL
    printf '%-4s  %s\n' "$verdict" "$what" | tee -a "$work/results"
}
