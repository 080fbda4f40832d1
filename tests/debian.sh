# shellcheck shell=bash
# Debian systems for tests, made of its packages.

# debian_system FOLDER SUITE PACKAGE[,PACKAGE…]: FOLDER/SUITE has them. It is kept for the next run.
# The caller has `cannot`, which ends the run.
debian_system() {
    local folder=$1 suite=$2 packages=$3 tools=$1/tools
    [ ! -d "$folder/$suite" ] || return 0
    rm -rf "$folder/$suite.part" "$tools.part" "$folder/packages"
    mkdir -p "$folder/packages"
    if [ ! -d "$tools" ]; then
        (cd "$folder/packages" && apt-get -qq -o APT::Sandbox::User=root download mmdebstrap debian-archive-keyring) ||
            cannot 'mmdebstrap cannot be downloaded'
        for package in "$folder"/packages/*.deb; do dpkg --extract "$package" "$tools.part"; done
        mv "$tools.part" "$tools"
    fi
    echo "== the packages of $suite"
    PATH=$tools/usr/bin:$PATH mmdebstrap --quiet --variant=essential --include="$packages" \
        --keyring="$tools/usr/share/keyrings" --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$suite" "$folder/$suite.part" http://deb.debian.org/debian ||
        cannot "the packages of $suite cannot be installed"
    mv "$folder/$suite.part" "$folder/$suite"
}
