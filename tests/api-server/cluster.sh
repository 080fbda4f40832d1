# shellcheck shell=bash
# The cluster: etcd, kube-apiserver, and what is asked of it as its administrator.

SYSTEM_FOLDER=$room/cluster
PORT=6443

# A certificate authority: authority NAME.
authority() {
    openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=$1" -days 30 -keyout "$certificates/$1.key" \
        -out "$certificates/$1.crt" -addext keyUsage=critical,keyCertSign 2>/dev/null
}

# A certificate: certificate NAME AUTHORITY SUBJECT EXTENSION...
certificate() {
    local name=$1 authority=$2 subject=$3
    shift 3
    openssl req -newkey rsa:2048 -nodes -subj "$subject" -keyout "$certificates/$name.key" \
        -out "$certificates/$name.csr" 2>/dev/null
    printf '%s\n' "$@" >"$certificates/$name.ext"
    openssl x509 -req -in "$certificates/$name.csr" -CA "$certificates/$authority.crt" -days 20 \
        -CAkey "$certificates/$authority.key" -CAcreateserial -extfile "$certificates/$name.ext" \
        -out "$certificates/$name.crt" 2>/dev/null
}

make_certificates() {
    certificates=$SYSTEM_FOLDER/certificates
    mkdir -p "$certificates"
    local names='subjectAltName=DNS:kubernetes.default.svc,IP:10.96.0.1,IP:127.0.0.1,IP:::1'
    for name in authority another; do
        authority "$name"
        certificate "server-of-$name" "$name" /CN=kube-apiserver "$names"
    done
    certificate admin authority /O=system:masters/CN=admin extendedKeyUsage=clientAuth
    openssl genrsa -out "$certificates/tokens.key" 2048 2>/dev/null
    openssl rsa -in "$certificates/tokens.key" -pubout -out "$certificates/tokens.pub" 2>/dev/null
}

start_etcd() {
    mkdir -p "$SYSTEM_FOLDER/etcd"
    "$system/usr/bin/etcd" --data-dir "$SYSTEM_FOLDER/etcd" --unsafe-no-fsync \
        --listen-peer-urls http://127.0.0.1:2380 >"$room/etcd.log" 2>&1 &
}

# The API server with a certificate of an authority: start_server AUTHORITY.
start_server() {
    "$apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address=:: --advertise-address=127.0.0.1 --secure-port="$PORT" \
        --tls-cert-file="$certificates/server-of-$1.crt" --tls-private-key-file="$certificates/server-of-$1.key" \
        --client-ca-file="$certificates/authority.crt" --authorization-mode=RBAC \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file="$certificates/tokens.pub" \
        --service-account-signing-key-file="$certificates/tokens.key" \
        --service-cluster-ip-range=10.96.0.0/16 --endpoint-reconciler-type=none \
        --feature-gates=BoundServiceAccountTokenVolume=true >>"$room/server.log" 2>&1 &
    server=$!
    cat >"$shared/kubeconfig" <<EOF
apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: admin}}]
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$PORT", certificate-authority-data: $(data "$1.crt")}}]
users: [{name: admin, user: {client-certificate-data: $(data admin.crt), client-key-data: $(data admin.key)}}]
EOF
    for _ in $(seq 600); do
        kill -0 "$server" || break
        if kubectl get --raw /readyz >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    tail -30 "$room/server.log"
    return 1
}

data() { base64 -w0 "$certificates/$1"; }

stop_server() {
    kill -TERM "$server"
    wait "$server" || true
}

kubectl() { "$system/usr/bin/kubectl" --kubeconfig "$shared/kubeconfig" --cache-dir "$room/kubectl" "$@"; }

in_system() { kubectl --namespace kube-system "$@"; }

lease() { in_system get lease "$NAME" -o "jsonpath={.spec.$1}"; }
