"""Volumes of type tmpfs: one file system for all containers that have the volume at the same time.

It lives in the kernel's memory as long as somebody has it mounted, and no name leads to it: whoever comes second takes
a copy of the mount out of the first container's namespace, as it is done for shared memory. The path there is the
container's, so what it leads to has to be the very file system that was mounted: its root's numbers are written down.
Who has mounted a part of it alone has the rest as well, for the kernel: by the root's handle (open_by_handle_at(2)).

Under the volume's lock, so that of two that start at once one is the first; the other waits until that one runs. All
take their volumes in the order of the names, so that no two wait for each other.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError
from pydocker.monitor.joining import copied, copy, opened
from pydocker.monitor.launch import FILE, LOCK, Seen
from pydocker.paths import Paths
from pydocker.storage import documents, locks
from runtime.linux import handles, mounts, namespaces

_PATIENCE, _GLANCE = 5.0, 0.02  # seconds for another start to come to its end, between two looks


class _Root(msgspec.Struct, frozen=True):
    """Of the file system: st_dev and st_ino; and, where a part of it is mounted, its handle."""

    device: int
    inode: int
    handle: bytes = b""

    def copy(self, found: int, seen: Seen) -> int | None:
        """`found`, if it is this."""
        there = os.fstat(found)
        if (there.st_dev, there.st_ino) == (self.device, self.inode):
            return _writable(found, seen)
        os.close(found)  # it is not mounted yet, or something else is there by now
        return None


class _Launched(msgspec.Struct, frozen=True):
    seen: tuple[Seen, ...] = ()


def is_one(seen: Seen) -> bool:
    """Whether it is such a volume."""
    return seen.source.filesystem is not None and seen.source.filesystem.in_memory


@contextlib.contextmanager
def first_or_later(seen: Seen) -> Iterator[int | None]:
    """A detached copy of it, if some container has it mounted. Nobody else looks, or mounts it, during this block."""
    mine = Path(seen.place).parents[1]
    volume = Path(seen.source.data).parent
    with locks.held(volume / "lock"):
        others = (_of(other, seen.name, volume.parents[1] / "containers")
                  for other in mine.parent.iterdir() if other != mine)
        yield next((found for found in chain((_own(mine, seen),), others) if found is not None), None)


def mounted(paths: Paths, volume: str) -> int | None:
    """A detached copy for who is no container; None: no container has it mounted."""
    from pydocker.layers import view  # what monitors have no use for

    containers = paths.data / "containers"

    def find() -> int:
        namespaces.unshare(namespaces.CLONE_FS)  # a thread alone may change its mount namespace: setns(2)
        copies = (_of(run, volume, containers) for run in (paths.run / "containers").iterdir())
        return next((found for found in copies if found is not None), -1)

    found = view.elsewhere(find)
    return found if found >= 0 else None


def remember(seen: Seen, whole: int) -> None:
    """Write down what is mounted, or will be in part."""
    there, handle = os.fstat(whole), b""
    if seen.source.subpath:
        with contextlib.suppress(OSError):  # ENOSYS: a kernel without handles; then the part is all that there is
            handle = handles.name_to_handle_at(whole)
    documents.write(_record(seen), _Root(there.st_dev, there.st_ino, handle), durable=False)


def _record(seen: Seen) -> Path:
    return Path(f"{seen.place}.root")


def _own(mine: Path, seen: Seen) -> int | None:
    """The copy, if this container has it at another place already."""
    for one in documents.read(mine / FILE, _Launched).seen:
        if one.name == seen.name and one.place != seen.place and _record(one).exists():
            root = documents.read(_record(one), _Root)
            with contextlib.suppress(OSError):  # nor is it mounted: the record is an earlier run's
                if (found := root.copy(_copy(one.place, root.handle), one)) is not None:
                    return found
    return None


def _copy(place: str, root: bytes) -> int:
    links = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return copy(place, root, links)
    finally:
        os.close(links)


def _of(run: Path, volume: str, containers: Path) -> int | None:
    """The copy from one container; None: it does not have it, or does not run."""
    try:
        launched = documents.read(run / FILE, _Launched)
        theirs = min((one for one in launched.seen if one.name == volume), key=lambda one: one.source.subpath)
        root = documents.read(_record(theirs), _Root)
        namespace = _namespace(run, str(containers), _record(theirs))
    except (OSError, PydockerError, ValueError):  # it has none
        return None
    try:
        return root.copy(copied(namespace, theirs.destination, root.handle), theirs)
    except OSError:  # it has just ended, or has unmounted it
        return None
    finally:
        os.close(namespace)


def _writable(found: int, theirs: Seen) -> int:
    """That container's mount may be read-only, where the file system is not."""
    if theirs.source.filesystem is not None and not theirs.source.filesystem.read_only:
        mounts.mount_setattr(found, attr_clr=mounts.MOUNT_ATTR_RDONLY)
    return found


def _namespace(run: Path, containers: str, record: Path) -> int:
    """Raises PydockerError: it does not run, and is not about to."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return opened(containers, run.name, "mnt")
        except PydockerError:
            if not (record.exists() and locks.is_held(run / LOCK)) or time.monotonic() > deadline:
                raise
        time.sleep(_GLANCE)
