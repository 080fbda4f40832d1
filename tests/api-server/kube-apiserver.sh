# shellcheck shell=bash
# A kube-apiserver of Debian's source package: Debian has its source and no package of it.

# kube_apiserver FOLDER SYSTEM: FOLDER/kube-apiserver, built with the Go of that system. It is kept for
# the next run. The caller has `cannot`, which ends the run.
kube_apiserver() {
    local folder=$1 system=$2 build=$1/build
    [ ! -x "$folder/kube-apiserver" ] || return 0
    rm -rf "$build"
    kubernetes_source "$build" "$folder/tools/usr/share/keyrings/debian-archive-keyring.gpg"
    echo '== kube-apiserver, which takes a quarter of an hour'
    (
        cd "$build/src/k8s.io/kubernetes"
        PATH=$system/usr/lib/go-1.19/bin:$PATH
        export GOROOT=$system/usr/lib/go-1.19 GOPATH=$build GOCACHE=$build/cache
        export GO111MODULE=off GOPROXY=off GOFLAGS='' CGO_ENABLED=0
        open_api && go build -o "$folder/kube-apiserver.part" -ldflags '-s -w' k8s.io/kubernetes/cmd/kube-apiserver
    ) || cannot 'kube-apiserver cannot be built'
    mv "$folder/kube-apiserver.part" "$folder/kube-apiserver"
    rm -rf "$build"
}

# Its patches are for kubectl alone.
kubernetes_source() { # folder keyring
    local apt=$1/apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$1/src/k8s.io/kubernetes"
    echo "deb-src [signed-by=$2] http://deb.debian.org/debian bookworm main" >"$apt/sources.list"
    (
        cd "$apt"
        options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=- -o APT::Sandbox::User=root
            -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt")
        apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only kubernetes
    ) || cannot 'the source of kubernetes cannot be downloaded'
    tar -xzf "$apt"/kubernetes_*.orig.tar.gz -C "$1/src/k8s.io/kubernetes" --strip-components=1
}

# What the API server says of its types is generated, and not in the source.
open_api() {
    local packages
    packages=$(grep -rl --include='*.go' '+k8s:openapi-gen=' pkg cmd plugin vendor/k8s.io/*/ |
        grep -v -e code-generator -e sample-apiserver -e kube-openapi | xargs -n1 dirname | sort -u |
        sed 's|^|k8s.io/kubernetes/|' | paste -sd,)
    go build -o "$GOPATH/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen &&
        "$GOPATH/openapi-gen" -i "$packages" -p k8s.io/kubernetes/pkg/generated/openapi \
            -O zz_generated.openapi -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$GOPATH/violations"
}
