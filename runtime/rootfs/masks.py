"""Hiding and protecting: files of /proc and /sys that no namespace separates from the host's.

Prepared before any code of the container runs, with sources that were checked: the device that covers a file is the
host's /dev/null, opened and compared by number, not whatever the container has at that path (CVE-2025-31133); it is
covered read-only, since the inode that lies there is the host's (see `linux.null`).
"""

import os
import stat
from typing import ClassVar

from runtime.linux import mounts as m
from runtime.linux import null
from runtime.linux.openat2 import openat2
from runtime.rootfs import target
from runtime.rootfs.mounts import attach
from runtime.stage import Inside
from runtime.step import Step


class MaskPath(Step[Inside], frozen=True):
    """A file is covered with /dev/null, a directory with an empty, read-only tmpfs. What is missing needs no cover."""

    why: ClassVar[str] = "it speaks of the host (memory, keys, timers), and belongs to no namespace"
    manual: ClassVar[str] = "move_mount(2)"
    path: str

    def describe(self) -> str:
        return f"mask {self.path}"

    def shell(self) -> str:
        place = target.words(self.path)
        return (f"if [ -d {place} ]; then mount -t tmpfs -o nr_blocks=1,nr_inodes=1 tmpfs {place}; "
                f"mount -o remount,bind,ro {place}; elif [ -e {place} ]; then "
                f"mount --bind /dev/null {place}; mount -o remount,bind,ro,nosuid,noexec {place}; fi")

    def apply(self, at: Inside) -> None:
        try:
            where = openat2(at.root, self.path, os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            cover = empty() if stat.S_ISDIR(os.fstat(where).st_mode) else null.detached()
            attach(cover, where, ())
        finally:
            os.close(where)


def empty() -> int:
    """A directory with nothing in it."""
    return m.detached("tmpfs", "tmpfs", (("nr_blocks", "1"), ("nr_inodes", "1")), m.MOUNT_ATTR_RDONLY)


class ReadonlyPath(Step[Inside], frozen=True):
    """The path is bound to itself, read-only."""

    why: ClassVar[str] = "reading it is harmless, writing it would change the host"
    manual: ClassVar[str] = "mount_setattr(2)"
    path: str

    def describe(self) -> str:
        return f"make {self.path} read-only"

    def shell(self) -> str:
        place = target.words(self.path)
        return (f"if [ -e {place} ]; then mount --rbind {place} {place}; "
                f"{target.below('mount -o remount,bind,ro', place)}; fi")

    def apply(self, at: Inside) -> None:
        try:
            where = openat2(at.root, self.path, os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            tree = m.open_tree(where, "", m.OPEN_TREE_CLONE | m.AT_EMPTY_PATH | m.AT_RECURSIVE)
            m.mount_setattr(tree, attr_set=m.MOUNT_ATTR_RDONLY, recursive=True)
            attach(tree, where, ())
        finally:
            os.close(where)
