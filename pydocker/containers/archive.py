"""`cp`: what a path in a container is, a path as an archive, an archive put at a path.

A running container's tree is its init's root (proc(5), /proc/PID/root): what its processes see, volumes and tmpfs
included. (Docker shows neither a tmpfs nor anything mounted later.) A stopped one's is an overlay of our own, in no
mount table, with its bind mounts on it. Either is one descriptor, and every path is resolved by the kernel with it as
the root. Nothing of the image is ever executed or loaded here (CVE-2019-14271): no chroot(2), no name service.

File systems of the kernel's own (/proc, /sys, cgroups) are not files to copy: below them there is nothing, as in
Docker. So no link of an image can lead a copy into /proc.
"""

import contextlib
import os
import posixpath
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

from pydocker.containers import bundle, staying
from pydocker.containers.files import Files
from pydocker.containers.lifecycle import Lifecycle
from pydocker.containers.status import Statuses
from pydocker.errors import Conflict, Forbidden, InvalidParameter, NotFound
from pydocker.images.archive_layers import Source, bounded
from pydocker.layers import pack, view
from pydocker.layers.place import Place, Rules
from pydocker.layers.tar import Reader
from pydocker.layers.walk import Walk
from pydocker.model import copypath
from pydocker.model.container import Container, ContainerId, Record
from pydocker.model.mount import of_record
from pydocker.monitor import users
from pydocker.monitor.launch import Seen
from pydocker.paths import Paths
from pydocker.volumes import sources
from pydocker.wire.pathstat import PathStat, go_mode
from runtime.linux import mounts
from runtime.linux.openat2 import MOST_LINKS, openat2

_HANDLE = os.O_PATH | os.O_NOFOLLOW
_PATIENCE, _GLANCE = 10.0, 0.01  # seconds for one whose init has ended to be recorded as such, between two looks
_KERNELS = frozenset((  # magic numbers of statfs(2): proc, sysfs, cgroup, cgroup2, devpts, mqueue, debugfs, tracefs,
    0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x1CD1, 0x19800202, 0x64626720, 0x74726163,
    # securityfs, bpf, efivarfs, pstore, fusectl, configfs, nsfs, binfmt_misc, selinuxfs
    0x73636673, 0xCAFE4A11, 0xDE5E81E4, 0x6165676C, 0x65735543, 0x62656570, 0x6E736673, 0x42494E4D, 0xF97CFF8C))


class Options(NamedTuple):
    """What a put may do: replace directories by files and the other way round; give everything to the user."""

    replace_directories: bool
    to_user: bool


