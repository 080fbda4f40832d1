#!/bin/sh
# A mirror that asks for a login: whose login does it get from containerd, and whose from skopeo? Needs root for containerd.
set -eu
[ "$(id -u)" = 0 ] || { echo "containerd needs root"; exit 2; }
t=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid"; wait; rm -rf "$t"' EXIT
cd "$t"
for p in containerd=1.6.20~ds1-1+deb12u3 skopeo=1.9.3+ds1-1+b10 libgpgme11 libassuan0; do
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
logins = {"mirror": [], "registry": []}

def serve(name):
    class Registry(BaseHTTPRequestHandler):
        def do_GET(self):
            header = self.headers.get("Authorization")
            if not header:
                return self.say(401, b"", ("WWW-Authenticate", 'Basic realm="r"'))
            logins[name].append(base64.b64decode(header.split()[1]).decode())
            if self.path != "/v2/" and name == "mirror":
                return self.say(404, b"")        # the mirror doesn't have the image
            if "/manifests/" in self.path:
                return self.say(200, IMAGE, ("Docker-Content-Digest", digest(IMAGE)), OCI + "manifest.v1+json")
            self.say(200, b"{}")
        do_HEAD = do_GET
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

mirror, registry = serve("mirror"), serve("registry")
here, image = os.getcwd(), registry + "/team/app:1"
def run(who, command, **env):
    for seen in logins.values():
        seen.clear()
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin", "HOME": here, **env}, capture_output=True, text=True)
    got = {name: sorted(set(seen)) for name, seen in logins.items()}
    print(f"{who:10} exit {done.returncode}: mirror got {got['mirror']} {len(logins['mirror'])} times, registry got {got['registry']}")
    return done.returncode, got

os.makedirs(f"hosts/{registry}")
with open(f"hosts/{registry}/hosts.toml", "w") as f:
    f.write(f'server = "http://{registry}"\n[host."http://{mirror}"]\ncapabilities = ["pull", "resolve"]\n')
for _ in range(150):
    if os.path.exists("c.sock"):
        break
    time.sleep(0.2)
containerd = run("containerd", ["root/usr/bin/ctr", "-a", here + "/c.sock", "content", "fetch", "--hosts-dir", "hosts",
                                "--user", "registry-user:secret", image])
with open("registries.conf", "w") as f:
    f.write(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n'
            f'[[registry.mirror]]\nlocation = "{mirror}"\ninsecure = true\n')
with open("auth.json", "w") as f:
    json.dump({"auths": {registry: {"auth": base64.b64encode(b"registry-user:secret").decode()}}}, f)
skopeo = run("skopeo", ["root/usr/bin/skopeo", "--registries-conf", "registries.conf", "inspect", "--raw", "docker://" + image],
             REGISTRY_AUTH_FILE="auth.json", LD_LIBRARY_PATH=here + "/root/usr/lib/x86_64-linux-gnu")
print("Expectation: a login is for the host it was given for; a mirror that asks gets its own login or none, in both.")
print("Seen: containerd gives the mirror of its hosts.toml the login of the registry, here over plain http. skopeo never does:")
print("      it looks for a login of the mirror's own and, having found none, answers with an empty name and password.")
own = ["registry-user:secret"]
sys.exit((containerd, skopeo) != ((0, {"mirror": own, "registry": own}), (0, {"mirror": [":"], "registry": own})))
P
python3 try.py
