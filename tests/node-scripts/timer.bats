#!/usr/bin/env bats
# The timer that renews logins.
load node.bash

units=etc/systemd/system

@test "a timer on request, which may write nothing but the cache" {
    node ack
    install_all --refresh-timer
    succeeded
    looks_like timer
    grep -qx "restart $name-refresh.timer" "$FAKE/log"
    uninstall
    succeeded
    grep -qx "stop $name-refresh.timer" "$FAKE/log"
    [ ! -e "$ROOT/etc/systemd/system/timers.target.wants" ]
}

@test "the cache that may be written is that of the configuration, however it is written" {
    while read -r text; do
        node ack
        printf '%b\n' "$text" >"$FAKE/config.yaml"
        install_all --refresh-timer
        succeeded
        grep -qx ReadWritePaths=-/var/cache/acr "$ROOT/$units/$name-refresh.service" ||
            { echo "$text"; cat "$ROOT/$units/$name-refresh.service"; false; }
        rm -rf "$ROOT" "$FAKE"
    done <<'END'
credential-provider:\n  cacheDir: /var/cache/acr
credential-provider:\n  # cacheDir: /elsewhere\n  cacheDir: "/var/cache/acr" # ours
credential-provider: {cacheDir: '/var/cache/acr', margin: 30s}
data:\n  credential-provider: |\n    cacheDir: /var/cache/acr
data:\n  credential-provider: "margin: 30s\\\\ncacheDir: /var/cache/acr\\\\n"
{"credential-provider":{"cacheDir":"/var/cache/acr","margin":"30s"}}
END
    # systemd takes what stands behind a % for something else.
    node ack
    printf 'credential-provider: {cacheDir: /var/cache/acr%%n}\n' >"$FAKE/config.yaml"
    install_all --refresh-timer
    succeeded
    grep -qx ReadWritePaths=-/var/cache/acr%%n "$ROOT/$units/$name-refresh.service"
    for text in 'credential-provider:\n  cacheDir: off' 'credential-provider:\n  #cacheDir: /var/cache/acr'; do
        node ack
        printf '%b\n' "$text" >"$FAKE/config.yaml"
        install_all --refresh-timer
        succeeded
        grep -qx ReadWritePaths= "$ROOT/$units/$name-refresh.service"
    done
}

@test "systemd takes the units as they are" {
    command -v systemd-analyze || skip 'no systemd-analyze on this machine'
    node ack
    printf 'credential-provider: {cacheDir: /var/cache/acr}\n' >"$FAKE/config.yaml"
    install_all --refresh-timer
    succeeded
    # It wants the binary to be there.
    sed -i "s|^ExecStart=|&$ROOT|" "$ROOT/$units/$name-refresh.service"
    run systemd-analyze verify "$ROOT/$units/$name-refresh.service" "$ROOT/$units/$name-refresh.timer"
    echo "$output"
    [[ $output != *"$name"* ]]
    succeeded
    echo 'ProtectSystem=strictly' >>"$ROOT/$units/$name-refresh.service"
    run systemd-analyze verify "$ROOT/$units/$name-refresh.service"
    says 'Failed to parse protect system value'
}
