# shellcheck shell=bash
# Nodes, each with a stand-in for systemd and the kubelet, and the containers of the DaemonSet on them.

# A node's files, as they are before: node NAME.
node() {
    local folder=$room/$1
    if [ -d "$folder/host" ]; then umount -R "$folder/host"; fi
    rm -rf "$folder"/{upper,work}
    mkdir -p "$folder"/{upper,work,host}
    mount -t overlay overlay -o "lowerdir=$system,upperdir=$folder/upper,workdir=$folder/work" "$folder/host"
    mount --rbind /dev "$folder/host/dev"
    mkdir -p "$folder/host"/{fake,fakes,cluster}
    cp "$here/../setup/fakes/systemctl" "$folder/host/fakes/systemctl"
    mount --bind "$shared" "$folder/host/cluster"
    cp "$here/../setup/fakes/kubelet" "$folder/host/usr/bin/kubelet"
    cat >"$folder/host/usr/lib/systemd/system/kubelet.service" <<'EOF'
[Service]
EnvironmentFile=-/etc/default/kubelet
ExecStart=/usr/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf $KUBELET_EXTRA_ARGS
EOF
    rm -f "$folder/host/usr/bin/systemctl"
    # Each restart is noted with who has the Lease at that time.
    cat >"$folder/host/usr/bin/systemctl" <<EOF
#!/bin/sh
if [ "\$*" = 'restart kubelet' ] && [ ! -e /fake/quiet ]; then
    holder=\$(kubectl --kubeconfig=/cluster/kubeconfig --cache-dir=/tmp --namespace=kube-system get lease $NAME \
        -o 'jsonpath={.spec.holderIdentity}' 2>&1)
    echo "$1 \$holder" >>/cluster/restarts
fi
ROOT='' FAKE=/fake exec /fakes/systemctl "\$@"
EOF
    chmod 0755 "$folder/host/usr/bin/systemctl"
    touch "$folder/host/fake/quiet"
    chroot "$folder/host" systemctl restart kubelet
    rm "$folder/host/fake/quiet"
}

# A pod of the DaemonSet on a node, as its controller would make it, and a container for it:
# pod NODE. What the server made of the pod is in NODE/pod.json.
pod() {
    local folder=$room/$1 container=$room/$1/container
    in_system get daemonset "$NAME" -o json | jq --arg node "$1" --arg name "$NAME-$1" '
        .spec.template | {apiVersion: "v1", kind: "Pod", metadata: (.metadata + {name: $name}),
            spec: (.spec + {nodeName: $node})}' >"$folder/wanted.json"
    in_system create --filename "$folder/wanted.json" -o json >"$folder/pod.json"
    rm -rf "$container"
    mkdir -p "$container"/{dev,host,proc,configuration} "$container$(place_of ready "$1")"
    cp "$program" "$container/aliyun-acr-credential-provider"
    ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$container$(dirname "$library")"
        cp -L "$library" "$container$library"
    done
    # As the kubelet mounts a Secret.
    mkdir "$container/configuration/..1"
    cat >"$container/configuration/..1/config.yaml" <<'EOF'
acr-registry-info:
  - instanceId: cri-acmeacmeacme0001
    regionId: cn-hangzhou
    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com
EOF
    chmod 0400 "$container/configuration/..1/config.yaml"
    ln -s ..1 "$container/configuration/..data"
    ln -s ..data/config.yaml "$container/configuration/config.yaml"
    token "$1"
}

# Where a volume of the pod is mounted: place_of VOLUME NODE.
place_of() {
    jq -r --arg name "$1" '.spec.containers[0].volumeMounts[] | select(.name == $name) | .mountPath' "$room/$2/pod.json"
}

