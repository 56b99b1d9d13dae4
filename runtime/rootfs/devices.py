"""/dev: the few nodes that every program expects, and the links that go with them.

Made by mknod(2), in a directory held open by a descriptor: an image that ships /dev as a link, or a volume in which
somebody swaps it, gets its nodes inside its own root or not at all (CVE-2026-41579). Where mknod is refused (a user
namespace) a bind mount of the host's node does the same.
"""

import os
import stat
from shlex import quote
from typing import ClassVar

from runtime.errors import StepFailed
from runtime.linux import mounts as m
from runtime.linux.openat2 import make_directories
from runtime.rootfs import target
from runtime.rootfs.mounts import attach
from runtime.spec.linux import LinuxDevice
from runtime.stage import Inside
from runtime.step import Step

KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}

DEFAULT_DEVICES = tuple(
    LinuxDevice(path=f"/dev/{name}", type="c", major=major, minor=minor, file_mode=0o666)
    for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
                               ("tty", 5, 0)))

DEFAULT_LINKS = (
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
)


class DeviceNode(Step[Inside], frozen=True):
    """One node in /dev."""

    why: ClassVar[str] = (
        "the container's /dev is an empty tmpfs; the host's would show its disks. The cgroup's device list decides "
        "which devices can be opened")
    manual: ClassVar[str] = "mknod(2)"
    path: str
    type: str
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0

    def describe(self) -> str:
        return f"make the device {self.path} ({self.type} {self.major}:{self.minor}, mode {self.mode:04o})"

    def shell(self) -> str:
        numbers = "" if self.type == "p" else f" {self.major} {self.minor}"
        directory, name = os.path.split(self.path)
        place = f"{target.words(directory)}/{quote(name)}"
        make = f"mknod -m {self.mode:04o} {place} {quote(self.type)}{numbers}; chown {self.uid}:{self.gid} {place}"
        return f"mkdir -p {target.words(directory)}; if [ ! -e {place} ]; then {make}; fi"

    def apply(self, at: Inside) -> None:
        parent = make_directories(at.root, os.path.dirname(self.path))
        try:
            self.make(parent, os.path.basename(self.path))
        finally:
            os.close(parent)

    def make(self, parent: int, name: str) -> None:
        device = 0 if self.type == "p" else os.makedev(self.major, self.minor)
        try:
            os.mknod(name, KINDS[self.type] | self.mode, device, dir_fd=parent)
        except FileExistsError:
            self.check(parent, name, device)
            return
        # The mode is exact, since init's umask is 0: a chmod by name could hit what was put there meanwhile.
        os.chown(name, self.uid, self.gid, dir_fd=parent, follow_symlinks=False)

    def check(self, parent: int, name: str, device: int) -> None:
        """What is there already (a bind-mounted /dev) must be the very device."""
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_IFMT(found.st_mode) != KINDS[self.type] or found.st_rdev != device:
            raise StepFailed(f"{self.describe()}: something else is there already")


class Link(Step[Inside], frozen=True):
    """A symbolic link in /dev or among the cgroups."""

    why: ClassVar[str] = "programs know these names; what they stand for is elsewhere"
    manual: ClassVar[str] = "symlink(2)"
    path: str
    to: str

    def describe(self) -> str:
        return f"link {self.path} to {self.to}"

    def shell(self) -> str:
        directory, name = os.path.split(self.path)
        place = f"{target.words(directory)}/{quote(name)}"
        unless = f"[ -L {place} ] || [ -e {place} ] || ln -s"
        return f"{'ln -sfT' if name == 'ptmx' else unless} {quote(self.to)} {place}"

    def apply(self, at: Inside) -> None:
        parent = make_directories(at.root, os.path.dirname(self.path))
        try:
            os.symlink(self.to, os.path.basename(self.path), dir_fd=parent)
        except FileExistsError:
            self.replace(parent, os.path.basename(self.path))
        finally:
            os.close(parent)

    def replace(self, parent: int, name: str) -> None:
        """A bind-mounted /dev may have the link. /dev/ptmx must be the container's own, whatever was there."""
        if os.path.basename(self.path) == "ptmx":
            os.unlink(name, dir_fd=parent)
            os.symlink(self.to, name, dir_fd=parent)


class BindConsole(Step[Inside], frozen=True):
    """The terminal, as /dev/console."""

    why: ClassVar[str] = (
        "programs that run as init write to /dev/console; it is the container's own terminal, bound by its descriptor: "
        "a path below /dev/pts could have been swapped (CVE-2025-52565)")
    manual: ClassVar[str] = "open_tree(2), pts(4)"

    def describe(self) -> str:
        return "bind the terminal to /dev/console"

    def shell(self) -> str:
        place = target.words("/dev/console")
        return f"touch {place}; if [ -t 0 ]; then mount --bind \"$(tty)\" {place}; fi"

    def apply(self, at: Inside) -> None:
        where = target.file(at.root, "/dev/console")
        try:
            attach(m.open_tree(at.terminal, "", m.OPEN_TREE_CLONE | m.AT_EMPTY_PATH), where, ())
        finally:
            os.close(where)