class Archives:
    """Copies into and out of containers."""

    def __init__(self, paths: Paths, statuses: Statuses, lifecycle: Lifecycle, files: Files,
                 seen: Callable[[Record], Sequence[Seen]]) -> None:
        """`seen` tells the volumes and images that a container would see."""
        self._paths, self._statuses, self._lifecycle, self._files = paths, statuses, lifecycle, files
        self._seen = seen

    def stat(self, id: ContainerId, path: str) -> PathStat:
        """What is there, without following a link at the end of the path. NotFound."""
        container = self._statuses.container(id)
        with self._tree(container) as root, _found(root, container, path) as handle:
            return _told(root, handle, path)

    def get(self, id: ContainerId, path: str) -> tuple[PathStat, Iterator[bytes]]:
        """The same, and the path as an archive, which has begun when this returns. NotFound."""
        container = self._statuses.container(id)
        with contextlib.ExitStack() as held:
            root = held.enter_context(self._tree(container))
            handle = held.enter_context(_found(root, container, path))
            told = _told(root, handle, path)
            if stat.S_ISSOCK(os.fstat(handle).st_mode):
                raise InvalidParameter(f"{path}: an archive cannot hold a socket")
            pieces = _packed(root, handle, told.name, held.pop_all())
        return told, chain([next(pieces)], pieces)

    def put(self, id: ContainerId, path: str, content: Iterable[bytes], options: Options) -> None:
        """Unpack the archive (plain, or compressed with gzip, bzip2, xz or zstd) into the directory `path`.

        NotFound: it is not there; Forbidden: it is read-only; InvalidParameter: it is no directory, or the archive is
        none; Conflict: the container is restarting.
        """
        with contextlib.ExitStack() as held:
            container, root = self._writable(id, held)
            _put(root, container, path, content, options)

    def _writable(self, id: ContainerId, held: contextlib.ExitStack) -> tuple[Container, int]:
        """A descriptor of the root, for writing, which `held` closes. Conflict: it waits for its next run.

        Between two looks it may have been started, or have ended: then it is looked at again.
        """
        patience = time.monotonic() + _PATIENCE
        while True:
            container = self._statuses.container(id)
            staying.refuse(container)
            root = _root_of(container) if container.state.running else self._locked(id, held)
            if root is not None:
                held.callback(os.close, root)
                return container, root
            if time.monotonic() > patience:
                raise Conflict(f"Container {id} is ending, wait until it is stopped")
            time.sleep(_GLANCE)

    def _locked(self, id: ContainerId, held: contextlib.ExitStack) -> int | None:
        """The same of one that does not run, and until `held` closes is not started: its overlay would be mounted
        twice. None: it has been started already.
        """
        with contextlib.ExitStack() as locked:
            container = locked.enter_context(self._lifecycle.locked(id))
            if container.state.running:
                return None
            root = self._files.mounted(container.record, writable=True, binds=self._binds(container))
            held.push(locked.pop_all())
            return root

    @contextlib.contextmanager
    def _tree(self, container: Container) -> Iterator[int]:
        """A descriptor of the container's root, for reading."""
        root = _root_of(container) if container.state.running else None
        with contextlib.ExitStack() as held:
            if root is None:
                held.enter_context(self._files.reading(container.record.id))
                self._make_mount_points(container)
                root = self._files.mounted(container.record, binds=self._binds(container))
            held.callback(os.close, root)
            yield root

    def _make_mount_points(self, container: Container) -> None:
        """Of one that was never started: its volumes are there, and have no place yet at which they are seen."""
        if container.state.started or not of_record(container.record):
            return
        with contextlib.ExitStack() as held:
            root = self._locked(container.record.id, held)
            if root is not None:
                os.close(root)

    def _binds(self, container: Container) -> list[view.Bind]:
        data = self._paths.container(container.record.id)
        spec = bundle.spec(container.record, data, self._paths.run)
        trees = {seen.destination: partial(sources.tree, seen.source)
                 for seen in self._seen(container.record) if seen.place}
        return [view.Bind(mount.source, mount.destination, "ro" in mount.options, trees.get(mount.destination))
                for mount in spec.mounts if {"bind", "rbind"} & set(mount.options)]


def _root_of(container: Container) -> int | None:
    """Init's root. None: it has just ended, or its number is another process's by now."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as held:
        process = os.open(f"/proc/{container.state.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        held.callback(os.close, process)
        root = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process)
        held.callback(os.close, root)
        with open(os.open("stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process), "rb") as file:
            started = int(file.read().rpartition(b")")[2].split()[19])
        if started == container.state.start_time:
            return os.dup(root)
    return None


@contextlib.contextmanager
def _found(root: int, container: Container, path: str) -> Iterator[int]:
    """The path, opened (O_PATH), without following a link at its end. NotFound in Docker's words."""
    try:
        handle = openat2(root, copypath.cleaned(f"/{path}"), _HANDLE)
    except FileNotFoundError:
        raise _missing(container, path) from None
    except OSError as error:
        raise InvalidParameter(f"{path}: {os.strerror(error.errno or 0).lower()}") from error
    try:
        if _is_kernels(handle) and path.strip("/"):
            raise _missing(container, path)
        yield handle
    finally:
        os.close(handle)


