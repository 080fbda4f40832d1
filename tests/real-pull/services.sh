# shellcheck shell=bash disable=SC2154 # `inside` has the variables.
# What runs inside: the simulated cloud, the registry and containerd.

# Only loopback, its own /etc/hosts, and the host's file system read-only.
enclose() {
    mount -t tmpfs real-pull "$room"
    mount -t tmpfs real-pull /run
    cat >"$room/hosts" <<END
127.0.0.1 localhost $acme $foo
END
    mount --bind "$room/hosts" /etc/hosts
    mount -o remount,bind,ro /
    ip link set lo up
    export TMPDIR=$room HOME=$room
}

start_cloud() {
    cat >"$room/overlay.yaml" <<END
tls: true
accounts:
  "2000000000000002":
    roles:
      acr-puller:
        policies:
          nothing-secret:
            Version: "1"
            Statement:
              - {Effect: Deny, Action: "cr:PullRepository", Resource: "acs:cr:*:*:repository/*/secret/*"}
END
    coproc cloud {
        "$programs/simulated-cloud" --overlay "$room/overlay.yaml" --registry-dir "$room" 2>"$room/cloud.log"
    }
    read -r -t 30 urls <&"${cloud[0]}"
    url() { jq -r ".$1" <<<"$urls"; }
    realm=$(url registry)/auth
    # With it curl, docker-registry and containerd trust the cloud's authority.
    SSL_CERT_FILE=$(url ca)
    export SSL_CERT_FILE CURL_CA_BUNDLE=$SSL_CERT_FILE
    # Two instances in the first entry, and no domains: the registry has to say which one it is.
    (umask 077 && cat >"$room/provider.yaml") <<END
acr-registry-info:
  - instanceId: cri-acmedev000000001,cri-acmeprod00000001
    regionId: cn-hangzhou
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller
    expireDuration: 900
  - instanceId: cri-fooregistry00001
    regionId: cn-hangzhou
    domains: $foo
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller
    expireDuration: 900
credential-provider:
  caFile: $SSL_CERT_FILE
  # The tests move the cloud's clock, but not this machine's.
  cacheDir: off
  endpoints: {metadata: "$(url metadata)", sts: "$(url sts)", cr: "$(url cr)"}
END
}

# Sends a command to the cloud and sets `answer`. Not for subshells: they do not have the pipe.
command_cloud() {
    printf '%s\n' "$*" >&"${cloud[1]}"
    read -r -t 30 answer <&"${cloud[0]}"
}

advance() {
    command_cloud advance "$1"
}

# Writes the calls that the cloud has seen to $room/calls.
list_calls() {
    command_cloud calls && jq -r '.calls[]' <<<"$answer" | tee "$room/calls"
}

# Ends the cloud. Fails if it saw violations.
end_cloud() {
    local pid=$cloud_PID input=${cloud[1]} status=0
    exec {input}>&-
    wait "$pid" || status=$?
    cat "$room/cloud.log"
    return "$status"
}

start_registry() {
    cat >"$room/registry.yaml" <<END
version: 0.1
storage:
  filesystem: {rootdirectory: $room/storage}
http:
  addr: 127.0.0.1:443
  tls: {certificate: $room/server.pem, key: $room/server.pem}
auth:
  token:
    realm: $realm
    service: $service
    issuer: dockerauth.aliyuncs.com
    rootcertbundle: $room/realm.pem
END
    docker-registry serve "$room/registry.yaml" >"$room/registry.log" 2>&1 &
    wait_for curl --silent --output /dev/null "https://$acme/v2/"
}

start_containerd() {
    cat >"$room/containerd.toml" <<END
version = 2
root = "$room/containerd/root"
state = "$room/containerd/state"
[grpc]
  address = "$room/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$room/containerd/opt"
[plugins."io.containerd.grpc.v1.cri".cni]
  conf_dir = "$room/containerd/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
  # Copies instead of overlays: that works on any file system, also in a container.
  snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "$room/certs.d"
END
    containerd --config "$room/containerd.toml" >"$room/containerd.log" 2>&1 &
    wait_for cri ListImages </dev/null
}

wait_for() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "this does not start: $*" >&2
    return 1
}
