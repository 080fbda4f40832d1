#!/bin/sh
# skopeo: a name that registries.conf maps to another place, and what --authfile keeps out.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
for p in skopeo=1.9.3+ds1-1+b10 libgpgme11 libassuan0; do
  apt-get download -qq "$p" 2>/dev/null || { echo "Debian's $p is not available here"; exit 2; }
done
for f in *.deb; do dpkg -x "$f" root; done
echo "skopeo $(dpkg-deb -f skopeo_*.deb Version)"
mkdir -p bin home/.docker
cat > bin/docker-credential-example <<'H'
#!/bin/sh
read -r host || :
echo "$host" >> asked
echo '{"Username":"from-helper","Secret":"x"}'
H
chmod +x bin/docker-credential-example
cat > try.py <<'P'
import base64, json, os, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KIND = "application/vnd.oci.image.manifest.v1+json"
seen = []
class Registry(BaseHTTPRequestHandler):
    def do_GET(self):
        header = self.headers.get("Authorization")
        if header:
            seen.append((self.path, base64.b64decode(header.split()[1]).decode()))
        self.send_response(200 if header else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="r"')
        self.send_header("Content-Type", KIND)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
threading.Thread(target=server.serve_forever, daemon=True).start()
place, here = f"127.0.0.1:{server.server_port}", os.getcwd()
with open("registries.conf", "w") as f:
    f.write(f'[[registry]]\nprefix = "reg.test/team"\nlocation = "{place}/copy"\ninsecure = true\n'
            f'[[registry]]\nlocation = "{place}"\ninsecure = true\n')

def inspect(image, auth_file, *flags):
    seen.clear()
    open("asked", "w").close()
    env = {"PATH": here + "/bin:/usr/bin:/bin", "HOME": here + "/home", "REGISTRY_AUTH_FILE": auth_file,
           "LD_LIBRARY_PATH": here + "/root/usr/lib/x86_64-linux-gnu"}
    done = subprocess.run(["root/usr/bin/skopeo", "--registries-conf", "registries.conf", "inspect", "--raw",
                           *flags, "docker://" + image],
                          env=env, capture_output=True, text=True)
    with open("asked") as f:
        hosts = f.read().replace(place, "PLACE").split()
    print(f"   {image.replace(place, 'PLACE')}: exit {done.returncode}, helper asked for {hosts}, registry got {seen}", done.stderr.strip())
    return done.returncode, hosts, list(seen)

with open("auth.json", "w") as f:
    json.dump({"credHelpers": {"reg.test": "example", place: "example"}}, f)
print("1. reg.test/team is mapped to PLACE/copy; both hosts have a helper")
mapped = inspect("reg.test/team/app:1", "auth.json")
with open("auth.json", "w") as f:
    json.dump({"auths": {"reg.test": {"auth": base64.b64encode(b"typed:x").decode()}}}, f)
print("2. the same; the auth file has a login for reg.test alone")
typed = inspect("reg.test/team/app:1", "auth.json")
with open("home/.docker/config.json", "w") as f:
    json.dump({"credHelpers": {place: "example"}}, f)
print("3. --authfile names that same file, which doesn't know PLACE; docker's own file in HOME names a helper for it")
helper = inspect(place + "/team/app:1", "", "--authfile", "auth.json")
with open("home/.docker/config.json", "w") as f:
    json.dump({"auths": {place: {"auth": base64.b64encode(b"from-docker:x").decode()}}}, f)
print("4. --authfile names a file that doesn't exist; docker's own file has a login for PLACE")
login = inspect(place + "/team/app:1", "", "--authfile", "no-such-file.json")
print("Expectation: the login belongs to the name that was typed, as for the kubelet and its plugins. --authfile names the one")
print("             file to read, and a file that doesn't exist is an error.")
print("Seen: only the host behind `location` counts, for helpers and for logins in the file; with none, an empty name and password")
print("      are sent. --authfile only puts a file first: docker's is still read after it, helpers included; a missing one is empty.")
got = [("/v2/team/app/manifests/1", "from-helper:x")], [("/v2/team/app/manifests/1", "from-docker:x")]
sys.exit(mapped != (0, ["PLACE"], [("/v2/copy/app/manifests/1", "from-helper:x")])
         or typed != (0, [], [("/v2/copy/app/manifests/1", ":")])
         or helper != (0, ["PLACE"], got[0]) or login != (0, [], got[1]))
P
python3 try.py
