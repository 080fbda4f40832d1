#!/bin/sh
# `server` in hosts.toml names another host than the registry: who gets the registry's login? Needs root for containerd.
set -eu
[ "$(id -u)" = 0 ] || { echo "containerd needs root"; exit 2; }
t=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid"; wait; rm -rf "$t"' EXIT
cd "$t"
for p in containerd=1.6.20~ds1-1+deb12u3; do
  apt-get download -qq "$p" 2>/dev/null || { echo "Debian's $p is not available here"; exit 2; }
done
for f in *.deb; do dpkg -x "$f" root; echo "$(dpkg-deb -f "$f" Package) $(dpkg-deb -f "$f" Version)"; done
cat > config.toml <<C
version = 2
root = "$t/data"
state = "$t/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "$t/c.sock"
[ttrpc]
address = "$t/c.ttrpc"
C
root/usr/bin/containerd -c config.toml >containerd.log 2>&1 & pid=$!
cat > try.py <<'P'
import os, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

seen = []

def serve(name):
    class Registry(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((name, "login" if self.headers.get("Authorization") else "nothing"))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="r"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        do_HEAD = do_GET
        def log_message(self, *_):
            pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"

registry, mirror, other = serve("registry"), serve("mirror"), serve("server")
here = os.getcwd()
for _ in range(150):
    if os.path.exists("c.sock"):
        break
    time.sleep(0.2)

def fetch(title, text):
    os.makedirs(f"hosts/{registry}", exist_ok=True)
    with open(f"hosts/{registry}/hosts.toml", "w") as f:
        f.write(text)
    seen.clear()
    subprocess.run(["root/usr/bin/ctr", "-a", here + "/c.sock", "content", "fetch", "--hosts-dir", "hosts",
                    "--user", "user:secret", registry + "/team/app:1"],
                   env={"PATH": "/usr/bin:/bin", "HOME": here}, capture_output=True)
    got = sorted({name for name, what in seen if what == "login"})
    print(f"{title:24} the login of {registry} went to: {', '.join(got)}")
    return got

table = f'[host."http://{mirror}"]\ncapabilities = ["pull", "resolve"]\n'
got = [fetch("server and a mirror", f'server = "http://{other}"\n{table}'),
       fetch("server for push alone", f'server = "http://{other}"\ncapabilities = ["push"]\n{table}')]
print("Expectation: `server` says where the registry is, and a login for the registry stays with the registry.")
print("Seen: the host of `server` is asked in place of the registry, over plain http as well, and gets the registry's login.")
sys.exit(got != [["mirror", "server"], ["mirror"]])
P
python3 try.py
