#!/bin/sh
# Called by run.sh in new namespaces: mount what a booted machine has, move into the new root, and be the new user.
set -eu

hostname fresh
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
    # shellcheck disable=SC2086
    set -- $node
    mknod -m 666 "$root/dev/$1" c "$2" "$3"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t mqueue mqueue "$root/dev/mqueue"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for pair in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${pair%%:*}" "$root/dev/${pair#*:}"; done

# The same hierarchies as outside, seen from the new cgroup namespace.
awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) ~ /^cgroup2?$/) print $5, $(i + 1), $(i + 3) }' /proc/self/mountinfo \
    >"$work/mounts"
while read -r point kind options; do
    if [ "$point" != /sys/fs/cgroup ] && ! mountpoint -q "$root/sys/fs/cgroup"; then
        mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    fi
    mkdir -p "$root$point"
    if [ "$kind" = cgroup2 ]; then
        mount -t cgroup2 cgroup2 "$root$point"
    else
        mount -t cgroup -o "${options#rw,}" cgroup "$root$point"
    fi
done <"$work/mounts"

mkdir -p "$root/mnt/source" "$root/mnt/old"
mount --bind -o ro "$source" "$root/mnt/source"
while read -r directory; do
    mkdir -p "$root$directory"
    mount --rbind "$directory" "$root$directory"
    mount -o remount,bind,ro "$root$directory"
done <"$work/directories"

cd "$root"
pivot_root . mnt/old
cd /
umount --lazy /mnt/old
unset root source work name

echo 'cloning'
git -c safe.directory='*' clone --quiet /mnt/source /srv/pydocker
cd /srv/pydocker
for target in $TARGETS; do
    echo "make $target"
    make "$target" </dev/null
done
