"""A container's file system as nobody else sees it: an overlay in no mount table, held by one descriptor.

Docker mounts a container's root and volumes to copy from them, and each step of that has been attacked
(CVE-2026-41568, CVE-2026-42306). Here a thread of its own leaves the process's mount namespace (unshare(2) moves only
the calling thread), mounts the overlay, binds onto *descriptors* that were resolved inside it, and keeps a detached
clone of the whole tree (open_tree(2)). When the thread ends, its namespace is gone, and with it everything but the
clone; when the descriptor is closed, or the process killed, that is gone as well. The host's mount table never changes.
"""

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pydocker.errors import PydockerError
from pydocker.layers.overlay import MountOverlay
from runtime.linux import mounts, namespaces
from runtime.linux.openat2 import make_directories, openat2

_SAFE = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV | mounts.MOUNT_ATTR_NOEXEC


class Bind(NamedTuple):
    """A file or directory of the host's, and where in the container it is seen.

    `tree` gives a detached mount instead, in the thread's own mount namespace; it gets a directory to mount on.
    """

    source: str
    destination: str
    read_only: bool = False
    tree: Callable[[str], int] | None = None


def opened(lower: Sequence[str], upper: str, work: str | None, *, holder: str, place: str,
           binds: Sequence[Bind] = ()) -> int:
    """A descriptor (O_PATH) of the merged tree's root. With `work` it can be written to; without, nothing can.

    `lower` is lowest first; `place` is a directory of the engine's to mount on, in a namespace where nobody looks, and
    `holder` the mount point of its mount. Raises PydockerError, NotSupported.
    """
    if work is None and not lower:  # overlayfs wants two directories, and one alone is what it shows
        return _bound(upper, holder, place, binds)
    if work is None:
        stack = MountOverlay(lower=(*lower, upper), upper="", work="", target=place)
    else:
        stack = MountOverlay(lower=tuple(lower), upper=upper, work=work, target=place)
    return elsewhere(lambda: _made(stack, holder, binds, make=work is not None))


def _bound(directory: str, holder: str, place: str, binds: Sequence[Bind]) -> int:
    def make() -> int:
        leave(holder)
        root = mounts.open_tree(mounts.AT_FDCWD, directory, mounts.OPEN_TREE_CLONE)
        with _closing(root), _closing(_directory(place)) as target:
            mounts.mount_setattr(root, attr_set=_SAFE | mounts.MOUNT_ATTR_RDONLY)
            mounts.move_mount(root, target)
        return _cloned(place, binds, make=False)

    return elsewhere(make)


def _made(stack: MountOverlay, holder: str, binds: Sequence[Bind], *, make: bool) -> int:
    leave(holder)
    stack.apply(None)
    return _cloned(stack.target, binds, make=make)


def leave(holder: str) -> None:
    """A mount namespace of its own for this thread, in which mounts below `holder` spread to nobody."""
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mounts.mount(None, holder, None, mounts.MS_SLAVE)


def _cloned(place: str, binds: Sequence[Bind], *, make: bool) -> int:
    with _closing(_directory(place)) as root:
        for bind in sorted(binds, key=lambda bind: bind.destination.count("/")):
            _attach(root, bind, place, make=make)
    tree = mounts.open_tree(mounts.AT_FDCWD, place, mounts.OPEN_TREE_CLONE | mounts.AT_RECURSIVE)
    try:  # nothing is executed here, and no device of an image's is ever opened
        mounts.mount_setattr(tree, attr_set=_SAFE, recursive=True)
    except BaseException:
        os.close(tree)
        raise
    return tree


def _attach(root: int, bind: Bind, place: str, *, make: bool) -> None:
    """A destination that is not there is made, as the container's start would, where anything can be made; otherwise
    nothing is shown there."""
    with contextlib.ExitStack() as held:
        try:
            source = bind.tree(place) if bind.tree else mounts.open_tree(
                mounts.AT_FDCWD, bind.source, mounts.OPEN_TREE_CLONE | mounts.AT_RECURSIVE)
            held.callback(os.close, source)
            target = _target(root, bind.destination, source, make=make)
            held.callback(os.close, target)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(os.fstat(source).st_mode) != stat.S_ISDIR(os.fstat(target).st_mode):
            return
        if bind.read_only:
            mounts.mount_setattr(source, attr_set=mounts.MOUNT_ATTR_RDONLY, recursive=True)
        mounts.move_mount(source, target)


def _target(root: int, path: str, source: int, *, make: bool) -> int:
    try:
        return openat2(root, path, os.O_PATH)
    except FileNotFoundError:
        if not make:
            raise
    if stat.S_ISDIR(os.fstat(source).st_mode):
        return make_directories(root, path)
    above, _, name = path.rpartition("/")
    with _closing(make_directories(root, above)) as parent:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent))
        return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def elsewhere(make: Callable[[], int]) -> int:
    """What `make` returns, from a thread that ends with it."""
    outcome: list[int | BaseException] = []

    def run() -> None:
        try:
            outcome.append(make())
        except BaseException as error:  # handed to the caller, which raises it
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(outcome[0], OSError):
        error = outcome[0]
        raise PydockerError(f"mount the container's file system: {os.strerror(error.errno or 0).lower()}") from error
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _directory(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
