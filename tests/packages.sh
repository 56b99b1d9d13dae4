#!/bin/sh
# Install the Debian packages that are missing; nothing missing means: nothing done, no root and no network needed.
#
#   packages.sh need PACKAGE…   all of them, or fail
#   packages.sh want PACKAGE…   those that there are; the others are named, and the tests that need them are skipped
#
# No package brings a running daemon: the tests start their own (on free ports, in their own directories), and somebody
# who runs tests did not ask for a docker daemon that rewrites the firewall, now or at the next boot. Daemons that were
# installed before are left as they are.
set -eu

DAEMONS='docker containerd docker-registry podman podman-restart podman-auto-update postgresql nginx ufw'
POLICY=/usr/sbin/policy-rc.d

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

available() {
    LC_ALL=C apt-cache policy "$1" | grep -q 'Candidate: [^(]'
}

missing() {
    for package; do installed "$package" || printf '%s ' "$package"; done
}

# What a distribution does not have is not asked for again by every run: for a day, its package lists are believed.
worth_a_try() {
    fresh=$(find /var/lib/apt/lists -maxdepth 0 -mtime -1 2>/dev/null)
    for package; do [ -z "$fresh" ] || available "$package" || continue; printf '%s ' "$package"; done
}

apt() {
    DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

# A policy that keeps maintainer scripts from starting the daemons, and that ends with this process, whatever ends it.
hold_daemons() {
    [ -e "$POLICY" ] && return
    {
        echo '#!/bin/sh'
        echo '# Left by a killed `make` of pydocker, and without effect by now: may be removed.'
        echo "[ -d /proc/$$ ] || exit 0"
        echo "case \"\$1\" in $(echo "$DAEMONS" | sed 's/ /*|/g')*) exit 101;; esac"
    } >"$POLICY"
    chmod 0755 "$POLICY"
    trap 'rm -f "$POLICY"' EXIT
    trap 'exit 1' INT TERM
}

# Units that came with this run are not started at the next boot either.
disable_daemons() {
    command -v systemctl >/dev/null || return 0
    for daemon in $new_daemons; do
        for unit in "$daemon.service" "$daemon.socket" "$daemon.timer"; do
            [ ! -e "/lib/systemd/system/$unit" ] || systemctl --quiet disable "$unit" 2>&1 | grep -v '^Synchronizing' || true
        done
    done
}

kind=$1
shift
if ! command -v dpkg-query >/dev/null; then
    echo "not a Debian or Ubuntu system: see to it that there is what these packages hold: $*" >&2
    exit 0
fi
# shellcheck disable=SC2046
set -- $(missing "$@")
[ "$kind" = need ] || set -- $(worth_a_try "$@")
[ $# -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "packages are missing, and only root can install them (sudo make …): $*" >&2
    [ "$kind" = want ] && exit 0 || exit 1
fi

skipped='the tests that need it are skipped, and say so'
echo "installing: $*"
apt update || echo 'the package lists could not be refreshed; trying with those that are there' >&2
new_daemons=$(for daemon in $DAEMONS; do [ -e "/lib/systemd/system/$daemon.service" ] || printf '%s ' "$daemon"; done)
hold_daemons
if [ "$kind" = need ]; then
    apt install --no-install-recommends "$@" >/dev/null
else
    wanted=
    for package; do
        if available "$package"; then wanted="$wanted $package"; else echo "no package $package here: $skipped"; fi
    done
    # shellcheck disable=SC2086
    apt install --no-install-recommends $wanted >/dev/null 2>&1 || for package in $wanted; do
        apt install --no-install-recommends "$package" >/dev/null || echo "$package cannot be installed: $skipped" >&2
    done
fi
disable_daemons
