"""Taking a container's files away: what its monitor does for --rm, and the engine for `rm`.

The rename into `tmp/` is the moment at which the container ceases to exist: of two that remove it at once, one
gets ENOENT. What a crash leaves under `tmp/` is swept when the engine starts; a name that points nowhere is free.
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pydocker.monitor.launch import FILE
from pydocker.storage import documents, locks
from pydocker.storage.trees import delete_tree as delete_tree


class _Named(msgspec.Struct, frozen=True):
    """What has to be known of config.json here. It may have been renamed since its monitor was told its name."""

    name: str


def remove(data: Path, run: Path, names: Path, temporary: Path) -> bool:
    """Remove the container whose two directories these are; False if somebody else was first."""
    try:
        os.rename(data, _grave(temporary, data.name))
    except FileNotFoundError:
        return False
    finish(data.name, run, names, temporary)
    return True


def _grave(temporary: Path, id: str) -> Path:
    return temporary / f"removed-{id}"


def finish(id: str, run: Path, names: Path, temporary: Path) -> None:
    """What comes after the rename; also when whoever began it was killed. The launch document goes last: as long as it
    is there, others can tell that there is something left.
    """
    grave = _grave(temporary, id)
    with contextlib.suppress(FileNotFoundError), locks.held(names / ".lock"):
        release_name(names, documents.read(grave / "config.json", _Named).name, id)
    delete_tree(grave)
    sweep(run, keep=(FILE,))
    delete_tree(run)


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


def _unlink(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)
