#!/bin/sh
# The vendor's Python SDK, HTTP_PROXY, and the instance metadata. The proxy is on loopback and answers by itself.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --target py alibabacloud-credentials==1.0.12
cat > try.py <<'P'
import json, os, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

seen = []
ROLE = {"Code": "Success", "AccessKeyId": "STS.example", "AccessKeySecret": "example", "SecurityToken": "example",
        "Expiration": "2099-01-01T00:00:00Z", "LastUpdated": "2026-01-01T00:00:00Z"}

class Proxy(BaseHTTPRequestHandler):
    def answer(self):
        seen.append(f"{self.command} {self.path}")
        name = self.path.rsplit("/", 1)[1]
        body = (json.dumps(ROLE) if name == "node-role" else "example" if name == "token" else "node-role").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_PUT = answer
    def log_message(self, *_):
        pass

proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
threading.Thread(target=proxy.serve_forever, daemon=True).start()
CODE = "from alibabacloud_credentials.client import Client; print(Client().get_credential().get_access_key_id())"
def ask(**more):
    seen.clear()
    env = {"PATH": os.environ["PATH"], "HOME": os.getcwd(), "PYTHONPATH": "py", "HTTP_PROXY": f"http://127.0.0.1:{proxy.server_port}", **more}
    return subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True).stdout.strip()

print("PyPI alibabacloud-credentials 1.0.12")
login = ask()
print(f"with HTTP_PROXY the SDK answers {login}; the proxy saw:")
print("\n".join("   " + line for line in seen))
through = login == "STS.example" and len(seen) == 4 and all("100.100.100.200" in line for line in seen)
one = ask(ALIBABA_CLOUD_ECS_METADATA_DISABLED="1")
print(f"ALIBABA_CLOUD_ECS_METADATA_DISABLED=1:    {one or 'no login'}; {len(seen)} requests")
word = ask(ALIBABA_CLOUD_ECS_METADATA_DISABLED="TRUE")
print(f"ALIBABA_CLOUD_ECS_METADATA_DISABLED=TRUE: {word or 'no login'}; {len(seen)} requests")
print("Expectation: an address that only the machine itself can reach is asked directly, whatever HTTP_PROXY says; 1 switches it off.")
print("Seen: all of it goes to the proxy, the role's login comes back through it (in plain http), and only the word true, in")
print("      any case, switches it off. A session token is fetched for each of the two reads.")
sys.exit(not (through and one == "STS.example" and word == "" and not seen))
P
python3 try.py
