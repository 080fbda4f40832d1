# shellcheck shell=bash disable=SC2154 # `inside` has the variables.
# A test image, and the registry's HTTP API.

# fill_registry REPOSITORY...: pushes an image with the file hello. For that it starts a registry that
# needs no login, on the same storage.
fill_registry() {
    cat >"$room/open-registry.yaml" <<END
version: 0.1
storage:
  filesystem: {rootdirectory: $room/storage}
http:
  addr: 127.0.0.1:5000
END
    docker-registry serve "$room/open-registry.yaml" >"$room/open-registry.log" 2>&1 &
    local pid=$! repository
    wait_for curl --silent --output /dev/null http://127.0.0.1:5000/v2/
    make_image
    for repository in "$@"; do
        push_blob "$repository" "$room/layer.tar"
        push_blob "$repository" "$room/config.json"
        curl --silent --show-error --fail --request PUT --data-binary "@$room/manifest.json" \
            --header 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
            "http://127.0.0.1:5000/v2/$repository/manifests/v1"
    done
    kill "$pid"
    wait "$pid" || true
}

make_image() {
    tar --create --file "$room/layer.tar" --directory "$room" --owner 0 --group 0 hello
    cat >"$room/config.json" <<END
{"architecture": "$(dpkg --print-architecture)", "os": "linux", "config": {},
 "rootfs": {"type": "layers", "diff_ids": ["$(digest "$room/layer.tar")"]}}
END
    cat >"$room/manifest.json" <<END
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
 "config": $(descriptor application/vnd.oci.image.config.v1+json "$room/config.json"),
 "layers": [$(descriptor application/vnd.oci.image.layer.v1.tar "$room/layer.tar")]}
END
}

descriptor() {
    printf '{"mediaType": "%s", "digest": "%s", "size": %s}' "$1" "$(digest "$2")" "$(stat -c %s "$2")"
}

digest() {
    echo "sha256:$(sha256sum <"$1" | cut -d ' ' -f 1)"
}

push_blob() {
    local place
    place=$(curl --silent --show-error --fail --request POST --output /dev/null \
        --write-out '%header{location}' "http://127.0.0.1:5000/v2/$1/blobs/uploads/")
    curl --silent --show-error --fail --request PUT --data-binary "@$2" \
        --header 'Content-Type: application/octet-stream' "$place&digest=$(digest "$2")"
}

# ask_realm USER PASSWORD SCOPE
ask_realm() {
    curl --silent --show-error --fail --user "$1:$2" --get --data-urlencode "service=$service" \
        --data-urlencode "scope=$3" "$realm" | jq -er .token
}

# with_token TOKEN METHOD PATH: prints the status of the registry's answer.
with_token() {
    curl --silent --show-error --output /dev/null --write-out '%{http_code}' --request "$2" \
        --header "Authorization: Bearer $1" --header 'Accept: application/vnd.oci.image.manifest.v1+json' \
        "https://$acme/v2/$3"
}
