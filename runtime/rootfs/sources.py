"""Mounts that are opened on the host, by its root, and attached inside by a root that is mapped.

The root of a user namespace may mount what it likes in its own mount namespace, and still has no more rights on the
host's files than user 100000: a volume in a directory of mode 0700 is out of its reach, no device node can be made, and
no mount be idmapped that belongs to the host. A descriptor has no such trouble. So whoever still has the host's
privileges clones the trees (open_tree(2): mounts that are attached nowhere), and who is inside attaches them.

Such a copy is at first a mount like any other, which root inside could make writable again, or have honour set-user-ID
files, though it is read-only or nosuid on the host. The kernel locks these flags when a mount namespace is copied into
another user namespace (mount_namespaces(7)). So the trees are on a shelf at that moment, and taken from it inside.
"""

import os
import stat
from shlex import quote
from typing import ClassVar

from runtime.linux import idmaps
from runtime.linux import mounts as m
from runtime.linux import namespaces as n
from runtime.rootfs import target
from runtime.rootfs.devices import KINDS, DeviceNode
from runtime.rootfs.mounts import BindMount, attach, propagate
from runtime.rootfs.options import PROPAGATION
from runtime.rootfs.root import BindRoot
from runtime.stage import Inside
from runtime.step import Step


class OpenSource(Step[Inside], frozen=True):
    """Clone the source of a bind mount, and give the copy all that it is to have."""

    why: ClassVar[str] = (
        "with the host's privileges and names, which the mapped root has not; nobody sees the copy until it is "
        "attached, so it can be changed without a moment in which it is writable, or has foreign owners")
    manual: ClassVar[str] = "open_tree(2), mount_setattr(2)"
    number: int
    bind: BindMount
    first: tuple[str, ...]  # the propagation that the copy has before that of the bind mount itself is set

    def describe(self) -> str:
        return f"open {self.bind.source}, to be bound to {self.bind.path}"

    def shell(self) -> str:
        return ":  # mount(8) opens and attaches in one go, see below"

    def apply(self, at: Inside) -> None:
        tree = self.bind.detached()
        propagate(tree, self.first)
        at.trees[self.number] = tree


class MapIds(Step[Inside], frozen=True):
    """Let the copy show other owners than the disk has."""

    why: ClassVar[str] = (
        "files that belong to user 0 on the disk shall belong to somebody else by way of this mount; only a mount that "
        "nobody has seen yet can get that, with the privileges of whoever mounted the file system")
    manual: ClassVar[str] = "mount_setattr(2) MOUNT_ATTR_IDMAP"
    number: int
    bind: BindMount
    uids: idmaps.Map
    gids: idmaps.Map
    recursive: bool

    def describe(self) -> str:
        below = " and below" if self.recursive else ""
        return (f"map the ids of {self.bind.path}{below}: users {idmaps.told(self.uids)}; "
                f"groups {idmaps.told(self.gids)}")

    def shell(self) -> str:
        return ":  # mount(8) does so by the option X-mount.idmap, see below"

    def apply(self, at: Inside) -> None:
        users = idmaps.user_namespace(self.uids, self.gids)
        try:
            m.mount_setattr(at.trees[self.number], attr_set=m.MOUNT_ATTR_IDMAP, userns_fd=users,
                            recursive=self.recursive)
        finally:
            os.close(users)


class MapIdsLikeContainer(Step[Inside], frozen=True):
    """Let the copy show its owners as the container's user namespace maps them."""

    why: ClassVar[str] = (
        "what belongs to user 0 on the disk then belongs to user 0 of the container, without a chown of every file, "
        "and two containers with different maps can share it")
    manual: ClassVar[str] = "mount_setattr(2) MOUNT_ATTR_IDMAP"
    number: int
    bind: BindMount
    recursive: bool

    def describe(self) -> str:
        below = " and below" if self.recursive else ""
        return f"map the ids of {self.bind.path}{below} as the container's user namespace does"

    def shell(self) -> str:
        return ":  # mount(8) does so by the option X-mount.idmap, see below"

    def apply(self, at: Inside) -> None:
        m.mount_setattr(at.trees[self.number], attr_set=m.MOUNT_ATTR_IDMAP, userns_fd=at.user_namespace,
                        recursive=self.recursive)


