#!/usr/bin/env bats
# What --dry-run shows, and what it must not.
load node.bash

@test "--dry-run shows the change and makes none; no secret is in it" {
    node ack
    mkdir "$ROOT/etc/$name"
    cat >"$ROOT/etc/$name/config.yaml" <<'END'
acr-registry-info:
  - instanceId: cri-xxxxxxxxxxxxxxxx
    customAccessKey: LTAIold
    customAccessKeySecret: SECRETold
END
    cat >"$FAKE/config.yaml" <<'END'
acr-registry-info:
  - instanceId: cri-yyyyyyyyyyyyyyyy
    customAccessKey: LTAInew
    customAccessKeySecret: >-
      SECRETnew
      SECRETmore
    regionId: cn-beijing
  - {instanceId: cri-z, customAccessKeySecret:
    SECRETflow}
  - "customAccessKey": "LTAIjson"
    'customAccessKeySecret' : 'SECRETquoted'
    domains: custom.example
END
    cp "$here/configs/env.yaml" "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    snapshot >"$FAKE/before"
    install_all --dry-run --refresh-timer
    succeeded
    diff <(snapshot) "$FAKE/before"
    [ ! -s "$FAKE/log" ]
    [[ ! $output =~ LTAI|SECRET ]]
    says "would install /opt/$name/bin/$name" '-  - instanceId: cri-xxxxxxxxxxxxxxxx' '+  - instanceId: cri-yyyyyyyyyyyyyyyy' '+    regionId: cn-beijing' \
        "+  - name: $name" '+      - "custom.example"' '-KUBELET_CUSTOMIZED_ARGS="--eviction' '+KUBELET_CUSTOMIZED_ARGS="--eviction' '+RandomizedDelaySec'
}

@test "no secret that stands beside what changes is shown, nor in a file that is refused" {
    node kubeadm-deb
    mkdir -p "$ROOT/etc/default"
    printf '%s\n' HTTPS_PROXY=http://user:hunter2@proxy:3128 ALIBABA_CLOUD_ACCESS_KEY_ID=LTAIx ALIBABA_CLOUD_ACCESS_KEY_SECRET=hunter2 \
        KUBELET_EXTRA_ARGS=--authentication-token-webhook=true >"$ROOT/etc/default/kubelet"
    install_all --dry-run
    succeeded
    says "+KUBELET_EXTRA_ARGS=\"--authentication-token-webhook=true $flag-config="
    [[ ! $output =~ LTAI|hunter2 ]]
    rm -rf "$ROOT" "$FAKE"
    for text in '{ "kind" : "CredentialProviderConfig",\n "providers" : [ {\n "name" : "x",\n "env" : [ {\n "name" : "TOKEN",\n "value" : "SECRET" } ] } ] }' \
        "{\"kind\": 'SECRET'}" 'kind: CredentialProviderConfig\nproviders:\n- {name: x, env: [{name: T, value: SECRET}]}'; do
        node ack
        printf "$text\n" >"$ROOT/etc/kubernetes/credential-provider-config.yaml"
        printf 'acr-registry-info:\n- instanceId: cri-x\n  customaccessKeySecret: SECRET\n  accessKeySecret: SECRET\n' >"$FAKE/config.yaml"
        install_all --dry-run
        [[ ! $output =~ SECRET ]] || { echo "$output"; false; }
        rm -rf "$ROOT" "$FAKE"
    done
}

@test "no secret is shown, in whatever form the configuration is" {
    while IFS= read -r text; do
        node ack
        printf '%b\n' "$text" >"$FAKE/config.yaml"
        install_all --dry-run
        succeeded
        says "would write /etc/$name/config.yaml (mode 600)"
        [[ ! $output =~ LTAI|SECRET ]] || { echo "$text"; echo "$output"; false; }
        rm -rf "$ROOT" "$FAKE"
    done <<'END'
acr-registry-info:\n  - customAccessKey: LTAIx\n    customAccessKeySecret: "SECRET"
data:\n  acr-registry-info: |\n    - instanceId: cri-x\n      customAccessKey: LTAIx\n      customAccessKeySecret: |-\n        SECRET\n      domains: a.example
data:\n  acr-registry-info: "- customAccessKey: LTAIx\\n  customAccessKeySecret: SECRET\\n"
data:\n  acr-registry-info: "- customAccessKey: LTAIx\\n  customAccessKeySecret:\\\n    \\ SECRET\\n"
data:\n  acr-registry-info: >\n    [{"customAccessKey":"LTAIx",\n    "customAccessKeySecret":\n    "SECRET"}]
{"data": {"acr-registry-info": "- customAccessKey: LTAIx\\n  customAccessKeySecret: SECRET\\n"}}
{\n  "acr-registry-info": [\n    {\n      "customAccessKey": "LTAIx",\n      "customAccessKeySecret":\n        "SECRET"\n    }\n  ]\n}
acr-registry-info: [{customAccessKey: LTAIx, customAccessKeySecret: SECRET}]
acr-registry-info:\n  - ? customAccessKey\n    : LTAIx\n    ? customAccessKeySecret\n    : SECRET
acr-registry-info:\n  - instanceId: cri-x\n    customAccessKey:   \n      LTAIx\n    customAccessKeySecret: 'SECRET\n\n      SECRET'
END
}
