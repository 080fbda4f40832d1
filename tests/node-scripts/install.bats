#!/usr/bin/env bats
load node.bash

@test "an ACK node: binary, configuration, kubelet configuration, flags beside those that are there" {
    node ack
    install_all
    succeeded
    looks_like ack
    [[ $(kubelet_args) == *"--eviction-hard=imagefs.available<5% --system-reserved=cpu=100m --kube-reserved=cpu=100m $flag-config="* ]]
    [ "$(restarts)" = 1 ]
}

@test "a second run changes nothing and restarts nothing" {
    node ack
    install_all --refresh-timer
    succeeded
    snapshot >"$FAKE/first"
    : >"$FAKE/log"
    find "$ROOT" -newer "$FAKE/log" >"$FAKE/newer"
    install_all --refresh-timer
    succeeded
    says 'nothing to do'
    diff <(snapshot) "$FAKE/first"
    [ ! -s "$FAKE/log" ]
}
