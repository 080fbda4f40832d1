#!/bin/sh
# hosts.toml of containerd with an Authorization header: which registries does that log in to? Needs root for containerd.
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
import base64, hashlib, json, os, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OCI = "application/vnd.oci.image."
digest = lambda data: "sha256:" + hashlib.sha256(data).hexdigest()
IMAGE = json.dumps({"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "layers": [],
                    "config": {"mediaType": OCI + "config.v1+json", "digest": digest(b"{}"), "size": 2}}).encode()
BASIC = "Basic " + base64.b64encode(b"user:secret").decode()
seen = []

def serve(name, allowed, challenge):
    class Registry(BaseHTTPRequestHandler):
        def do_GET(self):
            header = self.headers.get("Authorization")
            seen.append((name, header and header.split()[0]))
            if header != allowed:
                return self.say(401, b"", ("WWW-Authenticate", challenge))
            if name == "token service":
                return self.say(200, b'{"token": "t"}', kind="application/json")
            if "/manifests/" in self.path:
                return self.say(200, IMAGE, ("Docker-Content-Digest", digest(IMAGE)), OCI + "manifest.v1+json")
            self.say(200, b"{}")
        do_HEAD = do_GET
        def do_POST(self):                       # OAuth2's form, which clients try first with a login
            self.say(404, b"")
        def say(self, status, body, header=None, kind="application/octet-stream"):
            self.send_response(status)
            for n, v in [("Content-Length", str(len(body))), ("Content-Type", kind)] + ([header] if header else []):
                self.send_header(n, v)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        def log_message(self, *_):
            pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"

tokens = serve("token service", BASIC, 'Basic realm="r"')
registries = {"Basic": serve("registry", BASIC, 'Basic realm="r"'),
              "Bearer": serve("registry", "Bearer t", f'Bearer realm="http://{tokens}/token",service="s"')}
here = os.getcwd()
for _ in range(150):
    if os.path.exists("c.sock"):
        break
    time.sleep(0.2)

def fetch(how, header, *login):
    host = registries[how]
    os.makedirs(f"hosts/{host}", exist_ok=True)
    with open(f"hosts/{host}/hosts.toml", "w") as f:
        f.write(f'server = "http://{host}"\n[host."http://{host}"]\ncapabilities = ["pull", "resolve"]\n')
        if header:
            f.write(f'[host."http://{host}".header]\nAuthorization = "{BASIC}"\n')
    seen.clear()
    done = subprocess.run(["root/usr/bin/ctr", "-a", here + "/c.sock", "content", "fetch", "--hosts-dir", "hosts", *login, host + "/team/app:1"],
                          env={"PATH": "/usr/bin:/bin", "HOME": here}, capture_output=True, text=True)
    service = sorted({str(kind) for name, kind in seen if name == "token service"})
    print(f"{how:7} {'header' if header else 'login':7} exit {done.returncode}: registry was first sent {seen[0][1]}, token service {service}",
          done.stderr.strip().split(": ", 1)[-1][-60:])
    subprocess.run(["root/usr/bin/ctr", "-a", here + "/c.sock", "images", "rm", "--sync", host + "/team/app:1"], capture_output=True)
    return done.returncode, seen[0][1], service

login = "--user", "user:secret"
got = [fetch("Basic", True), fetch("Bearer", True), fetch("Basic", False, *login), fetch("Bearer", False, *login)]
print("Expectation: an Authorization header in hosts.toml logs in to the registry as --user does, whichever way the registry asks.")
print("Seen: with a registry that asks for Basic it does. With one that names a token service the registry gets the header,")
print("      containerd asks the token service without any login, and the pull fails.")
sys.exit(got != [(0, "Basic", []), (1, "Basic", ["None"]), (0, None, []), (0, None, ["Basic"])])
P
python3 try.py