# What the kubelet mounts for the pod's service account: token NODE [TOKEN [AUTHORITY]]. Without a token it
# is a new one.
token() {
    local folder=$room/$1 text=${2:-} authority=${3:-authority} volume place
    volume=$(jq -r '.spec.volumes[] | select(.projected) | .name' "$folder/pod.json")
    place=$folder/container$(place_of "$volume" "$1")
    [ -n "$text" ] || text=$(request_token "$1")
    mkdir -p "$place"
    chmod 1777 "$place"
    version=$((${version:-0} + 1))
    mkdir "$place/..$version"
    printf %s "$text" >"$place/..$version/token"
    cp "$certificates/$authority.crt" "$place/..$version/ca.crt"
    printf kube-system >"$place/..$version/namespace"
    chmod 0600 "$place/..$version/token"
    ln -s "..$version" "$place/..data_tmp"
    mv -T "$place/..data_tmp" "$place/..data"
    for name in token ca.crt namespace; do ln -sf "..data/$name" "$place/$name"; done
}

# A token of the service account that is bound to the pod.
request_token() {
    jq '{apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {
        expirationSeconds: (.spec.volumes[].projected | select(.) | .sources[].serviceAccountToken | select(.) | .expirationSeconds),
        boundObjectRef: {apiVersion: "v1", kind: "Pod", name: .metadata.name, uid: .metadata.uid}}}' "$room/$1/pod.json" |
        kubectl create --raw "/api/v1/namespaces/kube-system/serviceaccounts/$(jq -r .spec.serviceAccountName "$room/$1/pod.json")/token" \
            --filename - | jq -r .status.token
}

# A new token of the pod, but from another year.
expired_token() {
    local token header claims
    token=$(request_token "$1")
    header=${token%%.*}
    claims=${token#*.}
    claims=$(base64url --decode <<<"${claims%.*}" | jq -c '.iat = 1600000000 | .nbf = .iat | .exp = .iat + 3600' | base64url)
    printf %s "$header.$claims." "$(printf %s "$header.$claims" | openssl dgst -sha256 -sign "$certificates/tokens.key" | base64url)"
}

base64url() {
    if [ "${1:-}" != --decode ]; then
        base64 -w0 | tr '+/' '-_' | tr -d '='
        return
    fi
    local text
    text=$(tr -d '\n' | tr -- '-_' '+/')
    while [ $((${#text} % 4)) != 0 ]; do text+='='; done
    base64 --decode <<<"$text"
}

# Starts the container of a node's pod: keep NODE OPTION... Its log is NODE/log, its process keeper[NODE].
keep() {
    local node=$1 folder=$room/$1 capabilities words
    shift
    capabilities=$(jq -r '.spec.containers[0].securityContext.capabilities |
        [.drop[] | "-" + ascii_downcase] + [.add[] | "+" + ascii_downcase] | join(",")' "$folder/pod.json")
    mapfile -t words < <(jq -r '.spec.containers[0].args[]' "$folder/pod.json" | sed \
        -e "s/\$(NODE_NAME)/$node/" -e "s/\$(KUBERNETES_SERVICE_HOST)/${HOST:-127.0.0.1}/" \
        -e "s/\$(KUBERNETES_SERVICE_PORT)/$PORT/")
    # shellcheck disable=SC2016 # for the shell inside
    unshare --mount bash -euc '
        container=$1 node=$2 capabilities=$3
        shift 3
        mount --rbind "$node" "$container/host"
        mount --rbind /dev "$container/dev"
        mount -t proc proc "$container/proc"
        exec env -i /usr/bin/setpriv --bounding-set="$capabilities" --inh-caps=-all --no-new-privs \
            /usr/sbin/chroot "$container" /aliyun-acr-credential-provider "$@"
    ' bash "$folder/container" "$folder/host" "$capabilities" "${words[@]}" --watch="${WATCH:-2}" --every=1 "$@" \
        >"$folder/log" 2>&1 &
    keeper[$node]=$!
}

# The readiness probe of a node's pod.
probe() {
    local command
    mapfile -t command < <(jq -r '.spec.containers[0].readinessProbe.exec.command[]' "$room/$1/pod.json")
    env -i /usr/sbin/chroot "$room/$1/container" "${command[@]}"
}
