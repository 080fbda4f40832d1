#!/bin/sh
# An entry under `auths` that has `username` and `password` but not `auth`, as a Kubernetes pull secret may have it; and one
# whose key has a path. Which login do three clients send?
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
for p in skopeo=1.9.3+ds1-1+b10 docker.io=20.10.24+dfsg1-1+deb12u1+b6 libgpgme11 libassuan0; do
  apt-get download -qq "$p" 2>/dev/null || { echo "Debian's $p is not available here"; exit 2; }
done
for f in *.deb; do dpkg -x "$f" root; done
python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --target py docker==7.2.0
cat > try.py <<'P'
import base64, json, os, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sent = []
def note(header):
    login = json.loads(base64.urlsafe_b64decode(header))
    sent.append(f"{login.get('username', '')}:{login.get('password', '')}")

class Both(BaseHTTPRequestHandler):
    """The engine that docker's command line and docker-py speak to, and a registry for skopeo."""
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        basic, status, kind = self.headers.get("Authorization"), 200, "application/json"
        if self.path.endswith("/version"):
            body = b'{"ApiVersion": "1.41"}'
        elif "/images/create" in self.path:
            body = b'{"status": "done"}\n'
            note(self.headers.get("X-Registry-Auth") or "e30=")
        elif self.path.startswith("/v2/"):
            body, kind, status = b"{}", "application/vnd.oci.image.manifest.v1+json", 200 if basic else 401
            if basic and self.path != "/v2/":
                sent.append(base64.b64decode(basic.split()[1]).decode())
        else:
            body = b"OK"
        self.send_response(status)
        for name, value in (("Api-Version", "1.41"), ("WWW-Authenticate", 'Basic realm="r"'), ("Content-Type", kind)):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    do_HEAD = do_POST = do_GET
    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Both)
threading.Thread(target=server.serve_forever, daemon=True).start()
host, here = f"127.0.0.1:{server.server_port}", os.getcwd()
image = host + "/team/app:1"
os.makedirs("home/.docker")
with open("registries.conf", "w") as f:
    f.write(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
CLIENTS = {
    "docker 20.10.24": ["root/usr/bin/docker", "pull", image],
    "docker-py 7.2.0": [sys.executable, "-c", f"import docker; docker.APIClient(base_url='tcp://{host}', version='1.41').pull({image[:-2]!r}, tag='1')"],
    "skopeo 1.9.3": ["root/usr/bin/skopeo", "--registries-conf", "registries.conf", "inspect", "--raw", "docker://" + image],
}
basic = base64.b64encode(b"user:pass").decode()
ENTRIES = {"auth": {host: {"auth": basic}}, "username and password": {host: {"username": "user", "password": "pass"}},
           "key with another path": {host + "/other": {"auth": basic}}}
got = {}
for who, command in CLIENTS.items():
    got[who] = []
    for entry in ENTRIES.values():
        sent.clear()
        with open("home/.docker/config.json", "w") as f:
            json.dump({"auths": entry}, f)
        env = {"PATH": "/usr/bin:/bin", "HOME": here + "/home", "PYTHONPATH": here + "/py", "DOCKER_HOST": "tcp://" + host,
               "LD_LIBRARY_PATH": here + "/root/usr/lib/x86_64-linux-gnu"}
        subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        got[who].append(sent[0] if sent else "nothing")
print(f"{'login sent by':18}" + "".join(f"{name:24}" for name in ENTRIES))
for who, row in got.items():
    print(f"{who:18}" + "".join(f"{login:24}" for login in row))
print("Expectation: the entry with two plain fields is read by all of them like the one with `auth`, and a key with a path")
print("             counts for nothing, or for images under that path.")
print("Seen: docker alone takes the two fields; docker-py and skopeo go on without a name and a password, and without a warning.")
print("      docker and docker-py send a login kept for HOST/other to HOST for every image; skopeo doesn't.")
A = "user:pass"
sys.exit(list(got.values()) != [[A, A, A], [A, ":", A], [A, ":", ":"]])
P
python3 try.py
