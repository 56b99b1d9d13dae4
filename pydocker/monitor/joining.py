"""Steps for what a container has in common with the host's directories, and with other containers."""

import errno
import os
import shlex
import stat
from pathlib import Path

from pydocker.errors import PydockerError, StartFailed
from pydocker.model.container import State
from pydocker.monitor.birth import Birth
from pydocker.monitor.pids import start_time
from pydocker.storage import documents
from runtime.linux import handles, mounts, namespaces
from runtime.linux.mountinfo import MountPoint, mount_id, mountinfo
from runtime.step import Step


class MakeSources(Step[Birth], frozen=True):
    """Directories of the host's that are to be bind-mounted."""

    why = "Docker makes the missing source of a -v instead of failing"
    manual = "mkdir(2)"
    paths: tuple[str, ...]

    def describe(self) -> str:
        return f"make {', '.join(self.paths)} on the host, where missing"

    def shell(self) -> str:
        return f"mkdir -p {' '.join(map(shlex.quote, self.paths))}"

    def apply(self, at: Birth) -> None:
        for path in self.paths:
            try:
                if not os.path.lexists(path):
                    os.makedirs(path, mode=0o755, exist_ok=True)
            except OSError as error:
                raise StartFailed(f"error while creating mount source path '{path}': {reason(error)}",
                                  128) from error


class CheckPropagation(Step[Birth], frozen=True):
    """Bind mounts that are to spread."""

    why = "mounts spread to and from a bind mount only where its source's mount does so: else nothing would ever come"
    manual = "mount_namespaces(7), SHARED SUBTREES"
    sources: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        return "look whether the host spreads mounts: " + ", ".join(f"{path} ({how})" for path, how in self.sources)

    def shell(self) -> str:
        return "; ".join(f"findmnt -n -o TARGET,PROPAGATION -T {shlex.quote(path)}" for path, _ in self.sources)

    def apply(self, at: Birth) -> None:
        for path, how in self.sources:
            kinds = {"shared": ("shared",), "slave": ("shared", "master")}[how]
            mount = holding(path)
            if mount is not None and not any(word.startswith(kinds) for word in mount.propagation):
                what = "shared" if how == "shared" else "shared or slave"
                raise StartFailed(f"path {path} is mounted on {mount.target} but it is not a {what} mount", 128)


def holding(path: str) -> MountPoint | None:
    """The mount that a file is on, by the number that the kernel tells; None: there is no such file, as the runtime
    will say."""
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        id = mount_id(file)
    finally:
        os.close(file)
    return next((mount for mount in mountinfo() if mount.id == id), None)


class FindNamespaces(Step[Birth], frozen=True):
    """Namespaces of other containers."""

    why = ("a namespace is named by a process that is in it, and which process that is only the other container's "
           "last start tells")
    manual = "namespaces(7), /proc/PID/ns"
    joins: dict[str, str]
    containers: str

    def describe(self) -> str:
        return "open " + ", ".join(f"the {kind} namespace of container {id[:12]}" for kind, id in self.joins.items())

    def shell(self) -> str:
        return "; ".join(f"exec {{{kind}}}</proc/$(docker inspect -f '{{{{.State.Pid}}}}' {id[:12]})/ns/{_file(kind)}"
                         for kind, id in self.joins.items())

    def apply(self, at: Birth) -> None:
        for kind, id in self.joins.items():
            at.joined[kind] = opened(self.containers, id, kind)

    def undo(self, at: Birth) -> None:
        at.let_go()


class JoinSharedMemory(Step[Birth], frozen=True):
    """The shared memory of the container whose IPC namespace is joined."""

    why = ("POSIX shared memory is a file system, which an IPC namespace does not have: a copy of the other "
           "container's mount is taken out of its mount namespace")
    manual = "shm_overview(7), open_tree(2), setns(2)"
    id: str
    containers: str
    target: str

    def describe(self) -> str:
        return f"mount the /dev/shm of container {self.id[:12]} on {self.target}"

    def shell(self) -> str:
        return (f"mkdir -p {shlex.quote(self.target)}; mount --bind -N /proc/$(docker inspect -f '{{{{.State.Pid}}}}' "
                f"{self.id[:12]})/ns/mnt /dev/shm {shlex.quote(self.target)}")

    def apply(self, at: Birth) -> None:
        theirs = opened(self.containers, self.id, "mnt")
        try:
            tree = copied(theirs, "/dev/shm")  # noqa: S108 (a container's own)
        except OSError as error:
            raise StartFailed(f"shared memory of container {self.id}: {reason(error)}", 128) from error
        finally:
            os.close(theirs)
        try:
            os.makedirs(self.target, mode=0o700, exist_ok=True)
            target = os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                mounts.move_mount(tree, target)
            finally:
                os.close(target)
        finally:
            os.close(tree)

    def undo(self, at: Birth) -> None:
        mounts.umount2(self.target, mounts.MNT_DETACH)


def _file(kind: str) -> str:
    """The OCI's name of a kind, as the kernel's in /proc/PID/ns."""
    return "net" if kind == "network" else kind


def reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def copied(namespace: int, path: str, root: bytes = b"") -> int:
    """A detached copy of the mount at `path` in another mount namespace; see `copy`.

    Between the two setns(2), this process sees the other container's files: system calls, and no Python module.
    """
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    links = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        namespaces.setns(namespace, namespaces.CLONE_NEWNS)
        try:
            return copy(path, root, links)
        finally:
            namespaces.setns(own, namespaces.CLONE_NEWNS)
    finally:
        os.close(links)
        os.close(own)


def copy(path: str, root: bytes, links: int) -> int:
    """A detached copy of the mount at `path`; or of all its file system from the directory on whose handle `root` is:
    that may be above the directory or file that is mounted there. `links`: our own /proc/self/fd. Raises OSError."""
    if not root:
        return mounts.open_tree(mounts.AT_FDCWD, path, mounts.OPEN_TREE_CLONE)
    part = _readable(path, links)
    try:
        whole = handles.open_by_handle_at(part, root)
    finally:
        os.close(part)
    try:
        return mounts.open_tree(whole, "", mounts.OPEN_TREE_CLONE | mounts.AT_EMPTY_PATH)
    finally:
        os.close(whole)


def _readable(path: str, links: int) -> int:
    """A directory or a file, opened for reading, as open_by_handle_at(2) wants it; nothing whose opening does something
    (a device, a pipe), which a container may have put there."""
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if stat.S_IFMT(os.fstat(found).st_mode) not in (stat.S_IFDIR, stat.S_IFREG):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return os.open(str(found), os.O_RDONLY | os.O_CLOEXEC, dir_fd=links)
    finally:
        os.close(found)


def opened(containers: str, id: str, kind: str) -> int:
    """A namespace of a running container's init process.

    If the pid is another process's by now, its start time is another, too; looked at when the descriptor is there.
    """
    word = kind if kind == "network" else kind.upper()
    failed = StartFailed(f"cannot join {word} of a non running container: {id}", 128)
    try:
        other = documents.read(Path(containers, id, "state.json"), State)
        found = os.open(f"/proc/{other.pid}/ns/{_file(kind)}", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, PydockerError) as error:
        raise failed from error
    try:
        lives = other.running and start_time(other.pid) == other.start_time
    except OSError:
        lives = False
    if not lives:
        os.close(found)
        raise failed
    return found
