"""--no-pivot: the root changed by moving a mount, and chroot(2), where pivot_root(2) cannot be had.

The root of an initramfs cannot be pivoted away, since it lies below everything. So the container's root is moved over
it instead. That leaves the host's mounts below, unseen but there; what of them would be worth the way back, /proc and
/sys, is taken away first. Second best, and only for those who ask for it.
"""

import os
from typing import ClassVar

from runtime.linux import mounts as m
from runtime.linux.mountinfo import mount_id, mountinfo
from runtime.stage import Inside
from runtime.step import Step

REVEALING = ("proc", "sysfs")


class UnmountHost(Step[Inside], frozen=True):
    """The host's /proc and /sys go."""

    why: ClassVar[str] = (
        "chroot can be left by whoever may chroot again; the host's /proc and /sys below would then be open, unmasked "
        "and writable")
    manual: ClassVar[str] = "umount2(2)"

    def describe(self) -> str:
        return "unmount the host's /proc and /sys"

    def shell(self) -> str:
        return ("findmnt -rno TARGET -t proc,sysfs | tac | while read -r mount; do case $mount in \"$PWD\"/*) ;; "
                "*) umount -l \"$mount\";; esac; done")

    def apply(self, at: Inside) -> None:
        for path in revealing(at):
            m.mount_setattr(m.AT_FDCWD, path, propagation=m.MS_PRIVATE, recursive=True)
            m.umount2(path, m.MNT_DETACH)


class CoverHost(Step[Inside], frozen=True):
    """The host's /proc and /sys are covered."""

    why: ClassVar[str] = (
        "in a user namespace the mounts that came from the host are locked together and cannot be unmounted; an empty, "
        "read-only directory is put over those that would be worth leaving the chroot for")
    manual: ClassVar[str] = "mount_namespaces(7), move_mount(2)"

    def describe(self) -> str:
        return "cover the host's /proc and /sys"

    def shell(self) -> str:
        return ("findmnt -rno TARGET -t proc,sysfs | while read -r mount; do case $mount in \"$PWD\"/*) ;; "
                "*) mount -t tmpfs -o ro tmpfs \"$mount\";; esac; done")

    def apply(self, at: Inside) -> None:
        for path in revealing(at):
            try:
                where = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except PermissionError:  # what the mapped root cannot reach now, it could not later
                continue
            cover = m.detached("tmpfs", "tmpfs", (), m.MOUNT_ATTR_RDONLY)
            m.move_mount(cover, where)
            os.close(cover)
            os.close(where)


class MoveRoot(Step[Inside], frozen=True):
    """The root file system is moved over /."""

    why: ClassVar[str] = "as the caller asked for --no-pivot: its root is one that pivot_root(2) refuses (initramfs)"
    manual: ClassVar[str] = "move_mount(2)"

    def describe(self) -> str:
        return "move it over the root of this mount namespace"

    def shell(self) -> str:
        return "mount --move . /"

    def apply(self, at: Inside) -> None:
        top = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            m.move_mount(at.root, top)
        finally:
            os.close(top)


class ChangeRoot(Step[Inside], frozen=True):
    """What lies over / becomes this process's root."""

    why: ClassVar[str] = "what is mounted over / covers nothing for a process whose root lies below: it has to go there"
    manual: ClassVar[str] = "chroot(2)"

    def describe(self) -> str:
        return "change the root to it"

    def shell(self) -> str:
        return "chroot . \\"

    def apply(self, at: Inside) -> None:
        os.fchdir(at.root)
        os.chroot(".")
        os.chdir("/")


def revealing(at: Inside) -> list[str]:
    """Mount points of the host's procfs and sysfs, innermost first: those that are not below the container's root."""
    own = mount_id(at.root)
    mounts = {mount.id: mount for mount in mountinfo()}

    def hosts(id: int) -> bool:
        return id != own and (id not in mounts or hosts(mounts[id].parent))

    return [mount.target for mount in reversed(mounts.values()) if mount.fstype in REVEALING and hosts(mount.id)]
