"""Whether a directory still is what an archive becomes: two trees, entry by entry and byte by byte.

    expected     the archive, unpacked again just now
    actual       the layer, which containers have stood on for a year

Everything that a container can see is compared: kind, mode, owner, time, size, content, link target, device number,
extended attributes, and which names are the same file. Paths are opened below each tree's root by openat2(2), so that
neither a link nor a directory swapped under our hands leads elsewhere.
"""

import contextlib
import os
import stat
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from pydocker.layers.attributes import is_whiteout
from runtime.linux.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_WITHIN = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME | os.O_CLOEXEC
_PIECE = 1 << 20
_IGNORED_XATTRS = ("security.selinux", "security.ima", "security.evm")  # the machine's own labels, not the layer's

Inode = tuple[int, int]


def differences(expected: Path, actual: Path, untimed: Collection[bytes]) -> Iterator[str]:
    """Each difference as one line (`etc/passwd: its content`), in the order of a walk; none: they are the same.

    `untimed` are directories whose time nobody has set. Raises OSError where a tree cannot be read.
    """
    with contextlib.ExitStack() as held:
        one, other = (_kept(os.open(path, _DIRECTORY | os.O_CLOEXEC), held) for path in (expected, actual))
        yield from _Comparison(one, other, untimed).run()


class _Comparison:
    def __init__(self, expected: int, actual: int, untimed: Collection[bytes]) -> None:
        self._roots = expected, actual
        self._untimed = frozenset(untimed)
        self._first: tuple[dict[Inode, bytes], dict[Inode, bytes]] = {}, {}  # where each inode was first seen

    def run(self) -> Iterator[str]:
        yield from self._entry(b".", b"", *self._roots)
        pending = [b""]
        while pending:
            yield from self._directory(pending.pop(), pending)

    def _directory(self, path: bytes, pending: list[bytes]) -> Iterator[str]:
        with contextlib.ExitStack() as held:
            expected, actual = (_kept(openat2(root, path or b".", _DIRECTORY, resolve=_WITHIN), held)
                                for root in self._roots)
            wanted, there = (frozenset(map(os.fsencode, os.listdir(fd))) for fd in (expected, actual))
            for name in sorted(wanted | there):
                full = path + b"/" + name if path else name
                if name not in there:
                    yield f"{_shown(full)}: is missing"
                elif name not in wanted:
                    yield f"{_shown(full)}: does not belong to the layer"
                else:
                    yield from self._entry(name, full, expected, actual)
                    if all(_is_directory(name, fd) for fd in (expected, actual)):
                        pending.append(full)

    def _entry(self, name: bytes, path: bytes, expected: int, actual: int) -> Iterator[str]:
        wanted, there = (os.stat(name, dir_fd=fd, follow_symlinks=False) for fd in (expected, actual))
        if stat.S_IFMT(wanted.st_mode) != stat.S_IFMT(there.st_mode):
            yield f"{_shown(path)}: is another kind of file"
            return
        for what, one, other in self._facts(path, wanted, there):
            if one != other:
                yield f"{_shown(path)}: its {what} is {other}, not {one}"
        if _xattrs(expected, name) != _xattrs(actual, name):
            yield f"{_shown(path)}: its extended attributes"
        if not _same_content(name, wanted, there, expected, actual):
            yield f"{_shown(path)}: its content"

    def _facts(self, path: bytes, wanted: os.stat_result, there: os.stat_result) -> Iterator[tuple[str, str, str]]:
        yield "mode", f"{stat.S_IMODE(wanted.st_mode):04o}", f"{stat.S_IMODE(there.st_mode):04o}"
        yield "owner", f"{wanted.st_uid}:{wanted.st_gid}", f"{there.st_uid}:{there.st_gid}"
        yield "device number", str(wanted.st_rdev), str(there.st_rdev)
        if path not in self._untimed and not is_whiteout(wanted):  # an archive has a name for it, and no time
            yield "time", _moment(wanted.st_mtime_ns), _moment(there.st_mtime_ns)
        if not stat.S_ISDIR(wanted.st_mode):
            yield "size", str(wanted.st_size), str(there.st_size)
            names = (_shown(first.setdefault((its.st_dev, its.st_ino), path))
                     for first, its in zip(self._first, (wanted, there), strict=True) if its.st_nlink > 1)
            yield "first name", *_pair(list(names), _shown(path))


def _kept(fd: int, held: contextlib.ExitStack) -> int:
    """Open until `held` ends, also if the descriptor that comes after it cannot be opened."""
    held.callback(os.close, fd)
    return fd


def _pair(names: list[str], alone: str) -> tuple[str, str]:
    """Both trees' first names of a file: equal where neither has another name."""
    return (names[0], names[1]) if len(names) == 2 else (alone, " and ".join(names) or alone)


def _same_content(name: bytes, wanted: os.stat_result, there: os.stat_result, expected: int, actual: int) -> bool:
    if stat.S_ISLNK(wanted.st_mode):
        return os.readlink(name, dir_fd=expected) == os.readlink(name, dir_fd=actual)
    if not stat.S_ISREG(wanted.st_mode) or wanted.st_size != there.st_size:
        return True  # nothing to read, or told already
    with contextlib.ExitStack() as held:
        one, other = (_kept(os.open(name, _FILE, dir_fd=fd), held) for fd in (expected, actual))
        while (piece := os.read(one, _PIECE)) == os.read(other, _PIECE):
            if not piece:
                return True
        return False


def _xattrs(fd: int, name: bytes) -> dict[str, bytes]:
    path = b"/proc/self/fd/%d/%s" % (fd, name)
    return {key: os.getxattr(path, key, follow_symlinks=False)
            for key in os.listxattr(path, follow_symlinks=False) if key not in _IGNORED_XATTRS}


def _is_directory(name: bytes, fd: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + f".{rest:09}"


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace") or "/"
