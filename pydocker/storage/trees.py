"""Whole directories taken away."""

import contextlib
import errno
import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from runtime.linux.openat2 import RESOLVE_NO_XDEV, openat2

_log = logging.getLogger(__name__)

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def delete_tree(path: Path) -> None:
    """Delete a directory and all below it; one that is not there is fine. Links are not followed.

    The tree is a container's, so it may be deeper than any stack or path: each directory found inside is moved up
    to the top before it is emptied. (shutil.rmtree recurses, with one descriptor for each level.) Two may delete the
    same tree: what the other one has deleted already is passed over, and what it has moved up meanwhile is looked for.
    overlayfs leaves `work/work` with mode 0, which root may enter nevertheless (CAP_DAC_OVERRIDE).

    What is mounted below is never entered: OSError, EBUSY. It is somebody's data, a volume's on another machine, say.
    The OSError's `filename` is where the file is now.
    """
    with contextlib.suppress(FileNotFoundError), _opened(path) as top:
        while not _cleared(path, top):
            pass


def _cleared(path: Path, top: int) -> bool:
    """Delete what is there now, and the directory; False: somebody has moved something up meanwhile."""
    fresh = (f".{os.urandom(8).hex()}" for _ in itertools.count())
    with _placed(path):
        pending = _empty(top, top, fresh)
    while pending:
        name = pending.pop()
        with contextlib.suppress(FileNotFoundError), _placed(path):
            with _inside(top, name) as fd, _placed(path / name):
                pending += _empty(fd, top, fresh)
            os.rmdir(name, dir_fd=top)
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    return True


def delete_left(path: Path) -> None:
    """Delete what is one of many, or what a crash left. What cannot be deleted (a file that chattr(1) made immutable)
    is logged, and stays: it prevents neither the others' deletion nor the server's next start.
    """
    try:
        delete_tree(path)
    except OSError as error:
        _log.warning("%s stays: %s", path, os.strerror(error.errno or 0).lower())


@contextlib.contextmanager
def _placed(directory: Path) -> Iterator[None]:
    """An error of what is in there names it by its whole path."""
    try:
        yield
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else ""  # scandir(3) of a descriptor has none
        error.filename = str(directory / name)  # an absolute one stays as it is
        raise


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, _DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _inside(top: int, name: str) -> Iterator[int]:
    try:
        fd = openat2(top, name, _DIRECTORY, resolve=RESOLVE_NO_XDEV)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise OSError(errno.EBUSY, "something is mounted on it", name) from error
        raise
    try:
        yield fd
    finally:
        os.close(fd)


def _empty(fd: int, top: int, fresh: Iterator[str]) -> list[str]:
    moved = []
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, directory in found:
        if not directory:
            _unlink(name, fd)
            continue
        moved.append(name if fd == top else next(fresh))
        if fd != top:
            with contextlib.suppress(FileNotFoundError):
                os.rename(name, moved[-1], src_dir_fd=fd, dst_dir_fd=top)
    return moved


def _unlink(name: str, at: int | None = None) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=at)