class AttachSource(Step[Inside], frozen=True):
    """Attach what was opened before."""

    why: ClassVar[str] = "the copy shows the same files; inside it is attached to a descriptor, and no path is walked"
    manual: ClassVar[str] = "move_mount(2)"
    number: int
    bind: BindMount
    shelved: bool = False  # whether it came by way of the shelf

    def describe(self) -> str:
        return self.bind.describe()

    def shell(self) -> str:
        return self.bind.shell()

    def script(self) -> str:
        if not self.shelved:
            return self.shell()
        source, place = on_the_shelf(self.number), target.words(self.bind.path)
        return "; ".join([target.made(source, place), f"mount --rbind {source} {place}",
                          *(f"mount --make-{word} {place}" for word in self.bind.propagation)])

    def apply(self, at: Inside) -> None:
        self.bind.attach(at, at.trees.pop(self.number))


def on_the_shelf(number: int) -> str:
    """Where the script has what the host's root has bound: as the shell's word."""
    return f'"$meeting"/shelf/source-{number}'


class OpenRoot(Step[Inside], frozen=True):
    """Clone the root file system with all that is mounted below."""

    why: ClassVar[str] = (
        "before the new mount namespace begins: engines keep it in directories that only the host's root may enter; "
        "and where mounts are to spread between the two namespaces, this one would, too")
    manual: ClassVar[str] = "open_tree(2)"
    number: int
    bind: BindRoot
    first: tuple[str, ...]

    def describe(self) -> str:
        return f"open {self.bind.path}, to be the root"

    def shell(self) -> str:
        return ":  # mount(8) opens and attaches in one go, see below"

    def apply(self, at: Inside) -> None:
        tree = m.open_tree(m.AT_FDCWD, self.bind.path, m.OPEN_TREE_CLONE | m.AT_RECURSIVE)
        propagate(tree, self.first)
        at.trees[self.number] = tree


class AttachRoot(Step[Inside], frozen=True):
    """Attach the root file system over the host's root."""

    why: ClassVar[str] = (
        "pivot_root accepts only a mount of this namespace. Its own directory may be out of reach, / is not: what is "
        "mounted there covers nothing for this process, whose root lies below")
    manual: ClassVar[str] = "move_mount(2), path_resolution(7)"
    number: int
    bind: BindRoot

    def describe(self) -> str:
        return f"mount {self.bind.path} over /"

    def shell(self) -> str:
        return self.bind.shell()

    def apply(self, at: Inside) -> None:
        at.root = at.trees.pop(self.number)
        m.mount_setattr(at.root, propagation=PROPAGATION[self.bind.kind])
        top = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # pivot_root refuses a root whose parent is shared, and what is attached to such a one becomes shared, too.
            m.mount_setattr(top, propagation=m.MS_PRIVATE)
            m.move_mount(at.root, top)
        finally:
            os.close(top)


class MakeShelf(Step[Inside], frozen=True):
    """Mount an empty tmpfs, in a mount namespace between the host's and the container's."""

    why: ClassVar[str] = (
        "there is work for the host's root on mounts that have a place, which the host shall not see: device nodes "
        "are made, and before Linux 6.15 no piece of a mount can be cloned that is attached nowhere")
    manual: ClassVar[str] = "mount_namespaces(7), open_tree(2)"
    path: str  # a directory that nobody else needs

    def describe(self) -> str:
        return f"mount a shelf on {self.path}, in a mount namespace that is still the host's"

    def shell(self) -> str:
        return ":  # mount(8) binds what was copied with the mount namespace"

    def script(self) -> str:
        return ("mkdir \"$meeting\"/shelf; "
                "mount -t tmpfs -o nosuid,noexec,mode=755 shelf \"$meeting\"/shelf")

    def apply(self, at: Inside) -> None:
        n.unshare(n.CLONE_NEWNS)
        m.mount_setattr(m.AT_FDCWD, "/", propagation=m.MS_SLAVE, recursive=True)
        shelf = m.detached("tmpfs", "shelf", (("mode", "755"),), m.MOUNT_ATTR_NOEXEC | m.MOUNT_ATTR_NOSUID)
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        below = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        m.move_mount(shelf, below)
        os.close(below)
        os.fchdir(shelf)
        os.close(shelf)


