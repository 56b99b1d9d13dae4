"""What a container has changed: its upper directory, read as overlayfs means it (overlayfs.rst).

    character device 0:0              the name is gone                     `.wh.NAME` in an archive
    trusted.overlay.opaque = y        nothing of the layers below is in it `.wh..wh..opq`
    anything else                     new, or another one

`changes` tells this as Docker does (moby/go-archive, changes.go): A, C and D are what a comparison of all files before
and after would find, where a file has changed if its kind, mode, owner, size, time or capabilities have, and a
directory if these (but its time) have, or if anything in it was told. What a removed directory had is not told.

What the engine makes itself for its mounts (`/etc/hosts`, `/proc`, …: empty files and directories) is nobody's change.
Docker has a layer of its own below the container's for these.
"""

import os
import stat
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from msgspec.structs import replace

from pydocker.errors import PydockerError
from pydocker.layers import tar
from pydocker.layers.attributes import OPAQUE, is_whiteout
from pydocker.layers.below import Below, is_opaque
from pydocker.layers.limits import MOST_DEPTH
from pydocker.layers.pack import Packed
from pydocker.layers.walk import Walk, portable

_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT, _OPAQUE = b".wh.", b".wh..wh..opq"
_OPAQUE_XATTR = OPAQUE.encode()
_ELSEWHERE = ("trusted.overlay.redirect", "trusted.overlay.metacopy")  # the content is another layer's
_SECOND = 10**9

_MADE_FILES = frozenset((b"/etc/hosts", b"/etc/hostname", b"/etc/resolv.conf", b"/dev/console", b"/.dockerenv"))
_MADE_DIRECTORIES = frozenset((b"/dev", b"/proc", b"/sys", b"/dev/pts", b"/dev/shm", b"/dev/mqueue"))
_HOLDERS = frozenset((b"/etc", b"/dev"))  # whose times change with these


class Kind(IntEnum):
    """The numbers are the Engine API's."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(NamedTuple):
    """One path that is not what it was; absolute, in the container's terms."""

    path: bytes
    kind: Kind


def changes(upper: int, below: Below) -> list[Change]:
    """What `docker diff` tells, each directory before what is in it. `upper`: the container's directory, opened."""
    return _inside(upper, b"", below, 0)


def _inside(directory: int, path: bytes, below: Below, depth: int) -> list[Change]:
    if depth > MOST_DEPTH:
        raise PydockerError(f"{path[:64]!r}…: more than {MOST_DEPTH} directories inside each other")
    names = sorted(map(os.fsencode, os.listdir(f"/proc/self/fd/{directory}")))
    found = []
    for name in names:
        try:
            handle = os.open(name, _HANDLE, dir_fd=directory)
        except FileNotFoundError:  # a running container has just removed it
            continue
        try:
            found += _entry(handle, path + b"/" + name, below, depth)
        finally:
            os.close(handle)
    if path and is_opaque(directory):
        found += [Change(path + b"/" + name, Kind.DELETED) for name in sorted(below.names(path) - set(names))]
    return found


def _entry(handle: int, path: bytes, below: Below, depth: int) -> list[Change]:
    there = os.fstat(handle)
    before = below.open(path)
    try:
        if is_whiteout(there):
            return [] if before is None else [Change(path, Kind.DELETED)]
        if before is None and _made_by_engine(path, stat.S_IFMT(there.st_mode), there.st_size):
            return []
        inside = _inside(handle, path, below, depth + 1) if stat.S_ISDIR(there.st_mode) else []
        if before is None:
            return [Change(path, Kind.ADDED), *inside]
        if inside or _differ(before, handle):
            return [Change(path, Kind.MODIFIED), *inside]
        return []
    finally:
        if before is not None:
            os.close(before)


def _differ(before: int, now: int) -> bool:
    one, other = os.fstat(before), os.fstat(now)
    if (one.st_mode, one.st_uid, one.st_gid, one.st_rdev) != (other.st_mode, other.st_uid, other.st_gid, other.st_rdev):
        return True
    if stat.S_ISDIR(one.st_mode):
        return False
    return (one.st_size != other.st_size or not _same_time(one.st_mtime_ns, other.st_mtime_ns)
            or _capability(before) != _capability(now))


def _same_time(one: int, other: int) -> bool:
    """An archive may have cut a time to whole seconds."""
    return one == other or (one // _SECOND == other // _SECOND and not (one % _SECOND and other % _SECOND))


def _capability(handle: int) -> bytes:
    try:
        return os.getxattr(f"/proc/self/fd/{handle}", "security.capability")
    except OSError:  # none; or a link, which has none
        return b""


def _made_by_engine(path: bytes, kind: int, size: int) -> bool:
    if kind == stat.S_IFREG:
        return path in _MADE_FILES and not size
    return kind == stat.S_IFDIR and path in _MADE_DIRECTORIES


# -- as an archive --------------------------------------------------------------------------------


def layer(upper: int, below: Below) -> Iterator[Packed]:
    """The changes as entries of a layer's archive; none if nothing was changed.

    A directory that is only walked through is in it, with its attributes, as in Docker's layers.
    """
    waiting: list[Packed] = []  # directories of which nobody knows yet whether something in them has changed
    for packed in Walk(keep=_kept).tree(upper, b""):
        entry = packed.entry
        path = b"/" + entry.path.rstrip(b"/")
        waiting = [one for one in waiting if entry.path.startswith(one.entry.path)]
        before = below.find(path)
        if before is None and _made_by_engine(path, _KINDS.get(entry.kind, 0), entry.size):
            continue
        if entry.kind == tar.DIRECTORY and before is not None and _walked_through(path, entry, before):
            waiting.append(packed)
            continue
        for one in (*waiting, packed):
            yield from _told(one)
        waiting.clear()


_KINDS = {tar.REGULAR: stat.S_IFREG, tar.DIRECTORY: stat.S_IFDIR}


def _kept(name: str) -> bool:
    return portable(name) or name == OPAQUE or name in _ELSEWHERE


def _walked_through(path: bytes, entry: tar.Entry, before: os.stat_result) -> bool:
    """Whether a directory may be here only for what is in it."""
    return (stat.S_ISDIR(before.st_mode) and _OPAQUE_XATTR not in entry.xattrs
            and (entry.mode, entry.uid, entry.gid) == (stat.S_IMODE(before.st_mode), before.st_uid, before.st_gid)
            and (path in _HOLDERS or entry.mtime == before.st_mtime_ns))


def _told(packed: Packed) -> Iterator[Packed]:
    """An entry in an archive's words: whiteouts and opaque directories have names there."""
    entry = packed.entry
    if any(name.encode() in entry.xattrs for name in _ELSEWHERE):
        raise PydockerError(f"/{os.fsdecode(entry.path)}: overlayfs keeps a part of it in another layer "
                            "(redirect_dir or metacopy), which an archive cannot tell")
    if entry.kind == tar.CHARACTER and not (entry.major or entry.minor):
        above, slash, name = entry.path.rpartition(b"/")
        yield _mark(above + slash + _WHITEOUT + name, entry)
        return
    if _OPAQUE_XATTR not in entry.xattrs:
        yield packed
        return
    xattrs = {name: value for name, value in entry.xattrs.items() if name != _OPAQUE_XATTR}
    yield Packed(replace(entry, xattrs=xattrs))
    yield _mark(entry.path + _OPAQUE, entry)


def _mark(path: bytes, entry: tar.Entry) -> Packed:
    return Packed(tar.Entry(path=path, kind=tar.REGULAR, mode=0, uid=0, gid=0, size=0, mtime=entry.mtime))
