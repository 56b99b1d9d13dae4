"""A volume's first content: what the image has at the mount point, or an archive. All of it, or nothing.

The volume may be in use already (empty, by a container that runs), so its directory cannot just be replaced. Instead:

    1  beside it, everything is made in `filling`, and written to disk      a crash: `filling` is swept
    2  rename(2) filling -> filled                                          from here on, the content is there
    3  each name is moved from `filled` to the volume, one by one           a crash: whoever comes next goes on
    4  `filled` goes

Whoever is about to use the volume takes its lock and calls `finish` first. What a container makes meanwhile is never
overwritten: its file stays, and ours goes.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from pydocker.errors import PydockerError
from pydocker.layers import pack, tar
from pydocker.layers.place import Files, Place, Rules, give
from pydocker.layers.tar import DIRECTORY, Entry
from pydocker.layers.tree import split
from pydocker.layers.walk import Walk
from pydocker.storage.trees import delete_tree
from runtime.linux.renameat2 import rename_noreplace
from runtime.linux.syncfs import syncfs

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


LEFT = {"_filling", "_filled"}  # beside a volume's own directory: somebody is at it, or was killed


class Target(NamedTuple):
    """What is to be filled: a descriptor of it, and one of a directory of the same file system, for what is not
    complete; `prefix` begins the names there."""

    data: int
    beside: int
    prefix: str

    @property
    def filling(self) -> str:
        return f"{self.prefix}filling"

    @property
    def filled(self) -> str:
        return f"{self.prefix}filled"

    def names(self) -> list[str]:
        """What is in it, without our own."""
        return [name for name in os.listdir(self.data) if name not in (self.filling, self.filled)]

    def settled(self) -> bool:
        """Whether it has its content, and nobody is on the way to that."""
        return bool(self.names()) and not {self.filling, self.filled} & set(os.listdir(self.beside))


class Content(Files, Protocol):
    """What fills a volume; afterwards it knows what is told of the root directory, which `Place` leaves as it is."""

    root: Entry | None


class Archive(tar.Reader):
    """A tar archive as a volume's content."""

    root: Entry | None = None

    def __iter__(self) -> Iterator[Entry]:
        for entry in super().__iter__():
            if entry.kind == DIRECTORY and not split(entry.path)[1]:
                self.root = entry
            yield entry


def packed(handle: int) -> Iterator[bytes]:
    """All below a directory (O_PATH), and the directory itself, as an archive."""
    yield from pack.stream(Walk(holes=True).tree(handle, b"./"))


def fill(target: Target, content: Content) -> None:
    """Put the content into the empty directory. Raises PydockerError, after which it is still empty."""
    _delete(target, target.filling)
    os.mkdir(target.filling, 0o700, dir_fd=target.beside)
    try:
        staged = os.open(target.filling, _OPEN, dir_fd=target.beside)
        try:
            unpack(staged, content)
        finally:
            os.close(staged)
    except BaseException:
        _delete(target, target.filling)
        raise
    _complete(target, target.filling, target.beside)


def take(target: Target, made: Path) -> None:
    """Give the empty directory the content of another one of the same file system, which is on disk, and goes."""
    above = os.open(made.parent, _OPEN)
    try:
        _complete(target, made.name, above)
    finally:
        os.close(above)


def _complete(target: Target, made: str, above: int) -> None:
    os.rename(made, target.filled, src_dir_fd=above, dst_dir_fd=target.beside)
    os.fsync(target.beside)
    finish(target)


def unpack(directory: int, content: Content) -> None:
    """All of it into a new directory, with owners and modes, its own too; on disk when this returns."""
    with Place(directory, rules=Rules()) as place:
        place.take(content)
    if content.root is not None:
        _like(directory, content.root)
    syncfs(directory)


def finish(target: Target) -> None:
    """Go on where somebody was killed, if somebody was."""
    _delete(target, target.filling)
    try:
        filled = os.open(target.filled, _OPEN, dir_fd=target.beside)
    except FileNotFoundError:
        return
    except NotADirectoryError:  # in a volume that is another file system, a container can make what it likes
        _delete(target, target.filled)
        return
    try:
        for name in os.listdir(filled):
            with contextlib.suppress(FileExistsError):
                rename_noreplace(name, name, filled, target.data)
        _like(target.data, next(iter(Walk().tree(filled, b"./"))).entry)
        os.fsync(target.data)
    finally:
        os.close(filled)
    _delete(target, target.filled)


def _like(data: int, entry: Entry) -> None:
    """The directory itself gets the attributes of the one that was copied."""
    try:
        give(data, entry)
    except OSError as error:
        raise PydockerError(f"volume's directory: {os.strerror(error.errno or 0).lower()}") from error


def _delete(target: Target, name: str) -> None:
    try:
        delete_tree(Path(f"/proc/self/fd/{target.beside}/{name}"))
    except NotADirectoryError:
        os.unlink(name, dir_fd=target.beside)


@contextlib.contextmanager
def beside(directory: Path, opened: Callable[[], int] | None = None) -> Iterator[Target]:
    """The target of the volume whose directory that is; `opened` gives its content where that is another file
    system."""
    with contextlib.ExitStack() as held:
        if opened is not None:
            root = opened()
            held.callback(os.close, root)
            data = above = os.open(".", _OPEN, dir_fd=root)  # a mount's descriptor is O_PATH, and lists nothing
        else:
            try:
                above = os.open(directory, _OPEN)
                held.callback(os.close, above)
                data = os.open("_data", _OPEN, dir_fd=above)
            except FileNotFoundError as error:
                raise PydockerError(f"volume {directory.name}: its files are gone (see `system check`)") from error
        held.callback(os.close, data)
        yield Target(data, above, ".pydocker-" if opened is not None else "_")
