"""Directories that a layer walks through without naming them look as they do in the layers below.

overlayfs shows a merged directory with the attributes of its *uppermost* layer. A layer that only says `usr/bin/new`
must therefore not bring a `usr` and a `usr/bin` of its own making (root's, 0755, just now): they are copies.
umoci and buildah write such layers; containerd copies likewise.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydocker.layers.attributes import OPAQUE
from runtime.linux.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OVERLAY = "trusted.overlay."
_UNNAMED_MODE = 0o755  # for a directory that no layer names


def inherit(diff: Path, implied: Iterable[bytes], below: Sequence[Path]) -> None:
    """Give the `implied` directories of the layer `diff` the attributes that they have in `below` (lowest first)."""
    root = os.open(diff, _DIRECTORY)
    lower = [os.open(path, _DIRECTORY) for path in reversed(below)]
    try:
        for path in implied:
            target = openat2(root, path or b".", _DIRECTORY, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
            try:
                _inherit_one(target, path, lower)
            finally:
                os.close(target)
    finally:
        for fd in (root, *lower):
            os.close(fd)


def _inherit_one(target: int, path: bytes, lower: Sequence[int]) -> None:
    for layer in lower:
        source, hidden = _find(layer, path)
        if source is not None:
            try:
                _copy(source, target)
            finally:
                os.close(source)
            return
        if hidden:
            break
    os.fchmod(target, _UNNAMED_MODE)


def _find(layer: int, path: bytes) -> tuple[int | None, bool]:
    """The directory `path` of one layer, or None, and then whether this layer hides it in the ones below."""
    fd, hidden = os.dup(layer), False
    for name in filter(None, path.split(b"/")):
        try:
            following = os.open(name, _DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            os.close(fd)
            return None, hidden
        except OSError:  # ENOTDIR, ELOOP: a whiteout, a file or a link, which hide alike
            there = os.stat(name, dir_fd=fd, follow_symlinks=False)
            os.close(fd)
            if stat.S_ISDIR(there.st_mode):
                raise
            return None, True
        os.close(fd)
        fd = following
        hidden = hidden or _is_opaque(fd)
    return fd, False


def _is_opaque(fd: int) -> bool:
    return OPAQUE in os.listxattr(fd)


def _copy(source: int, target: int) -> None:
    there = os.fstat(source)
    os.fchown(target, there.st_uid, there.st_gid)
    os.fchmod(target, stat.S_IMODE(there.st_mode))
    for name in os.listxattr(source):
        if not name.startswith(_OVERLAY):
            os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(there.st_atime_ns, there.st_mtime_ns))
