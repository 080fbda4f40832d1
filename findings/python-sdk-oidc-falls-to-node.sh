#!/bin/sh
# A pod with its own role (OIDC) whose token exchange fails: which login does the vendor's Python SDK give it?
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --target py alibabacloud-credentials==1.0.12
cat > try.py <<'P'
import sys
from Tea.core import TeaCore, TeaResponse
import json

# The cloud is replaced where the SDK hands a request to its HTTP library: no packet leaves.
asked = []
class Answer:
    def __init__(self, status, text):
        self.status_code, self.headers, self.body = status, {}, text.encode()
REFUSED = {"Code": "AuthenticationFail.NoPermission", "Message": "This operation is not permitted by the role's trust policy."}
NODE = {"Code": "Success", "AccessKeyId": "STS.of-the-node", "AccessKeySecret": "x", "SecurityToken": "x",
        "Expiration": "2099-01-01T00:00:00Z", "LastUpdated": "2026-01-01T00:00:00Z"}
def cloud(request, *_):
    host = request.headers["host"]
    where = "in the URL" if "OIDCToken" in request.query else "not in the URL"
    asked.append(f"{request.method} {host}{request.pathname or '/'}" + (f", OIDC token {where}, status 403" if "sts" in host else ""))
    if "sts" in host:
        return Answer(403, json.dumps(REFUSED))
    last = request.pathname.rsplit("/", 1)[1]
    return Answer(200, json.dumps(NODE) if last == "node-role" else "t" if last == "token" else "node-role")
TeaCore.do_action = staticmethod(cloud)

from alibabacloud_credentials.client import Client
login = Client().get_credential()
print("PyPI alibabacloud-credentials 1.0.12, environment of a pod with a role of its own, STS refuses the exchange")
print("\n".join("   " + line for line in asked))
print("login that the program gets:", login.get_access_key_id(), "from", login.get_provider_name())
print("Expectation: where a role is named and STS refuses it, the program gets the error of STS.")
print("Seen: it gets the login of the node's role, and the refusal is a line of the log. ALIBABA_CLOUD_ECS_METADATA_DISABLED=true brings the error.")
print("      The pod's OIDC token stands in the URL of a GET, where proxies that open TLS write it down.")
sys.exit(not (login.get_access_key_id() == "STS.of-the-node" and "OIDC token in the URL" in asked[0] and asked[0].startswith("GET")))
P
echo example.token.text > token
env -i PATH="$PATH" HOME="$t" PYTHONPATH=py ALIBABA_CLOUD_OIDC_TOKEN_FILE="$t/token" \
  ALIBABA_CLOUD_ROLE_ARN=acs:ram::1234567890123456:role/app \
  ALIBABA_CLOUD_OIDC_PROVIDER_ARN=acs:ram::1234567890123456:oidc-provider/ack-rrsa-c1 python3 try.py 2>log || { cat log; exit 1; }
grep -m 1 -o 'error refreshing credentials from oidc_role_arn, http_code: 403' log
