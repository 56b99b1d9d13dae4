"""Taking a container's files away: what its monitor does for --rm, and the engine for `rm`.

The rename into `tmp/` is the moment at which the container ceases to exist: of two that remove it at once, one
gets ENOENT. What a crash leaves under `tmp/` is swept when the engine starts; a name that points nowhere is free.
"""

import contextlib
import errno
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from pydocker.storage import documents, locks


class _Named(msgspec.Struct, frozen=True):
    """What has to be known of config.json here. It may have been renamed since its monitor was told its name."""

    name: str


def remove(data: Path, run: Path, names: Path, temporary: Path) -> bool:
    """Remove the container whose two directories these are; False if somebody else was first."""
    id = data.name
    grave = temporary / f"removed-{id}"
    try:
        os.rename(data, grave)
    except FileNotFoundError:
        return False
    with locks.held(names / ".lock"):
        release_name(names, documents.read(grave / "config.json", _Named).name, id)
    delete_tree(run)
    delete_tree(grave)
    return True


def release_name(names: Path, name: str, id: str) -> None:
    """Unlink the name if it is (still) this container's. Call it with the lock of `names` held."""
    with contextlib.suppress(FileNotFoundError):
        if os.readlink(names / name) == id:
            os.unlink(names / name)


def sweep(directory: Path, keep: Sequence[str]) -> None:
    """Delete everything in the directory but `keep`, and of these the directories that are empty."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(directory):
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in keep or not os.listdir(entry.path):
                    delete_tree(Path(entry.path))
            elif entry.name not in keep:
                _unlink(entry.path)


def give_up(directory: Path, lock: str) -> None:
    """Delete a directory by whose file `lock` (held by the caller) others know whether it is in use.

    The lock's name goes last: as long as it is there, nobody takes what is left for the remains of a crash. From then
    on somebody may begin anew in the directory, with a lock of his own, and keeps it.
    """
    sweep(directory, keep=(lock,))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(directory / lock)
        try:
            os.rmdir(directory)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise


def delete_tree(path: Path) -> None:
    """Delete a directory and all below it; one that is not there is fine. Links are not followed.

    The tree is a container's, so it may be deeper than any stack or path: each directory found inside is moved up
    to the top before it is emptied. (shutil.rmtree recurses, with one descriptor for each level.) Two may delete the
    same tree: what the other one has deleted already is passed over.
    overlayfs leaves `work/work` with mode 0, which root may enter nevertheless (CAP_DAC_OVERRIDE).
    """
    with contextlib.suppress(FileNotFoundError), _opened(path) as top:
        fresh = (f".{os.urandom(8).hex()}" for _ in itertools.count())
        pending = _empty(top, top, fresh)
        while pending:
            name = pending.pop()
            with contextlib.suppress(FileNotFoundError):
                with _opened(name, top) as fd:
                    pending += _empty(fd, top, fresh)
                os.rmdir(name, dir_fd=top)
        os.rmdir(path)


@contextlib.contextmanager
def _opened(path: str | Path, at: int | None = None) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
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
