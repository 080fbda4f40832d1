#!/usr/bin/env bats
# verify.sh on a node with the real program, which install.sh has put there, and the simulated cloud.
load node.bash

REGISTRY=acme-registry.cn-hangzhou.cr.aliyuncs.com
AUTH=dockerauth-ee.cn-hangzhou.aliyuncs.com
OSS=cri-acmeprod00000001-registry.oss-cn-hangzhou.aliyuncs.com
PROGRAM_THERE=/opt/$name/bin/$name

setup() {
    node ack
    mkdir -p "$ROOT/etc"
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
    install_program --config "$FAKE/config.yaml"
    succeeded
}

install_program() {
    run shell "$scripts/install.sh" --root "$ROOT" --restart --binary "$PROGRAM" --sha256 "$(sha "$PROGRAM")" "$@"
    give_environment
}

# What the service manager gives to a kubelet: here it lets the program trust the cloud.
give_environment() { printf 'PATH=/usr/bin:/bin\0SSL_CERT_FILE=%s/ca.pem\0' "$FAKE" >"$ROOT/proc/100/environ"; }

restart_kubelet() {
    systemctl restart kubelet
    give_environment
}

verify() {
    local as=(--mount --net --pid --fork --kill-child)
    [ "$(id -u)" = 0 ] || as+=(--map-root-user)
    local sh=("$UNDER")
    [ "$UNDER" != busybox ] || sh+=(sh)
    # The tools of the script under test are not those of the test.
    PATH=${PATH#"$tools":} run unshare "${as[@]}" bash "$here/online" env PATH="$PATH" "${sh[@]}" "$scripts/verify.sh" --root "$ROOT" "$@"
    # No line but of these kinds, each failure with what to do, and no secret ever.
    while read -r line; do
        [[ $line =~ ^(ok|warn|FAILED)\ +[a-z\ ]+:\ . ]] || { echo "odd line: $line"; return 1; }
        [[ $line != FAILED* || $line == *'; do: '?* ]] || { echo "nothing to do: $line"; return 1; }
    done <<<"$output"
    [[ $output != *password* && $output != *cpw_* ]]
}

# failed_alone TEXT...: one line failed, and it says all of this.
failed_alone() {
    failed "$@"
    [ "$(grep -c ^FAILED <<<"$output")" = 1 ] || { echo "not alone: $output"; false; }
    local text
    for text; do [[ $(grep ^FAILED <<<"$output") == *"$text"* ]] || { echo "in another line: $text"; echo "$output"; false; }; done
}

# When each file was last written, or changed in mode or owner.
times() { find "$ROOT" -path "$ROOT/proc" -prune -o -exec stat -c '%n %y %z' {} +; }

broken() { sed -i "$1" "$ROOT/etc/$name/config.yaml"; }
leads() { sed -i "s/^[^ ]* $1\$/$2 $1/" "$ROOT/etc/hosts"; }
answers() { sed -i "/^$1:443 /d" "$FAKE/answers"; [ -z "${2:-}" ] || echo "$1:443 $2" >>"$FAKE/answers"; }

@test "all is well: each line says ok, the exit code is 0, nothing is changed" {
    snapshot >"$FAKE/before"
    times >"$FAKE/times"
    verify
    succeeded
    [ -z "$(grep -v '^ok ' <<<"$output")" ] || { echo "$output"; false; }
    says "binary: $PROGRAM_THERE is $name " 'as it was installed' "configuration: /etc/$name/config.yaml has mode 600" \
        "flags: the running kubelet has $flag-config=/etc/kubernetes/credential-provider-config.yaml and $flag-bin-dir=/opt/$name/bin" \
        "matchImages of $name has $REGISTRY" "registry: $REGISTRY: 10.0.0.8 in" "registry: $AUTH: 100.103.7.181 in" \
        "storage: $OSS: 100.118.28.44 in" "answer: a login for $REGISTRY as user cr_temp_user, kept by the kubelet for 59m"
    diff <(snapshot) "$FAKE/before"
    diff <(times) "$FAKE/times"
    [ -z "$(ls -A "$TMPDIR")" ]
    [ ! -s "$FAKE/cloud.log" ] || { cat "$FAKE/cloud.log"; false; }
}

@test "the program keeps the login it was asked for, as in any pull, and nothing else is written" {
    broken "s|cacheDir: off|cacheDir: $FAKE/cache|"
    snapshot >"$FAKE/before"
    verify
    succeeded
    [ -n "$(ls "$FAKE/cache")" ]
    diff <(snapshot) "$FAKE/before"
}

@test "an image is asked for as it is given, beside the hosts of the configuration" {
    verify --image "$REGISTRY/team/app:v1"
    succeeded
    says "matchImages of $name has $REGISTRY/team/app" "answer: a login for $REGISTRY"
    verify --image docker.io/library/busybox
    failed 'entry: no entry covers docker.io' 'matchImages has no pattern for docker.io/library/busybox' 'auth is null' 'in the domains of an entry'
}

@test "the binary is missing, not executable, of another machine, or another" {
    mv "$ROOT$PROGRAM_THERE" "$FAKE/kept"
    verify
    failed "FAILED  binary: $PROGRAM_THERE is not there; do: run install.sh again" 'FAILED  answer: the program cannot be run'
    cp "$FAKE/kept" "$ROOT$PROGRAM_THERE"
    chmod 644 "$ROOT$PROGRAM_THERE"
    verify
    failed "binary: $PROGRAM_THERE is not an executable file; do: chmod 0755 $PROGRAM_THERE"
    echo 'no program' >"$ROOT$PROGRAM_THERE"
    chmod 755 "$ROOT$PROGRAM_THERE"
    verify
    failed 'FAILED  binary:'
    cp "$FAKE/kept" "$ROOT$PROGRAM_THERE"
    echo more >>"$ROOT$PROGRAM_THERE"
    verify
    failed_alone 'binary:' 'is not the binary that install.sh installed' 'run install.sh again'
    sed -i '/^sha256 /d' "$ROOT/var/lib/$name/record"
    verify
    succeeded
    says 'has recorded no checksum'
}

@test "the checksum recorded is that of the last installation" {
    install 1.0
    succeeded
    install_program
    succeeded
    [ "$(sed -n 's/^sha256 //p' "$ROOT/var/lib/$name/record")" = "$(sha "$PROGRAM")" ]
}

@test "the configuration: readable by others, a mistake in a line, not readable at all" {
    chmod 644 "$ROOT/etc/$name/config.yaml"
    verify
    failed_alone 'configuration:' 'has mode 644' "chmod 600 /etc/$name/config.yaml"
    chmod 600 "$ROOT/etc/$name/config.yaml"
    broken 's/regionId/regionID/'
    verify
    failed 'FAILED  configuration:' 'config.yaml:3' 'regionID' 'correct the lines named above' 'ok      flags:' 'ok      kubelet:' 'FAILED  answer:'
    verify --image "$REGISTRY/team/app"
    failed "FAILED  answer: the program gives no login for $REGISTRY/team/app (exit code 2)"
    rm "$ROOT/etc/$name/config.yaml"
    verify
    failed 'FAILED  configuration:' 'No such file'
}

@test "what works and should be seen to is a warning, and no failure" {
    broken 's/^\( *\)assumeRoleARN.*/&\n\1expireDuration: 7200/'
    verify
    succeeded
    says 'warn    configuration:' 'expireDuration' '; do: set the maximum session duration'
}

@test "no kubelet runs" {
    rm -r "$ROOT/proc/100"
    # What it would give to the program is lost with it.
    broken "s|cacheDir: off|caFile: $FAKE/ca.pem|"
    verify
    failed_alone 'flags: this user sees no kubelet process' 'systemctl start kubelet'
    says "answer: a login for $REGISTRY"
}

@test "a process that only calls itself kubelet is not believed, nor run what it names" {
    for how in $(pretences); do
        pretend 10 "$how"
        verify
        succeeded
        says "ok      flags: the running kubelet has $flag-config=/etc/kubernetes/" "binary: $PROGRAM_THERE"
        [ ! -e "$FAKE/ran" ]
    done
}

@test "the running kubelet has no flags, though they are in its files" {
    printf %s '/usr/bin/kubelet --v=2' | tr ' ' '\0' >"$ROOT/proc/100/cmdline"
    verify
    failed_alone "the running kubelet is missing $flag-config or $flag-bin-dir" 'restart the kubelet'
    printf '/usr/bin/kubelet\0%s-config\0/etc/kubernetes/credential-provider-config.yaml\0%s-bin-dir\0/opt/%s/bin\0' $flag $flag $name >"$ROOT/proc/100/cmdline"
    verify
    succeeded
}

@test "the flags name what is not there" {
    mv "$ROOT/etc/kubernetes/credential-provider-config.yaml" "$FAKE/kept"
    verify
    failed 'flags: /etc/kubernetes/credential-provider-config.yaml is not there: a kubelet that restarts now does not start'
    mv "$FAKE/kept" "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    sed -i "s|bin-dir=/opt/$name/bin|bin-dir=/opt/other|" "$ROOT/proc/100/cmdline"
    verify
    failed 'flags: /opt/other is not there' "binary: /opt/other/$name is not there"
    mkdir "$ROOT/opt/other"
    cp "$ROOT$PROGRAM_THERE" "$ROOT/opt/other"
    verify
    failed_alone "the kubelet runs /opt/other/$name, but install.sh installed $PROGRAM_THERE"
}

@test "matchImages does not hit a configured host; the kubelet's rules count, not the look of it" {
    sed -i 's/"\*\.\*\.cr\.aliyuncs\.com"/"*.cr.aliyuncs.com"/' "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    verify
    failed_alone "kubelet: matchImages has no pattern for $REGISTRY" "add \`$REGISTRY\` to matchImages"
    says "answer: a login for $REGISTRY"
    sed -i "s/name: $name/name: other/" "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    verify
    failed "has no provider $name"
}

@test "a host does not resolve" {
    for host in $REGISTRY $AUTH $OSS; do
        cp "$ROOT/etc/hosts" "$FAKE/hosts"
        sed -i "/ $host\$/d" "$ROOT/etc/hosts"
        verify
        failed "$host does not resolve; do: see /etc/resolv.conf"
        cp "$FAKE/hosts" "$ROOT/etc/hosts"
    done
}

@test "a host that answers nothing, within 100.0.0.0/8 and elsewhere" {
    answers 100.103.7.181
    verify
    failed_alone "registry: $AUTH: 100.103.7.181 " "at port 443" 'do: 100.0.0.0/8' \
        'the instance take over the authentication domain' 'a ticket puts you on the whitelist'
    answers 100.103.7.181 registry
    answers 100.118.28.44
    verify
    failed_alone "storage: $OSS: 100.118.28.44 " 'PrivateLink, with a CNAME record'
    leads $OSS 10.0.0.9
    verify
    failed_alone "storage: $OSS: 10.0.0.9 " 'see route, security group and proxy'
}

@test "a host within 100.0.0.0/8 where something else answers" {
    for who in web stranger; do
        answers 100.103.7.181 $who
        verify
        failed_alone 'registry: the authentication service does not answer as itself' 'the instance take over the authentication domain' whitelist
        answers 100.103.7.181 registry
        answers 100.118.28.44 $who
        verify
        failed_alone 'storage: ' 'does not answer as itself' 'PrivateLink, with a CNAME record'
        answers 100.118.28.44 registry
    done
}

@test "a web server in place of the registry" {
    answers 10.0.0.8 web
    verify
    failed "FAILED  registry: $REGISTRY: " 'see where' 'leads (DNS'
}

@test "an instance that has taken over the authentication service" {
    sed -i 's/custom-domains:/takes-over-auth: true, custom-domains:/' "$FAKE/overlay.yaml"
    answers 100.103.7.181
    verify
    succeeded
    [[ $output != *100.103.7.181* ]]
    says "registry: $REGISTRY: 10.0.0.8"
}

@test "a bucket that routing rules put in the place of the instance's own" {
    sed -i "s/ $OSS/ layers.acme.example/" "$ROOT/etc/hosts"
    sed -i "s/, $OSS/, layers.acme.example/" "$FAKE/overlay.yaml"
    verify
    failed "storage: $OSS does not resolve"
    verify --oss layers.acme.example
    succeeded
    says 'storage: layers.acme.example: 100.118.28.44'
}

@test "hosts within a VPC lead to the bucket's internal host, other hosts to none that is known" {
    vpc=acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com
    broken "s/domains: .*/domains: $vpc,img.acme.example/"
    printf '10.0.0.8 %s\n10.0.0.8 img.acme.example\n' $vpc >>"$ROOT/etc/hosts"
    verify
    says "storage: ${OSS/.aliyuncs/-internal.aliyuncs} does not resolve" \
        'FAILED  storage: the name img.acme.example does not say which bucket has the layers; do: name the bucket'
}

@test "the cloud refuses: the program's own first line and hint" {
    cat >>"$FAKE/overlay.yaml" <<END
    roles: {acr-puller: {trust: {Version: "1", Statement: []}}}
END
    verify
    failed 'FAILED  role: NoPermission: AssumeRole of acs:ram::2000000000000002:role/acr-puller by the worker role' \
        "FAILED  answer: the program gives no login for $REGISTRY/verify (exit code 4): error: NoPermission: no login for $REGISTRY: AssumeRole"
    [[ $(grep '^FAILED  answer' <<<"$output") == *NoPermission*'; do: add the ARN of the worker role'*'to `Principal.RAM`'* ]]
}

@test "no host is configured: without an image it fails, with one it asks" {
    broken '/domains:/d'
    verify
    failed_alone 'answer: no image to try' 'run this with --image IMAGE'
    verify --image "$REGISTRY/team/app:v1"
    succeeded
    says "answer: a login for $REGISTRY"
}

@test "the program is asked in the version, with the arguments and variables of the kubelet's configuration" {
    mv "$ROOT/etc/$name/config.yaml" "$ROOT/etc/$name/other.yaml"
    sed -i "s|    defaultCacheDuration.*|&\\n    args:\\n      - --config=/etc/$name/other.yaml|; s|\(credentialprovider.kubelet.k8s.io/\)v1|\1v1beta1|" \
        "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    verify
    succeeded
    says "configuration: /etc/$name/other.yaml has mode 600"
    sed -i "/args:/d; s|      - --config=.*|    env:\\n      - name: ACR_CREDENTIAL_PROVIDER_CONFIG\\n        value: /etc/$name/other.yaml|" \
        "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    verify
    succeeded
    says "configuration: /etc/$name/other.yaml has mode 600"
}

@test "the kubelet's configuration in JSON, in a file and in a folder" {
    local kconf=$ROOT/etc/kubernetes/credential-provider-config.yaml
    mv "$ROOT/etc/$name/config.yaml" "$ROOT/etc/$name/other.yaml"
    for said in '"args": ["--config", "/etc/NAME/other.yaml"]' '"args": ["--config=/etc/NAME/other.yaml"], "env": []' \
        '"env": [{"value": "/etc/NAME/other.yaml", "name": "ACR_CREDENTIAL_PROVIDER_CONFIG"}]'; do
        cat >"$kconf" <<END
{"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig", "providers": [
  {"name": "$name", "apiVersion": "credentialprovider.kubelet.k8s.io/v1beta1", "matchImages": ["$REGISTRY"], "defaultCacheDuration": "0s", ${said//NAME/$name}}]}
END
        restart_kubelet
        verify
        succeeded
        says "configuration: /etc/$name/other.yaml has mode 600"
    done
    mkdir "$ROOT/etc/kubernetes/providers"
    mv "$kconf" "$ROOT/etc/kubernetes/providers/10.json"
    sed -i "s|$flag-config=[^ ]*|$flag-config=/etc/kubernetes/providers|" "$ROOT/etc/kubernetes/kubelet-customized-args.conf"
    restart_kubelet
    verify
    succeeded
    says "configuration: /etc/$name/other.yaml has mode 600"
    # A form that is not read is reported, and so is an entry that is not found.
    sed -i 's|"/etc/|"\\u002fetc/|' "$ROOT/etc/kubernetes/providers/10.json"
    verify
    says 'warn    kubelet: args or env of'
    printf 'apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders: [{name: %s}]\n' $name >"$ROOT/etc/kubernetes/providers/10.json"
    verify
    says 'warn    kubelet: args or env of'
}

for_pods() {
    broken 's|    assumeRoleARN.*|    rrsaRoleARN: acs:ram::1000000000000001:role/acr-rrsa\n    rrsaOIDCProviderRoleARN: acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a\n    podIdentity: required|; 1i rrsa: {enable: true}'
}

@test "a host for pods is not asked for, and that is a warning; a kubelet that sends no tokens is a failure" {
    for_pods
    verify
    failed_alone 'kubelet:' 'requires a pod' 'render kubelet-config --service-accounts'
    says "warn    answer: $REGISTRY is for pods with a token of their own: not asked; do: try one by hand"
    sed -i 's|    defaultCacheDuration.*|&\n    tokenAttributes:\n      serviceAccountTokenAudience: sts.aliyuncs.com\n      cacheType: ServiceAccount\n      requireServiceAccount: true|' \
        "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    verify
    succeeded
    says "warn    answer: $REGISTRY is for pods" "registry: $REGISTRY: 10.0.0.8 in" "storage: $OSS: 100.118.28.44 in"
    # The token file is only for those few requests that come without a pod's.
    sed -i 's/podIdentity: required/podIdentity: auto/' "$ROOT/etc/$name/config.yaml"
    verify
    succeeded
    says 'warn    identity: ' 'static pods get no login' "warn    answer: there is no login for $REGISTRY without a pod's token: not asked with one"
}

# A program that says of itself what the real one does, and answers a kubelet with $1.
answering() {
    mv "$ROOT$PROGRAM_THERE" "$FAKE/real"
    cat >"$ROOT$PROGRAM_THERE" <<END
#!/bin/sh
case "\$*" in *doctor* | *--version) exec "$FAKE/real" "\$@" ;; esac
cat >/dev/null
printf '%s\n' '$1'
END
    chmod 755 "$ROOT$PROGRAM_THERE"
    sed -i '/^sha256/d' "$ROOT/var/lib/$name/record"
    verify
    mv "$FAKE/real" "$ROOT$PROGRAM_THERE"
}

@test "the sample of the kubelet's configuration has no line that is not ok; arguments in another form are reported" {
    cp "$here/../../config/kubelet/credential-provider-config.v1.yaml" "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    verify
    succeeded
    [ -z "$(grep -v '^ok ' <<<"$output")" ] || { echo "$output"; false; }
    sed -i 's|args: .*|args: ["--config=/etc/other.yaml"]|' "$ROOT/etc/kubernetes/credential-provider-config.yaml"
    verify
    says 'warn    kubelet: args or env of'
}

@test "an answer that is none" {
    local head='{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"1h","auth":'
    answering "$head{\"$REGISTRY\":{\"username\":\"u\",\"password\":\"p\"}}}"
    succeeded
    for answer in "$head{\"other.example\":{\"username\":\"u\",\"password\":\"p\"}}}" "$head{\"$REGISTRY\":{\"username\":\"u\",\"password\":\"\"}}}" \
        "${head/v1\"/v1alpha1\"}{\"$REGISTRY\":{\"username\":\"u\",\"password\":\"p\"}}}" "$head{}}"; do
        answering "$answer"
        failed_alone "the program's answer has no login for $REGISTRY in the form of credentialprovider.kubelet.k8s.io/v1"
    done
    for answer in '' 'hello' "$head{\"$REGISTRY\":{\"username\":\"u\",\"password\":\"p\"}}}"$'\n{}' "note $head{}}"; do
        answering "$answer"
        failed_alone 'the answer of the program is not one line of JSON'
    done
    answering "${head}null}"
    failed_alone "the program has no login for $REGISTRY (auth is null)"
}

@test "the refresh timer: active, stopped, failed, gone" {
    install_program --refresh-timer
    succeeded
    verify
    succeeded
    says "timer: $name-refresh.timer is active"
    true >"$FAKE/refresh-failed"
    verify
    failed_alone 'timer: the last refresh failed' "journalctl -u $name-refresh"
    rm "$FAKE/refresh-failed" "$FAKE/timer-up"
    verify
    failed_alone 'timer:' 'is not active' "systemctl start $name-refresh.timer"
    rm "$ROOT/etc/systemd/system/$name-refresh.service"
    verify
    failed_alone 'timer:' 'was installed, but its files are missing' 'run install.sh --refresh-timer again'
}

@test "an installation that was killed" {
    mkdir "$ROOT/var/lib/$name/undo"
    true >"$ROOT/var/lib/$name/undo/list"
    verify
    failed_alone 'installation: install.sh was killed' 'run it again'
}

@test "not as root: it fails, and says what cannot be seen" {
    [ "$(id -u)" = 0 ] || skip 'this is not root'
    chmod 755 "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR"
    chmod -R a+rX "$ROOT/proc"
    chmod 777 "$TMPDIR"
    local sh=("$(command -v "$UNDER")")
    [ "$UNDER" != busybox ] || sh+=(sh)
    PATH=${PATH#"$tools":} run setpriv --reuid 65534 --regid 65534 --clear-groups env PATH="$PATH" "${sh[@]}" "$scripts/verify.sh" --root "$ROOT"
    failed 'FAILED  user: this user is not root; only root can read' 'do: run this as root' 'FAILED  configuration:' 'ok      flags:'
}

@test "a wrong use is reported with exit code 2" {
    for arguments in --nope --image '--image a"b' '--root /nonexistent'; do
        # shellcheck disable=SC2086 # as many as there are
        run shell "$scripts/verify.sh" $arguments
        [ "$status" = 2 ]
        says error:
    done
}