def _missing(container: Container, path: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {container.record.name}")


def _is_kernels(handle: int) -> bool:
    return mounts.filesystem(handle) & 0xFFFFFFFF in _KERNELS


def _told(root: int, handle: int, path: str) -> PathStat:
    there = os.fstat(handle)
    seconds, rest = divmod(there.st_mtime_ns, 10**9)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + (f".{rest:09}".rstrip("0") if rest else "")
    target = _resolved(root, copypath.cleaned(f"/{path}")) if stat.S_ISLNK(there.st_mode) else ""
    return PathStat(copypath.split(copypath.cleaned(f"/{path}"))[1], there.st_size, go_mode(there.st_mode),
                    f"{moment}Z", target)


def _resolved(root: int, path: str) -> str:
    """Where a link leads, in the container's terms; of a broken one, as far as it can be told."""
    for _ in range(MOST_LINKS):
        above, name = posixpath.split(posixpath.normpath(path))
        try:
            with _opened(root, above, os.O_PATH | os.O_DIRECTORY) as parent:
                above = _path(root, parent)
                with _opened(parent, name, _HANDLE) as handle:
                    if not stat.S_ISLNK(os.fstat(handle).st_mode):
                        return posixpath.join(above, name)
                    path = posixpath.join(above, os.readlink("", dir_fd=handle))
        except OSError:
            break
    return posixpath.normpath(path)


def _path(root: int, handle: int) -> str:
    prefix = os.readlink(f"/proc/self/fd/{root}").rstrip("/")
    return os.readlink(f"/proc/self/fd/{handle}").removeprefix(prefix) or "/"


@contextlib.contextmanager
def _opened(root: int, path: str, flags: int) -> Iterator[int]:
    fd = openat2(root, path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def _packed(root: int, handle: int, name: str, held: contextlib.ExitStack) -> Iterator[bytes]:
    with held:
        device = _inode(root, "/dev")
        walk = Walk(lambda fd: not _is_kernels(fd) and _inode(fd, ".") != device)
        path = os.fsencode(name)
        yield from pack.stream(walk.tree(handle, path if path != b"." else b"./"))


def _inode(root: int, path: str) -> tuple[int, int] | None:
    try:
        with _opened(root, path, os.O_PATH) as handle:
            there = os.fstat(handle)
            return there.st_dev, there.st_ino
    except OSError:
        return None


def _put(root: int, container: Container, path: str, content: Iterable[bytes], options: Options) -> None:
    with _directory(root, container, path) as target:
        _check_writable(root, target, container)
        owner = None
        if options.to_user and container.record.config.user:
            identity = users.resolve(root, container.record.config.user)
            owner = identity.uid, identity.gid
        rules = Rules(owner=owner, replace_directories=options.replace_directories)
        with Place(root, os.fsencode(_path(root, target)), rules=rules) as place:
            place.take(Reader(bounded(Source(iter(content)))))


@contextlib.contextmanager
def _directory(root: int, container: Container, path: str) -> Iterator[int]:
    try:
        target = openat2(root, f"/{path}", os.O_PATH)
    except FileNotFoundError:
        raise _missing(container, path) from None
    except OSError as error:
        raise InvalidParameter(f"{path}: {os.strerror(error.errno or 0).lower()}") from error
    try:
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            raise InvalidParameter("extraction point is not a directory")
        if _is_kernels(target):
            raise Forbidden(f"{path} is a file system of the kernel's: nothing can be copied into it")
        yield target
    finally:
        os.close(target)


def _check_writable(root: int, target: int, container: Container) -> None:
    """A stopped container's root is writable here, whatever it will be when it runs."""
    in_root = os.fstat(target).st_dev == os.fstat(root).st_dev
    if in_root and container.record.host.readonly_rootfs:
        raise Forbidden("container rootfs is marked read-only")
    if os.fstatvfs(target).f_flag & os.ST_RDONLY:
        raise Forbidden("container rootfs is marked read-only" if in_root else "mounted volume is marked read-only")
