"""Taking a container's files away: what its monitor does for --rm, and the engine for `rm`.

The rename into `tmp/` is the moment at which the container ceases to exist: of two that remove it at once, one
gets ENOENT. What a crash leaves under `tmp/` is finished when the engine starts; a name that points nowhere is free.

Where something cannot be deleted (a file that chattr(1) made immutable), the container is renamed back: it exists
again, with what is left of its files, and is dead, as Docker calls that. Then it can be removed once more.
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError
from pydocker.model.container import State, Status
from pydocker.monitor.launch import FILE
from pydocker.monitor.recorded import STATE
from pydocker.storage import documents, locks
from pydocker.storage.trees import delete_tree as delete_tree

_KEPT = ("config.json", STATE, "lock")  # by these it is known as long as there is anything else of it


class _Named(msgspec.Struct, frozen=True):
    """What has to be known of config.json here. It may have been renamed since its monitor was told its name."""

    name: str


def remove(data: Path, run: Path, names: Path, temporary: Path) -> bool:
    """Remove the container whose two directories these are; False if somebody else was first.

    PydockerError: it cannot be. Unless nothing was deleted (the disk is read-only, say), it is dead now.
    """
    try:
        os.rename(data, grave(temporary, data.name))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise PydockerError(f"remove container {data.name[:12]}: {_why(error)}") from error
    finish(data, run, names, temporary)
    return True


def grave(temporary: Path, id: str) -> Path:
    """Where a container is while its files are deleted."""
    return temporary / f"removed-{id}"


def finish(data: Path, run: Path, names: Path, temporary: Path) -> None:
    """What comes after the rename; also when whoever began it was killed. The launch document goes last: as long as it
    is there, others can tell that there is something left. PydockerError: the same as `remove`.
    """
    id, place = data.name, grave(temporary, data.name)
    try:
        sweep(place, keep=_KEPT)
    except OSError as error:
        why = f"remove container {id[:12]}: {_why(error)}".replace(str(place), str(data))
        if not (place / "config.json").exists():  # no container, whatever it is
            raise PydockerError(why) from error
        _give_back(data, run, names, place, why)
        raise PydockerError(f"{why}: it is dead now, and can be removed when that can be deleted") from error
    with contextlib.suppress(FileNotFoundError), locks.held(names / ".lock"):
        release_name(names, documents.read(place / "config.json", _Named).name, id)
    delete_tree(place)
    sweep(run, keep=(FILE,))
    delete_tree(run)


def _why(error: OSError) -> str:
    return f"delete {error.filename}: {os.strerror(error.errno or 0).lower()}"


def _give_back(data: Path, run: Path, names: Path, place: Path, why: str) -> None:
    """It exists again. Its name is its own still: nobody may have one whose container is in its grave."""
    state = documents.read(place / STATE, State) if (place / STATE).exists() else State()
    dead = msgspec.structs.replace(state, status=Status.DEAD, error=why)
    documents.write(place / STATE, dead, durable=False)
    with locks.held(names / ".lock"):
        os.rename(place, data)
    for name in (FILE, STATE):  # nobody has to put anything right, nor is any other state true
        (run / name).unlink(missing_ok=True)


def release_name(names: Path, name: str, id: str) -> None:
    """Unlink the name if it is (still) this container's. Call it with the lock of `names` held."""
    with contextlib.suppress(FileNotFoundError):
        if os.readlink(names / name) == id:
            os.unlink(names / name)


def sweep(directory: Path, keep: Sequence[str]) -> None:
    """Delete everything in the directory but `keep`, and of these the directories that are empty.

    It may be no link (OSError, ENOTDIR): what is where that leads is somebody else's.
    """
    if directory.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
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
