#!/bin/sh
# The machine's disk: a Debian that debootstrap made, with systemd, Debian's kernel and all that the tests want installed.
#
#   image.sh CACHE        makes CACHE/root.img, CACHE/linux and CACHE/initrd, or finds that they are there already
#
# The guest has no network. So everything is fetched here: `make test-fresh` does it in a directory, with this machine's
# knowledge of where packages come from, and `mke2fs -d` makes a file system of that directory without mounting anything.
# The checkout is not in it, but for what `make setup-tests` left in .venv: it comes with each run (see __main__.py).
set -eu

[ "$(id -u)" -eq 0 ] || { echo 'only root can make a root file system: sudo make test-vm' >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
cache=$1

# Debian's own kernel is what is asked for, so where this machine runs something else it is Debian's stable release.
suite=${SUITE:-$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME" || echo bookworm)}
# What the image depends on, as it is committed (a clone goes into it); the rest may change without a new image.
stamp=$({
    echo "$suite"
    git ls-tree HEAD tests/fresh/ tests/packages.sh tests/vm/image.sh tests/vm/pydocker-tests.service
    git show HEAD:Makefile | grep 'PACKAGES :\?=\|DOCKER ='
    git show HEAD:pyproject.toml | sed '/^\[tool/,$d'
} | sha256sum)
[ "$(cat "$cache/stamp" 2>/dev/null)" != "$stamp" ] || exit 0

mkdir -p "$cache"
rm -f "$cache/stamp"
work=$(mktemp -d /var/tmp/pydocker-vm.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# AppArmor's own package brings the parser; dbus is what `busctl` speaks to systemd through.
SUITE=$suite KEEP=$work/root TARGETS=setup-tests \
    INCLUDE=linux-image-cloud-amd64,initramfs-tools,systemd-sysv,udev,dbus,apparmor tests/fresh/run.sh
root=$work/root
rm -rf "$root"/var/lib/apt/lists/* "$root"/root/.cache
# Only .venv stays of the clone: what a later checkout does not have any more must not be tested.
find "$root/srv/pydocker" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +

echo 'making the image'
# An initial RAM disk with the three modules that find the root file system, instead of all: it is unpacked in no time.
printf 'MODULES=list\nCOMPRESS=gzip\n' >"$root/etc/initramfs-tools/conf.d/pydocker"
printf 'virtio_pci\nvirtio_blk\next4\n' >>"$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u >/dev/null
cp "$root"/boot/vmlinuz-* "$cache/linux"
cp "$root"/boot/initrd.img-* "$cache/initrd"

echo vm >"$root/etc/hostname"
# Programs that would start some minutes after the boot, in the middle of the tests.
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do
    ln -s /dev/null "$root/etc/systemd/system/$timer.timer"
done
cp "$here/pydocker-tests.service" "$root/etc/systemd/system/"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../pydocker-tests.service "$root/etc/systemd/system/multi-user.target.wants/"

rm -f "$cache/root.img"
truncate -s $(($(du -sm "$root" | cut -f1) + 6144))M "$cache/root.img"
mke2fs -q -t ext4 -d "$root" "$cache/root.img"
echo "$stamp" >"$cache/stamp"
