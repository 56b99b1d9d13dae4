"""Locks between processes and threads: flock(2) on a file that is opened anew for every lock.

The kernel frees an flock when the last descriptor of its open file description is closed, so a lock cannot outlive
its holder, and "is it held?" is a truth that needs no pid. Two threads of one process exclude each other too, because
each opens the file for itself.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path


def acquire(path: Path, *, blocking: bool = True, shared: bool = False) -> int | None:
    """Take the lock at `path`; the descriptor that holds it, or None if not `blocking` and somebody else has it.

    The file is made if it is missing. Its holder may unlink it (with its directory): a lock on an unlinked file guards
    nothing, so the name is compared after the wait, and the wait begun again if it has changed.
    FileNotFoundError: the directory is gone.
    """
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if blocking else fcntl.LOCK_NB)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, how)
            if _is_still(fd, path):
                return fd
        except OSError as error:
            os.close(fd)
            if error.errno == errno.EWOULDBLOCK:
                return None
            raise
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether some process holds the exclusive lock at `path` now. A missing file is not locked."""
    fd = _open(path)
    if fd is None:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            return True
        raise
    finally:
        os.close(fd)


def sweep(directory: Path, ending: str) -> None:
    """Remove the lock files that nobody holds any more: what was locked by who was killed."""
    for name in os.listdir(directory):
        if name.endswith(ending):
            unlink_free(directory / name)


@contextlib.contextmanager
def held(path: Path, *, shared: bool = False, busy: Callable[[], object] = bool) -> Iterator[None]:
    """Hold the lock at `path` for the length of a `with` block. `busy`: called where it is to be waited for."""
    fd = acquire(path, shared=shared, blocking=False)
    if fd is None:
        busy()
        fd = acquire(path, shared=shared)
    assert fd is not None
    try:
        yield
    finally:
        os.close(fd)


def take(path: Path) -> int | None:
    """Take the lock of a file or directory that is there, without waiting; None if it is gone, or somebody has it."""
    fd = _open(path)
    if fd is None:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_still(fd, path):
            return fd
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            os.close(fd)
            raise
    os.close(fd)
    return None


def unlink_free(path: Path) -> None:
    """Remove a file, unless somebody holds its lock. A directory stays."""
    fd = take(path)
    if fd is not None:
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            path.unlink()
        os.close(fd)


@contextlib.contextmanager
def directory(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a directory itself.

    Shared, by who makes something in it that is locked as long as somebody works on it: between making and locking,
    it looks abandoned. Exclusive, by who takes away what is abandoned.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _open(path: Path) -> int | None:
    """None if there is neither a file nor a directory: nobody locks anything else. No link is followed, and no FIFO
    waited for."""
    try:
        found = os.lstat(path).st_mode
        if stat.S_ISREG(found) or stat.S_ISDIR(found):
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        pass
    return None


def _is_still(fd: int, path: Path) -> bool:
    try:
        named = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(fd)
    return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)
