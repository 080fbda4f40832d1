#!/bin/sh
# busybox wget and no_proxy: a request for an address that is listed as direct.
set -eu
want=1:1.35.0-4+deb12u1+b1
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
apt-get download -qq "busybox-static=$want" 2>/dev/null || { echo "Debian's busybox-static $want is not available here"; exit 2; }
dpkg -x busybox-static_*.deb root
echo "busybox-static $(dpkg-deb -f busybox-static_*.deb Version), $(curl --version | cut -d' ' -f1,2 | head -n 1)"
cat > try.py <<'P'
import subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

def serve(name):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            body = name.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_):
            pass
    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"

target, proxy = serve("target"), serve("proxy")
def ask(command, no_proxy):
    env = {"PATH": "/usr/bin:/bin", "http_proxy": proxy, "no_proxy": no_proxy}
    return subprocess.run([*command, target + "/latest/meta-data/"], env=env, capture_output=True, text=True).stdout

failed = False
for no_proxy in ("127.0.0.1", "*"):
    busybox, curl = ask(["root/bin/busybox", "wget", "-q", "-O-"], no_proxy), ask(["curl", "-s"], no_proxy)
    off = ask(["root/bin/busybox", "wget", "-q", "-O-", "-Y", "off"], no_proxy)
    print(f"no_proxy={no_proxy:10} busybox wget reached: {busybox}; busybox wget -Y off: {off}; curl: {curl}")
    failed |= (busybox, off, curl) != ("proxy", "target", "target")
print("Expectation: wget in busybox reads no_proxy where it reads http_proxy, as curl and GNU wget do.")
print("Seen: it reads http_proxy alone. In an Alpine or busybox pod a look at the instance metadata by wget goes to the")
print("      proxy, and the login of the node's role may be read by it. `-Y off` or an unset http_proxy is what helps.")
sys.exit(failed)
P
python3 try.py
