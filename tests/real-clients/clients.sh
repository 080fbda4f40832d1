# shellcheck shell=bash disable=SC2154 # `inside` has the variables.
# The clients: how each is run, and how what it has pulled is looked at.

# A root file system for the clients: the packages, read-only, with folders that can be written to.
make_root() {
    local folder
    root=$room/root
    mkdir "$root" "$room/bin" "$room/home"
    cp "$programs/aliyun-acr-credential-provider" "$room/bin/docker-credential-acr"
    mount --bind "$release" "$root"
    mount -o remount,bind,ro "$root"
    for folder in tmp run root var etc/docker; do mount -t tmpfs real-clients "$root/$folder"; done
    mkdir -p "$root$room" "$root/var/tmp"
    mount --bind "$room" "$root$room"
    mount --bind "$room/hosts" "$root/etc/hosts"
    for folder in proc sys dev; do mount --rbind "/$folder" "$root/$folder"; done
}

# client COMMAND...: runs it in the release, as a person there would.
client() {
    env -i PATH="$room/bin:/usr/bin:/bin:/usr/sbin:/sbin" HOME="$room/home" SSL_CERT_FILE="$SSL_CERT_FILE" \
        DOCKER_HOST=unix:///run/docker.sock DOCKER_CONFIG="$room/docker" \
        REGISTRY_AUTH_FILE="$room/docker/config.json" \
        ACR_CREDENTIAL_PROVIDER_CONFIG="${config:-$room/provider.yaml}" DOCKER_BUILDKIT="${DOCKER_BUILDKIT:-0}" \
        chroot "$root" "$@" </dev/null
}

# Those that the release has.
list_clients() {
    local name
    clients=()
    for name in skopeo podman buildah docker oras crane; do
        [ ! -x "$release/usr/bin/$name" ] || clients+=("$name")
    done
}

# docker pulls through its engine, which runs nothing here.
start_engine() {
    client dockerd --data-root "$room/docker-data" --exec-root "$room/docker-run" --pidfile "$room/docker.pid" \
        --host unix:///run/docker.sock --bridge none --iptables=false --storage-driver vfs \
        >"$room/dockerd.log" 2>&1 &
    wait_for client docker version
}

version_of() {
    local package=$1
    # In bookworm docker's command line is in one package with its engine.
    [ "$1" != docker ] || package=docker.io
    sed -n "s/^$package //p" "$release/versions"
}

# podman and buildah copy layers: that works on any file system, also in a container.
storage=(--storage-driver vfs)

# pull CLIENT IMAGE: what it pulls goes to $place; docker's goes to its engine.
pull() {
    local plain=()
    case $1:$2 in
    skopeo:$other/*) plain=(--src-tls-verify=false) ;;
    podman:$other/* | buildah:$other/*) plain=(--tls-verify=false) ;;
    oras:$other/*) plain=(--from-plain-http) ;;
    esac
    case $1 in
    skopeo) client skopeo copy "${plain[@]}" "docker://$2" "dir:$place" ;;
    podman | buildah)
        client "$1" "${storage[@]}" --root "$place" --runroot "$place.run" pull "${plain[@]}" "$2"
        ;;
    docker) client docker pull "$2" ;;
    oras) client oras copy "${plain[@]}" "$2" --to-oci-layout "$place:v1" ;;
    crane) client crane pull --format oci "$2" "$place" ;;
    esac
}

# The layer is there, with its digest, or with its contents.
has_contents() {
    case $1 in
    docker) client docker image inspect --format '{{.RootFS.Layers}}' "$2" | grep "$(digest "$room/layer.tar")" ;;
    *) grep --recursive --quiet --fixed-strings "$(cat "$room/content")" "$place" ;;
    esac
}

# docker's builders, the one in the engine and BuildKit, with an image that begins with ours.
build() {
    mkdir -p "$room/build"
    echo "FROM $image" >"$room/build/Dockerfile"
    DOCKER_BUILDKIT=$1 client docker build --pull "$room/build"
}

# Removes what was pulled before.
forget() {
    rm -rf "$place" "$place.run"
    client docker image ls --quiet | sort -u | while read -r id; do client docker image rm --force "$id" >/dev/null; done
}

# With the helper's own login where the client asks a person for one: that ends in `store`.
log_in() {
    local user password login
    case $1 in
    crane | oras)
        user=$(ask_helper "$2" .Username) && password=$(ask_helper "$2" .Secret) || return
        login=(oras login)
        [ "$1" = oras ] || login=(crane auth login)
        client "${login[@]}" --username "$user" --password "$password" "$2"
        ;;
    *) client "$1" login "$2" ;;
    esac
}

ask_helper() {
    echo "$1" | ACR_CREDENTIAL_PROVIDER_CONFIG=$room/provider.yaml "$room/bin/docker-credential-acr" get | jq -er "$2"
}

log_out() {
    case $1 in
    crane) client crane auth logout "$2" ;;
    *) client "$1" logout "$2" ;;
    esac
}
