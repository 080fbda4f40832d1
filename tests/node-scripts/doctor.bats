#!/usr/bin/env bats
# What doctor says of the hosts of a pull, in a network where names lead to the simulated cloud, to others
# or nowhere. No shell is under test, so dash's turn is enough.
load node.bash

REGISTRY=acme-registry.cn-hangzhou.cr.aliyuncs.com
AUTH=dockerauth-ee.cn-hangzhou.aliyuncs.com
OSS=cri-acmeprod00000001-registry.oss-cn-hangzhou.aliyuncs.com

setup() {
    [ "$UNDER" = dash ] || skip 'it runs in the turn of dash'
    ROOT=$BATS_TEST_TMPDIR/root FAKE=$BATS_TEST_TMPDIR/fake
    export ROOT FAKE
    mkdir -p "$ROOT/etc" "$FAKE"
    cat >"$ROOT/etc/hosts" <<END
127.0.0.1 localhost
10.0.0.8 $REGISTRY
100.103.7.181 $AUTH
100.118.28.44 $OSS
END
    cat >"$FAKE/answers" <<END
127.0.0.1:1001 metadata
127.0.0.1:1002 sts
127.0.0.1:1003 cr
10.0.0.8:443 registry
100.103.7.181:443 registry
100.118.28.44:443 registry
END
    # The certificate of the cloud has an instance's own domains: so it is valid for the two others.
    cat >"$FAKE/overlay.yaml" <<END
tls: true
accounts:
  "2000000000000002":
    instances:
      cri-acmeprod00000001: {custom-domains: [$AUTH, $OSS]}
END
    cat >"$FAKE/config.yaml" <<END
acr-registry-info:
  - instanceId: cri-acmeprod00000001
    regionId: cn-hangzhou
    domains: $REGISTRY
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller
credential-provider:
  cacheDir: off
  endpoints: {metadata: "http://127.0.0.1:1001", sts: "https://127.0.0.1:1002", cr: "https://127.0.0.1:1003"}
END
    chmod 600 "$FAKE/config.yaml"
}

doctor() {
    local as=(--mount --net --pid --fork --kill-child)
    [ "$(id -u)" = 0 ] || as+=(--map-root-user)
    run unshare "${as[@]}" bash "$BATS_TEST_DIRNAME/online" env -i SSL_CERT_FILE="$FAKE/ca.pem" \
        "$PROGRAM" --config "$FAKE/config.yaml" doctor --verbose --oss "${1:-auto}" --root "$ROOT"
    [[ $output != *password* && $output != *cpw_* ]]
    # Whatever it finds, it made no wrong call.
    [ ! -s "$FAKE/cloud.log" ] || { cat "$FAKE/cloud.log"; false; }
}

leads() { sed -i "s/^[^ ]* $1\$/$2 $1/" "$ROOT/etc/hosts"; }
answers() { sed -i "/^$1:443 /d" "$FAKE/answers"; [ -z "${2:-}" ] || echo "$1:443 $2" >>"$FAKE/answers"; }

@test "all hosts answer" {
    doctor
    succeeded
    says "$REGISTRY: 10.0.0.8" "$AUTH: 100.103.7.181" "$OSS: 100.118.28.44"
}

@test "a host does not resolve" {
    for host in $REGISTRY $AUTH $OSS; do
        cp "$ROOT/etc/hosts" "$FAKE/hosts"
        sed -i "/ $host\$/d" "$ROOT/etc/hosts"
        doctor
        says "$host does not resolve" 'see /etc/resolv.conf'
        cp "$FAKE/hosts" "$ROOT/etc/hosts"
    done
}

@test "a host that answers nothing, within 100.0.0.0/8 and elsewhere" {
    answers 100.103.7.181
    doctor
    says "$AUTH: 100.103.7.181 " 'has no route from here' '100.0.0.0/8' 'the instance take over the authentication domain' 'a ticket puts you on the whitelist'
    answers 100.103.7.181 registry
    answers 100.118.28.44
    doctor
    says "$OSS: 100.118.28.44 " 'PrivateLink, with a CNAME record'
    leads $OSS 10.0.0.9
    doctor
    says "$OSS: 10.0.0.9 " 'has no route from here'
}

@test "a host within 100.0.0.0/8 where something else answers" {
    for who in web stranger; do
        answers 100.103.7.181 $who
        doctor
        says "$AUTH: 100.103.7.181 " 'the instance take over the authentication domain' whitelist
        answers 100.103.7.181 registry
        answers 100.118.28.44 $who
        doctor
        says "$OSS: 100.118.28.44 " 'PrivateLink, with a CNAME record'
        answers 100.118.28.44 registry
    done
}

@test "a web server in place of the registry" {
    answers 10.0.0.8 web
    doctor
    says "$REGISTRY: 10.0.0.8 " 'the TLS handshake'
    [[ $output != *'No check failed. Warnings: kubelet.'* ]]
}

@test "an instance that has taken over the authentication service" {
    sed -i 's/custom-domains:/takes-over-auth: true, custom-domains:/' "$FAKE/overlay.yaml"
    answers 100.103.7.181
    doctor
    [[ $output != *100.103.7.181* ]]
    says "$REGISTRY: 10.0.0.8"
}

@test "a bucket that routing rules put in the place of the instance's own" {
    sed -i "s/ $OSS/ layers.acme.example/" "$ROOT/etc/hosts"
    sed -i "s/, $OSS/, layers.acme.example/" "$FAKE/overlay.yaml"
    doctor
    says "$OSS does not resolve"
    doctor layers.acme.example
    says 'layers.acme.example: 100.118.28.44'
    [[ $output != *'does not resolve'* ]]
}

@test "hosts within a VPC lead to the bucket's internal host, other hosts to none that is known" {
    vpc=acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com
    sed -i "s/domains: .*/domains: $vpc,img.acme.example/" "$FAKE/config.yaml"
    printf '10.0.0.8 %s\n10.0.0.8 img.acme.example\n' $vpc >>"$ROOT/etc/hosts"
    doctor
    says "${OSS/.aliyuncs/-internal.aliyuncs} does not resolve" \
        'the name img.acme.example does not say which bucket has the layers' 'name the bucket'
}
