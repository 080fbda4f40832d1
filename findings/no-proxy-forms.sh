#!/bin/sh
# Six ways to write NO_PROXY, five readers. Which requests go past the proxy?
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --target py requests==2.32.5 httpx==0.28.1
npm install --silent --no-audit --no-fund proxy-from-env@1.1.0 undici@7.16.0

cat > cases.json <<'J'
[["example.test",    "http://sts.example.test/"],
 [".example.test",   "http://sts.example.test/"],
 ["*.example.test",  "http://sts.example.test/"],
 ["ample.test",      "http://sts.example.test/"],
 ["100.100.0.0/16",  "http://100.100.100.200/"],
 ["other.test,*",    "http://sts.example.test/"]]
J

# Python: ask each library which way it would go. Nothing is sent.
cat > ask.py <<'P'
import json, os, platform, urllib.request, httpx, requests
from requests.utils import should_bypass_proxies
for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
    del os.environ[name]
os.environ["http_proxy"] = "http://127.0.0.1:9"
answers = {f"urllib of Python {platform.python_version()[:4]}": [], f"requests {requests.__version__}": [], f"httpx {httpx.__version__}": []}
for no_proxy, url in json.load(open("cases.json")):
    os.environ["no_proxy"] = no_proxy
    host = url.split("/")[2]
    client = httpx.Client()
    direct = (urllib.request.proxy_bypass(host), should_bypass_proxies(url, no_proxy=None),
              client._transport_for_url(httpx.URL(url)) is client._transport)
    for column, value in zip(answers.values(), direct):
        column.append("direct" if value else "proxy")
json.dump(answers, open("py.json", "w"))
P
env -u NO_PROXY PYTHONPATH=py python3 ask.py

# Node: proxy-from-env answers, undici is given a proxy on loopback that counts. Names are resolved by a stub.
cat > ask.js <<'N'
const fs = require('fs'), http = require('http');
const { getProxyForUrl } = require('proxy-from-env');
const { EnvHttpProxyAgent, request } = require('undici');
for (const n of Object.keys(process.env)) if (/_proxy$/i.test(n)) delete process.env[n];
(async () => {
  const answers = { 'proxy-from-env 1.1.0': [], 'undici 7.16.0': [] };
  let asked = 0;
  const proxy = http.createServer().on('connect', (_, s) => { asked++; s.end('HTTP/1.1 403 Forbidden\r\n\r\n'); });
  await new Promise(r => proxy.listen(0, '127.0.0.1', r));
  process.env.http_proxy = 'http://127.0.0.1:' + proxy.address().port;
  const connect = (_, done) => done(new Error('direct'));   // a direct connection is never opened
  for (const [noProxy, url] of JSON.parse(fs.readFileSync('cases.json'))) {
    process.env.no_proxy = noProxy;
    answers['proxy-from-env 1.1.0'].push(getProxyForUrl(url) === '' ? 'direct' : 'proxy');
    asked = 0;
    let why = '';
    await request(url, { dispatcher: new EnvHttpProxyAgent({ connect }) }).catch(e => { why = e.message; });
    answers['undici 7.16.0'].push(asked ? 'proxy' : why === 'direct' ? 'direct' : why);
  }
  fs.writeFileSync('js.json', JSON.stringify(answers));
  process.exit(0);
})();
N
node ask.js

cat > show.py <<'P'
import json, sys
got = {**json.load(open("py.json")), **json.load(open("js.json"))}
forms = [c[0] for c in json.load(open("cases.json"))]
print(f"{'':22}" + "".join(f"{f:17}" for f in forms))
for who, row in got.items():
    print(f"{who:22}" + "".join(f"{r:17}" for r in row))
D, P = "direct", "proxy"
want = [[D, D, P, P, P, P], [D, D, P, D, D, P], [D, D, P, P, P, D], [P, D, D, P, P, D], [P, D, D, P, P, D]]
print("Expectation: the tools agree, as each of them says that it reads NO_PROXY.")
print("Seen: only the form with a leading dot means the same to all five. No reader but requests knows an address block.")
print("      requests lets any ending of a name through. A star beside other items is a star to three of five.")
sys.exit(list(got.values()) != want)
P
python3 show.py
