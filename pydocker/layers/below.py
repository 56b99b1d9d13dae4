"""What the layers under a container show at a path, without mounting them: overlayfs' rules, by descriptors.

A layer that has a whiteout or anything but a directory at a path hides what lies below; so does an opaque directory,
for everything in it. A path is looked up without following links: it is the path of a name in the container's own
directory, none of whose parents is a link there.
"""

import os
import stat
from collections.abc import Sequence

from pydocker.layers.attributes import OPAQUE, is_whiteout
from runtime.linux.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

_HANDLE = os.O_PATH | os.O_NOFOLLOW
_WITHIN = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS


class Below:
    """Descriptors of the layers' directories, the topmost first. They stay the caller's."""

    def __init__(self, layers: Sequence[int]) -> None:
        self._layers = layers

    def find(self, path: bytes) -> os.stat_result | None:
        """What is there; None: nothing."""
        handle = self.open(path)
        if handle is None:
            return None
        try:
            return os.fstat(handle)
        finally:
            os.close(handle)

    def open(self, path: bytes) -> int | None:
        """The same as a descriptor (O_PATH)."""
        for layer in self._layers:
            handle, hidden = _look(layer, path)
            if handle is not None or hidden:
                return handle
        return None

    def names(self, path: bytes) -> set[bytes]:
        """What the directory `path` has in it; nothing if it is none."""
        shown: set[bytes] = set()
        gone: set[bytes] = set()
        for layer in self._layers:
            handle, hidden = _look(layer, path)
            if handle is not None:
                hidden = _collect(handle, shown, gone) or hidden
            if hidden:
                break
        return shown


def _collect(handle: int, shown: set[bytes], gone: set[bytes]) -> bool:
    """Add one layer's part of a directory; whether it hides the rest."""
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            return True
        for name in map(os.fsencode, os.listdir(f"/proc/self/fd/{handle}")):
            if is_whiteout(os.stat(name, dir_fd=handle, follow_symlinks=False)):
                gone.add(name)
            elif name not in gone:
                shown.add(name)
        return is_opaque(handle)
    finally:
        os.close(handle)


def _look(layer: int, path: bytes) -> tuple[int | None, bool]:
    """What one layer has at `path`, or None; and whether it hides what lies below."""
    names = path.strip(b"/").split(b"/")
    hidden = False
    for depth in range(1, len(names) + 1):
        try:
            handle = openat2(layer, b"/".join(names[:depth]) or b".", _HANDLE, resolve=_WITHIN)
        except FileNotFoundError:
            return None, hidden
        except OSError:  # ENOTDIR, ELOOP: a file or a link, where a directory stood
            return None, True
        there = os.fstat(handle)
        if is_whiteout(there):
            os.close(handle)
            return None, True
        if depth == len(names):
            return handle, hidden or not stat.S_ISDIR(there.st_mode)
        hidden = hidden or is_opaque(handle)
        os.close(handle)
    raise AssertionError("a path has a name")


def is_opaque(handle: int) -> bool:
    """Whether a directory hides what the layers below have in it."""
    return OPAQUE in os.listxattr(f"/proc/self/fd/{handle}")
