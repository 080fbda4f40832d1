#!/bin/sh
# systemctl in a container that has the host's files and its own process numbers. Run here: a listener in place of systemd
# at systemd's own socket, seen from inside and from outside a PID namespace.
set -eu
want=252.39-1~deb12u2
[ "$(id -u)" = 0 ] || { echo "needs root, to make namespaces"; exit 2; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
for p in systemd libsystemd-shared; do
  apt-get download -qq "$p=$want" 2>/dev/null || { echo "Debian's $p $want is not available here"; exit 2; }
done
for f in *.deb; do dpkg -x "$f" root; done
cat > try.sh <<'T'
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
python3 - <<'P' &
import socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("/run/systemd/private")
s.listen()
open("listens", "w").close()
while True:
    connection = s.accept()[0]
    time.sleep(1)
    connection.close()
P
while ! [ -e listens ]; do sleep 0.1; done
c="env -i SYSTEMD_IGNORE_CHROOT=1 LD_LIBRARY_PATH=root/usr/lib/x86_64-linux-gnu/systemd root/bin/systemctl daemon-reload"
$c >same 2>&1 || :
unshare --pid --fork --mount-proc sh -c "$c; :" >own 2>&1
T
unshare --mount --pid --fork --kill-child --mount-proc sh try.sh
echo "systemd $(dpkg-deb -f systemd_*.deb Version), systemctl daemon-reload as root, with systemd's socket at hand:"
echo "   same PID namespace as the listener: $(cat same)"
echo "   a PID namespace below it:           $(cat own)"
echo "Expectation: the socket is there and the user is root, so it connects; at worst the message says what is in the way."
echo "Seen: below a PID namespace of its own it refuses before it sends anything, since the kernel shows the process at the other"
echo "      end as number 0. The message is that of ENODATA and names neither the process nor the namespace."
grep -q 'Failed to connect to bus: No data available' own && ! grep -q 'Failed to connect' same
