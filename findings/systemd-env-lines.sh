#!/bin/sh
# Lines of an environment file as systemd reads them. Run here: systemd's own generator for ~/.config/environment.d, which
# reads KEY=value files by itself, without a running manager.
set -eu
want=252.39-1~deb12u2
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
for p in systemd libsystemd-shared; do
  apt-get download -qq "$p=$want" 2>/dev/null || { echo "Debian's $p $want is not available here"; exit 2; }
done
for f in *.deb; do dpkg -x "$f" root; done
mkdir -p home/.config/environment.d
cat > home/.config/environment.d/proxy.conf <<'C'
HTTP_PROXY=http://proxy.test:3128 # of the office
NO_PROXY="10.0.0.0/8" # of the office
# the cache was at D:\cache\
HTTPS_PROXY=http://proxy.test:3128
export SSL_CERT_FILE=/etc/ssl/own.pem
TOKEN_AUDIENCE='$AUDIENCE'
C
echo "systemd $(dpkg-deb -f systemd_*.deb Version), file:"
sed 's/^/   /' home/.config/environment.d/proxy.conf
env -i HOME="$t/home" AUDIENCE=sts.example LD_LIBRARY_PATH=root/usr/lib/x86_64-linux-gnu/systemd \
  root/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator 2>warnings |
  grep -E '^(HTTP|NO_|SSL|TOKEN)' > seen || :
echo "read as:"
sed 's/^/   /' seen
echo "warnings: $(sed 's/.*conf:/line /' warnings)"
echo "Expectation: as in a shell: a # after a space starts a comment, a comment ends with its line, export is allowed, and"
echo "             nothing is replaced between single quotes."
echo "Seen: the comment becomes part of the value, after a quoted value without its space. A comment line that ends in a backslash"
echo "      takes the next variable with it and there is no warning. export loses the variable. Single quotes don't keep a \$."
cat > want <<'W'
HTTP_PROXY="http://proxy.test:3128 # of the office"
NO_PROXY="10.0.0.0/8# of the office"
TOKEN_AUDIENCE=sts.example
W
cmp want seen && grep -q 'invalid variable name "export SSL_CERT_FILE"' warnings && [ "$(wc -l < warnings)" = 1 ]
