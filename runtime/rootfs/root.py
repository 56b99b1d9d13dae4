"""The root file system: made a mount of its own, turned into /, and at last made read-only."""

import os
from shlex import quote
from typing import ClassVar

from runtime.linux import mounts as m
from runtime.linux.openat2 import make_directories, openat2
from runtime.rootfs import target
from runtime.rootfs.options import PROPAGATION, Attributes
from runtime.stage import Inside
from runtime.step import Step


class Propagation(Step[Inside], frozen=True):
    """How later mounts spread between this mount namespace and the one that it was copied from."""

    why: ClassVar[str] = (
        "a new mount namespace is a copy whose mounts still spread to the original's; before anything is mounted, that "
        "has to end. As slaves they still receive the host's unmounts, so that no disk is held busy")
    manual: ClassVar[str] = "mount_namespaces(7)"
    kind: str

    def describe(self) -> str:
        return f"make all mounts {self.kind}"

    def shell(self) -> str:
        return f"mount --make-{self.kind} /"

    def apply(self, at: Inside) -> None:
        flags = PROPAGATION[self.kind]
        m.mount_setattr(m.AT_FDCWD, "/", propagation=flags & ~m.MS_REC, recursive=bool(flags & m.MS_REC))


class BindRoot(Step[Inside], frozen=True):
    """The root file system becomes a mount point."""

    why: ClassVar[str] = (
        "pivot_root accepts only a mount as the new root, and one that is not shared; a recursive bind mount of the "
        "directory onto itself makes it one, and brings along what is mounted below")
    manual: ClassVar[str] = "open_tree(2)"
    path: str
    kind: str = "private"  # or slave: what is mounted there on the host then shows up inside

    def describe(self) -> str:
        return f"bind {self.path} to itself"

    def shell(self) -> str:
        path = quote(self.path)
        return f"mount --rbind {path} {path}; mount --make-{self.kind} {path}; cd {path}; export root=$PWD"

    def apply(self, at: Inside) -> None:
        place = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            tree = m.open_tree(place, "", m.OPEN_TREE_CLONE | m.AT_RECURSIVE | m.AT_EMPTY_PATH)
            # Only its top is changed: what is mounted below may be meant to spread (rshared volumes).
            m.mount_setattr(tree, propagation=PROPAGATION[self.kind])
            m.move_mount(tree, place)
        finally:
            os.close(place)
        at.root = tree


class UseRoot(Step[Inside], frozen=True):
    """Open the root that this process was brought into."""

    why: ClassVar[str] = "entering the mount namespace led to its root; what follows is looked up from there"
    manual: ClassVar[str] = "setns(2), open(2)"

    def describe(self) -> str:
        return "open the container's root"

    def shell(self) -> str:
        return "cd /"

    def apply(self, at: Inside) -> None:
        at.root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


class MakeDirectory(Step[Inside], frozen=True):
    """A directory that has to be there."""

    why: ClassVar[str] = "the working directory is made if the image has none, while its root can still be written"
    manual: ClassVar[str] = "mkdir(2)"
    path: str

    def describe(self) -> str:
        return f"make the directory {self.path} if it is missing"

    def shell(self) -> str:
        return f"mkdir -p {target.words(self.path)}"

    def apply(self, at: Inside) -> None:
        os.close(make_directories(at.root, self.path))


class PivotRoot(Step[Inside], frozen=True):
    """The root file system becomes /, and the host's is gone."""

    why: ClassVar[str] = (
        "chroot could be left again; pivot_root exchanges the root of the whole mount namespace, so that the host's "
        "mounts can be detached. From here on no path leads out, and nothing may be looked up by path but the program")
    manual: ClassVar[str] = "pivot_root(2)"

    def describe(self) -> str:
        return "make it the root of this mount namespace, and detach the old one"

    def shell(self) -> str:
        return "pivot_root . .; umount -l .; cd /"

    def script(self) -> str:
        return ("cd /usr  # not the root itself, or it would be moved along; from here on, this is what $host needs\n"
                "(cd \"$root\"; exec pivot_root . .)\n"
                "$host/mount -c --make-rslave ..\n$host/umount -l /")

    def apply(self, at: Inside) -> None:
        old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fchdir(at.root)
        m.pivot_root(".", ".")
        # The old root now lies over the new one. Its mounts must not tell the host's that they are unmounted; by its
        # descriptor, as "." is the new one, whose mounts may be meant to spread (rshared volumes).
        m.mount_setattr(old, propagation=m.MS_SLAVE, recursive=True)
        os.close(old)
        m.umount2(".", m.MNT_DETACH)
        os.chdir("/")


class RootPropagation(Step[Inside], frozen=True):
    """What was asked for as `rootfsPropagation`."""

    why: ClassVar[str] = "while pivoting the root had to be private; what the program mounts may be meant to spread"
    manual: ClassVar[str] = "mount_namespaces(7)"
    kind: str

    def describe(self) -> str:
        return f"make the root {self.kind}"

    def shell(self) -> str:
        return f"mount --make-{self.kind} /"

    def script(self) -> str:
        return f"$host/{self.shell()}"

    def apply(self, at: Inside) -> None:
        flags = PROPAGATION[self.kind]
        m.mount_setattr(at.root, propagation=flags & ~m.MS_REC, recursive=bool(flags & m.MS_REC))


class SetAttributes(Step[Inside], frozen=True):
    """Change a mount's attributes once all that had to be made in it is there: read-only root, /dev, cgroups."""

    why: ClassVar[str] = "what had to be made in it is there now"
    manual: ClassVar[str] = "mount_setattr(2)"
    path: str
    attributes: Attributes

    def describe(self) -> str:
        return f"remount {self.path} {self.attributes.words()}"

    def shell(self) -> str:
        return f"mount -o remount,bind,{self.attributes.words()} {target.words(self.path)}"

    def apply(self, at: Inside) -> None:
        fd = openat2(at.root, self.path, os.O_PATH)
        try:
            m.mount_setattr(fd, attr_set=self.attributes.set, attr_clr=self.attributes.clear)
        finally:
            os.close(fd)
