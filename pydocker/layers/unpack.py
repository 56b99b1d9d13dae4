"""Unpack one layer: read the archive's entries, make each in the tree, turn whiteouts into overlayfs' form.

    .wh.NAME         NAME of the layers below is gone      -> character device 0:0 called NAME
    .wh..wh..opq     all of this directory is gone         -> trusted.overlay.opaque = y on the directory
    .wh..wh.…        AUFS' own bookkeeping                 -> nothing (OCI image spec, layer.md, "Whiteouts")
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pydocker.layers import tar
from pydocker.layers.limits import CEILING, MOST_ENTRIES, ArchiveError, check_ceiling
from pydocker.layers.tree import Tree, split
from pydocker.storage import measure

_WHITEOUT = b".wh."
_RESERVED = b".wh..wh."
_OPAQUE = b".wh..wh..opq"

_NODES = {tar.CHARACTER: stat.S_IFCHR, tar.DEVICE: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}
# what the machine is not to blame for: the entry itself cannot be made
_IMPOSSIBLE = frozenset((errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG,
                         errno.EXDEV, errno.EINVAL, errno.EMLINK, errno.ENOTEMPTY))


class Unpacked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `size` is the bytes of all regular files; `implied` are paths below the layer's root."""

    size: int
    entries: int
    implied: tuple[bytes, ...]


def unpack(pieces: Iterator[bytes], root: int, ceiling: int = CEILING) -> Unpacked:
    """Unpack the archive that `pieces` are into the directory `root` (a descriptor). To be called with umask 0.

    `ceiling` bounds the bytes of all files. Raises ArchiveError naming the entry, or OSError with its path where the
    machine is to blame (ENOSPC).
    """
    with Tree(root) as tree:
        size, entries = _place_all(tree, tar.Reader(pieces), ceiling)
        implied = tuple(tree.finish())
    if tree.replaced:  # an archive may have one name twice: then what came out of it is not what was in it
        size = measure.content(Path(f"/proc/self/fd/{root}"))
    return Unpacked(size=size, entries=entries, implied=implied)


def _place_all(tree: Tree, reader: tar.Reader, ceiling: int) -> tuple[int, int]:
    """Make everything; returns the bytes of all files, and the number of entries."""
    size = entries = 0
    for entry in reader:
        entries += 1
        size += entry.length
        check_ceiling(size, ceiling)
        if entries > MOST_ENTRIES:
            raise ArchiveError(f"more than {MOST_ENTRIES} entries in one archive")
        try:
            _place(tree, entry, reader)
        except OSError as error:
            if error.errno not in _IMPOSSIBLE:
                raise OSError(error.errno, error.strerror, entry.path[:256]) from error
            raise ArchiveError(f"{entry.path[:256]!r}: {os.strerror(error.errno).lower()}") from error
    return size, entries


def _place(tree: Tree, entry: tar.Entry, reader: tar.Reader) -> None:
    """Make what one entry stands for."""
    above, name = split(entry.path)
    tree.forget_some()
    if name.startswith(_WHITEOUT):
        _hide(tree, above, name)
    elif entry.kind == tar.REGULAR:
        tree.file(above, name, entry, reader.content())
    elif entry.kind == tar.DIRECTORY:
        tree.directory(above, name, entry)
    elif entry.kind == tar.SYMLINK:
        tree.symlink(above, name, entry)
    elif entry.kind == tar.HARD_LINK:
        tree.hard_link(above, name, entry)
    else:
        tree.node(above, name, entry, _NODES[entry.kind])


def _hide(tree: Tree, above: bytes, name: bytes) -> None:
    if name == _OPAQUE:
        tree.opaque(above)
    elif not name.startswith(_RESERVED):
        hidden = name.removeprefix(_WHITEOUT)
        if hidden in (b"", b".", b".."):
            raise ArchiveError(f"{name!r}: invalid whiteout")
        tree.whiteout(above, hidden)
