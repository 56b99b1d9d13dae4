"""Mounting: new file systems, and pieces of the host's.

Each mount gets its attributes out of sight, and is then attached in one go: there is no moment in which a bind mount
that is to be read-only can be written.
"""

import os
import stat
from shlex import quote
from typing import ClassVar

from runtime.errors import StepFailed
from runtime.linux import mounts as m
from runtime.rootfs import target
from runtime.rootfs.options import PROPAGATION, Attributes, Idmapping
from runtime.stage import Inside
from runtime.step import Step


class NewFilesystem(Step[Inside], frozen=True):
    """A file system that the kernel makes on the spot: proc, tmpfs, devpts, sysfs, mqueue, cgroup."""

    why: ClassVar[str] = "an instance of its own shows this container's processes, terminals, queues, not the host's"
    manual: ClassVar[str] = "fsopen(2), fsmount(2), move_mount(2)"
    fstype: str
    source: str
    path: str
    attributes: Attributes = Attributes()
    data: tuple[tuple[str, str | None], ...] = ()
    propagation: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"mount {self.fstype} on {self.path}"

    def shell(self) -> str:
        # Read-only is the mount, and not the file system, which others may share: so it is said afterwards.
        first = self.attributes.adding(0, m.MOUNT_ATTR_RDONLY)
        words = [first.words(), *(key if value is None else f"{key}={value}" for key, value in self.data)]
        options = ",".join(word for word in words if word not in ("", "rw"))
        option = f"-o {quote(options)} " if options else ""
        place = target.words(self.path)
        return "; ".join([
            f"mkdir -p {place}",
            f"mount -t {quote(self.fstype)} {option}{quote(self.source)} {place}",
            *([f"mount -o remount,bind,ro {place}"] if self.attributes.set & m.MOUNT_ATTR_RDONLY else []),
            *(f"mount --make-{word} {place}" for word in self.propagation)])

    def apply(self, at: Inside) -> None:
        where = PLACES.get(self.fstype, target.directory)(at.root, self.path)
        try:
            mount = m.detached(self.fstype, self.source, self.data, self.attributes.set)
            attach(mount, where, self.propagation)
        finally:
            os.close(where)


# The two whose content later steps, and the program's own security, rely on.
PLACES = {"proc": target.ordinary_directory, "sysfs": target.ordinary_directory}


class BindMount(Step[Inside], frozen=True):
    """A file or directory of the host, seen inside as well."""

    why: ClassVar[str] = "the same files in two places: what one side writes, the other reads (volumes, /etc/hosts)"
    manual: ClassVar[str] = "open_tree(2), mount_setattr(2), move_mount(2)"
    source: str
    path: str
    recursive: bool = True
    attributes: Attributes = Attributes()
    below: Attributes = Attributes()
    propagation: tuple[str, ...] = ()
    idmap: Idmapping | None = None

    def describe(self) -> str:
        words = ", ".join(filter(None, (self.attributes.words(), self.below.words(), *self.propagation)))
        return f"bind {self.source} to {self.path}{' (' + words + ')' if words else ''}"

    def shell(self) -> str:
        place = target.words(self.path)
        return "; ".join([self.bound(place), *(f"mount --make-{word} {place}" for word in self.propagation)])

    def bound(self, place: str) -> str:
        """The shell's commands that show the source, with its attributes, at a place, which is a word."""
        source, words = quote(self.source), self.attributes.words()
        idmap = f"-o {quote(self.idmap.words())} " if self.idmap else ""
        return "; ".join([
            target.made(source, place),
            f"mount --{'rbind' if self.recursive else 'bind'} {idmap}{source} {place}",
            *([f"mount -o remount,bind,{words} {place}"] if words else []),
            *([target.below(f"mount -o remount,bind,{self.below.words()}", place)] if self.below.words() else [])])

    def apply(self, at: Inside) -> None:
        self.attach(at, self.detached())

    def detached(self) -> int:
        """A copy of the source that is mounted nowhere yet, with the attributes."""
        tree = m.open_tree(m.AT_FDCWD, self.source, m.OPEN_TREE_CLONE | (m.AT_RECURSIVE if self.recursive else 0))
        m.mount_setattr(tree, attr_set=self.attributes.set, attr_clr=self.attributes.clear)
        m.mount_setattr(tree, attr_set=self.below.set, attr_clr=self.below.clear, recursive=True)
        return tree

    def attach(self, at: Inside, tree: int) -> None:
        """Show the copy inside, at a directory or a file as it is one itself."""
        is_directory = stat.S_ISDIR(os.fstat(tree).st_mode)
        try:
            where = (target.directory if is_directory else target.file)(at.root, self.path)
        except NotADirectoryError as error:
            raise self._unlike() from error
        if is_directory != stat.S_ISDIR(os.fstat(where).st_mode):
            os.close(where)
            raise self._unlike()
        try:
            attach(tree, where, self.propagation)
        finally:
            os.close(where)


    def _unlike(self) -> StepFailed:
        """In runc's words."""
        return StepFailed(f'error mounting "{self.source}" to rootfs at "{self.path}": not a directory: Are you trying '
                          "to mount a directory onto a file (or vice-versa)? Check if the specified host path exists "
                          "and is the expected type")


def attach(mount: int, where: int, propagation: tuple[str, ...]) -> None:
    """Attach the detached mount, set its propagation, and let go of its descriptor.

    In this order: what is attached below a shared mount becomes shared, whatever it was (mount_namespaces(7)).
    """
    try:
        m.move_mount(mount, where)
        propagate(mount, propagation)
    finally:
        os.close(mount)


def propagate(mount: int, words: tuple[str, ...]) -> None:
    """Each word in turn: `slave` and then `shared` is both (mount_namespaces(7))."""
    for word in words:
        flags = PROPAGATION[word]
        m.mount_setattr(mount, propagation=flags & ~m.MS_REC, recursive=bool(flags & m.MS_REC))