class MakeDevices(Step[Inside], frozen=True):
    """Make device nodes on the shelf."""

    why: ClassVar[str] = (
        "in a user namespace mknod is refused, and a node in a tmpfs made there would be dead; the host's own nodes "
        "would do, but their owner would be nobody's, and whoever may change them changes the host's")
    manual: ClassVar[str] = "mknod(2), user_namespaces(7)"
    first: int  # the number of the first one's tree
    nodes: tuple[DeviceNode, ...]  # owners are the host's

    def describe(self) -> str:
        return f"make the devices {', '.join(node.path for node in self.nodes)}, to be attached"

    def shell(self) -> str:
        return ":  # see below, where the host's nodes are bound instead"

    def script(self) -> str:
        nodes = "; ".join(f"mknod -m {node.mode:04o} {name} {quote(node.type)} {node.major} {node.minor}; "
                          f"chown {node.uid}:{node.gid} {name}" for name, node in self.named())
        return f"(cd \"$meeting\"/shelf; {nodes})"

    def named(self) -> list[tuple[str, DeviceNode]]:
        """Each with its name on the shelf."""
        return [(f"device-{number}", node) for number, node in enumerate(self.nodes, self.first)]

    def apply(self, at: Inside) -> None:
        for number, (name, node) in enumerate(self.named(), self.first):
            os.mknod(name, KINDS[node.type] | node.mode, os.makedev(node.major, node.minor))
            os.chown(name, node.uid, node.gid, follow_symlinks=False)
            at.trees[number] = m.open_tree(m.AT_FDCWD, name, m.OPEN_TREE_CLONE)


class AttachDevice(Step[Inside], frozen=True):
    """One device, as a mount of a node that was made before."""

    why: ClassVar[str] = "the mapped root may not make nodes, but open those that it is shown, if the cgroup agrees"
    manual: ClassVar[str] = "move_mount(2)"
    number: int
    path: str

    def describe(self) -> str:
        return f"attach the device {self.path}"

    def shell(self) -> str:
        place = target.words(self.path)
        return f"touch {place}; mount --bind {quote(self.path)} {place}"

    def script(self) -> str:
        place = target.words(self.path)
        return f"touch {place}; mount --bind \"$meeting\"/shelf/device-{self.number} {place}"

    def apply(self, at: Inside) -> None:
        where = target.file(at.root, self.path)
        try:
            attach(at.trees.pop(self.number), where, ())
        finally:
            os.close(where)


class Shelve(Step[Inside], frozen=True):
    """Attach all that was opened."""

    why: ClassVar[str] = (
        "a host's mount that is read-only, nosuid or nodev has to stay so, whatever root inside remounts: the kernel "
        "locks what is mounted when the mount namespace is copied into the user namespace, and nothing later")
    manual: ClassVar[str] = "mount_namespaces(7), move_mount(2)"
    binds: tuple[tuple[int, BindMount], ...] = ()  # by the numbers of their trees

    def describe(self) -> str:
        return "put all of them on the shelf, from where they are copied with their flags locked"

    def shell(self) -> str:
        return ":  # mount(8) binds what was copied with the mount namespace, and is locked"

    def script(self) -> str:
        return "; ".join(bind.bound(on_the_shelf(number)) for number, bind in self.binds) or self.shell()

    def apply(self, at: Inside) -> None:
        for number, tree in at.trees.items():
            where = place(str(number), directory=stat.S_ISDIR(os.fstat(tree).st_mode))
            attach(tree, where, ())
            os.close(where)


def place(name: str, *, directory: bool) -> int:
    """A directory, or a file, to attach something to; the shelf is the working directory."""
    if directory:
        os.mkdir(name, 0o755)
    else:
        os.mknod(name, stat.S_IFREG | 0o644)
    return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)


class TakeFromShelf(Step[Inside], frozen=True):
    """Clone all of them once more."""

    why: ClassVar[str] = (
        "unsharing the mount namespace has copied the shelf, which still is this process's directory, whoever may "
        "enter those above; a clone can be attached somewhere else, and keeps the flags and their locks")
    manual: ClassVar[str] = "mount_namespaces(7), open_tree(2)"
    kind: str  # the propagation that they are to have

    def describe(self) -> str:
        return "take from the shelf what was opened before"

    def shell(self) -> str:
        return ":  # see above"

    def apply(self, at: Inside) -> None:
        for number in at.trees:
            at.trees[number] = m.open_tree(m.AT_FDCWD, str(number), m.OPEN_TREE_CLONE | m.AT_RECURSIVE)
            propagate(at.trees[number], (self.kind,))
        os.chdir("/")
