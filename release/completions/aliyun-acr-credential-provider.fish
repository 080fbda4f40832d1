# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_aliyun_acr_credential_provider_global_optspecs
    string join \n help version config=
end

function __fish_aliyun_acr_credential_provider_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_aliyun_acr_credential_provider_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_aliyun_acr_credential_provider_using_subcommand
    set -l cmd (__fish_aliyun_acr_credential_provider_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_needs_command" -l config -d 'the configuration file' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_needs_command" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_needs_command" -l version -d 'version, commit and target; with --json as a document'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_needs_command" -f -a "refresh" -d 'Renews the logins in the node\'s cache that pulls have used in the last 24 hours and that have less than expiring-threshold left, and says in one line which.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_needs_command" -f -a "doctor" -d 'Follows a pull of the image, or of the configured hosts.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_needs_command" -f -a "render" -d 'Writes a file for others'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_needs_command" -f -a "setup" -d 'Changes a node\'s files'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand refresh" -l config -d 'the configuration file' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand refresh" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand doctor" -l config -d 'the configuration file' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand doctor" -l image -d 'follow a pull of this image' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand doctor" -l oss -d 'the bucket that layers come from; auto: by the instance\'s id' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand doctor" -l root -d 'the node\'s files are below DIR' -r -f -a "(__fish_complete_directories)"
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand doctor" -l config-only -d 'check the configuration alone and call nothing, for CI'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand doctor" -l verbose -d 'every detail of checks that passed, too'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand doctor" -l json -d 'one JSON document, for programs'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand doctor" -l sarif -d 'with --config-only: one SARIF document, for code hosts'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand doctor" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and not __fish_seen_subcommand_from kubelet-config ram-policy rbac config-map" -f -a "kubelet-config" -d 'Writes the kubelet\'s CredentialProviderConfig for the configured hosts.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and not __fish_seen_subcommand_from kubelet-config ram-policy rbac config-map" -f -a "ram-policy" -d 'Writes trust and permission policies of both accounts.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and not __fish_seen_subcommand_from kubelet-config ram-policy rbac config-map" -f -a "rbac" -d 'Writes what lets kubelets ask for tokens of any service account, or of those that are named, and their trust policies.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and not __fish_seen_subcommand_from kubelet-config ram-policy rbac config-map" -f -a "config-map" -d 'Writes the ConfigMap of the vendor\'s helper.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from kubelet-config" -l config -d 'the configuration file' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from kubelet-config" -l kubelet-version -d 'the kubelet\'s version, such as 1.33' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from kubelet-config" -l directory -d 'for a folder of such files'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from kubelet-config" -l service-accounts -d 'a second provider gets pods\' tokens (Kubernetes 1.33 and later)'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from kubelet-config" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from ram-policy" -l config -d 'the configuration file' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from ram-policy" -l service-account -d 'for this service account and role; may be repeated' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from ram-policy" -l issuer -d 'who issues the tokens of the cluster' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from ram-policy" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from rbac" -l config -d 'the configuration file' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from rbac" -l service-account -d 'for this service account and role; may be repeated' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from rbac" -l issuer -d 'who issues the tokens of the cluster' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from rbac" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from config-map" -l config -d 'the configuration file' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand render; and __fish_seen_subcommand_from config-map" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and not __fish_seen_subcommand_from install uninstall status keep ready docker" -f -a "install" -d 'Installs this program on a node and makes its kubelet use it.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and not __fish_seen_subcommand_from install uninstall status keep ready docker" -f -a "uninstall" -d 'Takes back what was installed, and nothing else.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and not __fish_seen_subcommand_from install uninstall status keep ready docker" -f -a "status" -d 'Says what is installed, and what has changed since.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and not __fish_seen_subcommand_from install uninstall status keep ready docker" -f -a "keep" -d 'For a DaemonSet: installs, looks again from time to time, and stays until SIGTERM.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and not __fish_seen_subcommand_from install uninstall status keep ready docker" -f -a "ready" -d 'For a readiness probe: exit code 0 if `setup keep` says that the node is as wanted.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and not __fish_seen_subcommand_from install uninstall status keep ready docker" -f -a "docker" -d 'Names the helper docker-credential-acr for the configured hosts under `credHelpers` in the file of docker, podman or another client.'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l config -d 'the configuration to put in place' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l binary -d 'the program to install, in place of this one' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l sha256 -d 'what the program must have' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l match-images -d 'patterns of images, with commas, in place of those of ACR' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l bin-dir -d 'the folder for the program, if the kubelet has none yet' -r -f -a "(__fish_complete_directories)"
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l kubelet-version -d 'the kubelet\'s version, such as 1.33' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l watch -d 'how long the kubelet must stay healthy (10)' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l root -d 'the node\'s files are below DIR' -r -f -a "(__fish_complete_directories)"
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l dry-run -d 'show the changes, and make none'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l service-accounts -d 'a second provider gets pods\' tokens (Kubernetes 1.33 and later)'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l close-images -d 'removes images that every pod could start; stops the kubelet'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l refresh-timer -d 'a systemd timer that renews logins before they end'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l restart -d 'with --root: the kubelet of the running system is this tree\'s'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l json -d 'one JSON document, for programs'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from install" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from uninstall" -l watch -d 'how long the kubelet must stay healthy (10)' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from uninstall" -l root -d 'the node\'s files are below DIR' -r -f -a "(__fish_complete_directories)"
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from uninstall" -l dry-run -d 'show the changes, and make none'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from uninstall" -l restart -d 'with --root: the kubelet of the running system is this tree\'s'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from uninstall" -l json -d 'one JSON document, for programs'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from uninstall" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from status" -l root -d 'the node\'s files are below DIR' -r -f -a "(__fish_complete_directories)"
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from status" -l restart -d 'with --root: the kubelet of the running system is this tree\'s'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from status" -l json -d 'one JSON document, for programs'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from status" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l config -d 'the configuration to put in place' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l match-images -d 'patterns of images, with commas, in place of those of ACR' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l bin-dir -d 'the folder for the program, if the kubelet has none yet' -r -f -a "(__fish_complete_directories)"
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l kubelet-version -d 'the kubelet\'s version, such as 1.33' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l watch -d 'how long the kubelet must stay healthy (10)' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l root -d 'the node\'s files are below DIR' -r -f -a "(__fish_complete_directories)"
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l every -d 'how often the node is looked at (60)' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l ready -d 'is there while the node is as wanted' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l lease -d 'a Lease of the cluster, taken before the kubelet is restarted' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l holder -d 'with --lease: the name of this node' -r -f
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l token -d 'with --lease: the token; ca.crt is in the same folder' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l uninstall -d 'the node is wanted without what was installed'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l service-accounts -d 'a second provider gets pods\' tokens (Kubernetes 1.33 and later)'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l refresh-timer -d 'a systemd timer that renews logins before they end'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from keep" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from ready" -l ready -d 'is there while the node is as wanted' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from ready" -l help -d 'this text; behind a command, its part of it'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from docker" -l config -d 'the configuration file' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from docker" -l file -d 'the client\'s file, in place of docker\'s config.json' -r -F
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from docker" -l undo -d 'take back what was put in, and nothing else'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from docker" -l dry-run -d 'show the changes, and make none'
complete -c aliyun-acr-credential-provider -n "__fish_aliyun_acr_credential_provider_using_subcommand setup; and __fish_seen_subcommand_from docker" -l help -d 'this text; behind a command, its part of it'
