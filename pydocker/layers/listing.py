"""What is in an unpacked layer, as `model.stack` wants it: overlayfs' whiteouts and opaque directories told apart."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pydocker.layers.attributes import OPAQUE, is_whiteout
from pydocker.model.stack import File, Listing


def listing(diff: Path) -> Listing:
    """List the layer's directory, in which nothing changes any more."""
    root = os.fsencode(diff)
    files: dict[bytes, File] = {}
    directories: list[bytes] = []
    removes: list[bytes] = []
    opaque: list[bytes] = []
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        directories.append(directory)
        if _is_opaque(os.path.join(root, directory)):
            opaque.append(directory)
        for name, there in _entries(os.path.join(root, directory)):
            path = directory + b"/" + name if directory else name
            if stat.S_ISDIR(there.st_mode):
                waiting.append(path)
            elif is_whiteout(there):
                removes.append(path)
            else:
                files[path] = File(there.st_ino, there.st_size if stat.S_ISREG(there.st_mode) else 0)
    return Listing(files, directories, removes, opaque)


def _entries(directory: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    with os.scandir(directory) as found:
        for entry in found:
            yield entry.name, entry.stat(follow_symlinks=False)


def _is_opaque(directory: bytes) -> bool:
    return OPAQUE in os.listxattr(directory, follow_symlinks=False)
