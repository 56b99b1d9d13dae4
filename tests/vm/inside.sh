#!/bin/sh
# In the guest, as root and below systemd: install the checkout as a user would, run the selected tests, tell the status.
# The first serial port is the console; the host reads the exit status from the second one.
set -u
cd /srv/pydocker || exit
exec </dev/null
dmesg --console-level crit

tell() {
    echo "$1" >/dev/ttyS1
    exit
}

echo "ready: Linux $(uname -r), $(systemctl --version | head -n 1), cgroups: $(stat -fc %T /sys/fs/cgroup)," \
    "AppArmor: $(cat /sys/module/apparmor/parameters/enabled)"
# What pip installed is what this pyproject.toml asks for (the image's stamp is made of it), whatever its time says.
touch .venv/.engine .venv/.tests
make --no-print-directory install || tell 1
# Word by word, as they were given: the host has quoted them.
eval "set -- $(cat .selection)"
{
    .venv/bin/python -m pytest -p no:cacheprovider -p tests.vm.tell -n 2 --dist loadfile --durations 20 -o timeout=900 "$@"
    tell $?
} | cat
