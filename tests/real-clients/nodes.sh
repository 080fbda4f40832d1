# shellcheck shell=bash disable=SC2154 # `inside` has the variables.
# Images of nodes for which nobody asks the program: how containerd gets a login for them.

# Both run in the release, as `containerd.sh` calls them.
containerd() { client containerd "$@"; }
ctr() { client ctr --address "$room/containerd.sock" --namespace k8s.io "$@"; }

nodes() {
    start_containerd
    user=$(ask_helper "$acme" .Username)
    password=$(ask_helper "$acme" .Secret)
    echo "      containerd: $(version_of containerd)"
    check 'containerd refuses a pull that has no login' no_login
    # Debian has no crictl. With --creds it sends this message.
    check "crictl pull --creds, with the helper's answer" pulled "$image" "$user" "$password"
    check '  the layer is there' layer_is_there
    forget_images
    check "ctr images pull --user, with the helper's answer" pulled_by_ctr
    check '  and the kubelet finds the image, as it has to find a pause image' image_is_known
    forget_images
    check 'a header of hosts.toml with the login: for containerd 2 alone' header_of_hosts
    forget_images
}

no_login() {
    if pulled "$image"; then return 1; fi
    grep '401 Unauthorized' "$room/said"
}

pulled_by_ctr() {
    local options=(--snapshotter native)
    # containerd 2 otherwise leaves the pull to the daemon, which has no such snapshotter for it.
    [[ $(version_of containerd) = 1.* ]] || options+=(--local)
    ctr images pull "${options[@]}" --user "$user:$password" "$image"
}

layer_is_there() {
    contents | grep "$(digest "$room/layer.tar")"
}

# ImageStatus answers with an empty message if there is no such image.
image_is_known() {
    field 1 "$(field 1 "$image")" | cri ImageStatus && grep --quiet --text team/app "$room/reply"
}

# containerd 1 gives the header to the registry, and asks the token service without it.
header_of_hosts() {
    mkdir -p "$room/certs.d/$acme"
    cat >"$room/certs.d/$acme/hosts.toml" <<END
server = "https://$acme"
[host."https://$acme"]
  capabilities = ["pull", "resolve"]
  [host."https://$acme".header]
    Authorization = "Basic $(printf %s "$user:$password" | base64 --wrap 0)"
END
    local works=0
    pulled "$image" || works=$?
    rm "$room/certs.d/$acme/hosts.toml"
    case $(version_of containerd) in
    1.*) [ "$works" != 0 ] && grep '401 Unauthorized' "$room/said" ;;
    *) [ "$works" = 0 ] ;;
    esac
}
