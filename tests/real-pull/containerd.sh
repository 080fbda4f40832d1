# shellcheck shell=bash disable=SC2154 # `inside` has the variables.
# The kubelet's side of containerd: CRI, a gRPC service. Debian has no crictl. curl speaks HTTP/2, and
# the messages are short enough to build them here.

# cri METHOD: sends stdin to the image service. The headers of the answer are then in $room/said.
cri() {
    local length shift
    cat >"$room/message"
    length=$(stat -c %s "$room/message")
    {
        # Not compressed; then the length in four bytes.
        byte 0
        for shift in 24 16 8 0; do byte $((length >> shift & 255)); done
        cat "$room/message"
    } >"$room/frame"
    curl --silent --show-error --max-time 30 --http2-prior-knowledge \
        --unix-socket "$room/containerd.sock" --header 'Content-Type: application/grpc' \
        --header 'TE: trailers' --data-binary "@$room/frame" --dump-header "$room/said" \
        --output "$room/reply" "http://localhost/runtime.v1.ImageService/$1"
    cat "$room/said"
    grep -q '^grpc-status: 0' "$room/said"
}

# pulled IMAGE [USER PASSWORD]
pulled() {
    {
        field 1 "$(field 1 "$1")"
        [ $# = 1 ] || field 2 "$(field 1 "$2" && field 2 "$3")"
    } | cri PullImage
}

# field NUMBER BYTES: a field of a protobuf message, at most 16383 bytes long.
field() {
    local length=${#2}
    byte $(($1 << 3 | 2))
    if [ "$length" -lt 128 ]; then
        byte "$length"
    else
        byte $((length & 127 | 128))
        byte $((length >> 7))
    fi
    printf %s "$2"
}

byte() {
    printf %b "\\x$(printf %02x "$1")"
}

ctr() {
    command ctr --address "$room/containerd.sock" --namespace k8s.io "$@"
}

contents() {
    ctr content ls --quiet
}

forget_images() {
    ctr images ls --quiet | while read -r name; do ctr images rm --sync "$name" >/dev/null; done
    [ -z "$(contents)" ]
}

# contents_are_there IMAGE
contents_are_there() {
    mkdir -p "$room/mnt"
    ctr images mount --snapshotter native "$1" "$room/mnt" &&
        cmp "$room/content" "$room/mnt/hello" && ctr images unmount --rm "$room/mnt"
}
