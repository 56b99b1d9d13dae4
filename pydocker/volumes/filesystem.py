"""Volumes that are a file system of their own: `--opt type=nfs --opt device=:/srv --opt o=addr=10.0.0.1,ro`.

Such a volume is mounted where it is used and nowhere else: in the mount namespace of the monitor whose container uses
it, or, to copy from it, in that of a thread which ends. So nothing has to be counted and nothing is left: the kernel
unmounts it with its last user, however that ended.
"""

import errno
import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from pydocker.errors import InvalidParameter, PydockerError
from pydocker.layers import view
from pydocker.model.volume import Filesystem
from runtime.linux import mounts

_FLAGS = {  # mount(2): what a word sets
    "ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "sync": 16, "mand": 64, "dirsync": 128, "noatime": 1 << 10,
    "nodiratime": 1 << 11, "bind": 1 << 12, "rbind": 1 << 12 | mounts.MS_REC, "relatime": 1 << 21,
    "strictatime": 1 << 24, "lazytime": 1 << 25}
_CLEAR = {  # and what a word takes back
    "rw": 1, "suid": 2, "dev": 4, "exec": 8, "async": 16, "nomand": 64, "atime": 1 << 10, "diratime": 1 << 11,
    "norelatime": 1 << 21, "nostrictatime": 1 << 24, "nolazytime": 1 << 25}
_PROPAGATION = {"shared": mounts.MS_SHARED, "slave": mounts.MS_SLAVE, "private": mounts.MS_PRIVATE,
                "unbindable": mounts.MS_UNBINDABLE}
_NOTHING = frozenset(("defaults", "auto", "noauto", "_netdev", "nofail"))  # mount(8)'s own
_BIND, _REMOUNT = 1 << 12, 1 << 5


class Parsed(NamedTuple):
    """What mount(2) gets of `o`: flags, data; and a propagation, which is a call of its own."""

    flags: int
    data: str
    propagation: int


def parse(options: str) -> Parsed:
    """Raises InvalidParameter."""
    flags = propagation = 0
    data = []
    for word in filter(None, options.split(",")):
        if word == "remount":
            raise InvalidParameter("invalid mount option: remount")
        kind = _PROPAGATION.get(word) or _PROPAGATION.get(word.removeprefix("r"))
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif word in _CLEAR:
            flags &= ~_CLEAR[word]
        elif kind:
            propagation = kind | (mounts.MS_REC if word not in _PROPAGATION else 0)
        elif word not in _NOTHING:
            data.append(word)
    return Parsed(flags, ",".join(data), propagation)


def mount(filesystem: Filesystem, target: str, place: str = "") -> None:
    """Mount it on a directory, which errors call `place`. Raises PydockerError in Docker's words."""
    parsed = parse(filesystem.options)
    try:
        data = _addressed(filesystem.type, parsed.data)
        mounts.mount(filesystem.device, target, filesystem.type, parsed.flags, data or None)
        if parsed.flags & _BIND and parsed.flags & ~(_BIND | mounts.MS_REC):  # a bind mount takes them afterwards only
            mounts.mount(None, target, None, parsed.flags & ~mounts.MS_REC | _REMOUNT)
        if parsed.propagation:
            mounts.mount(None, target, None, parsed.propagation)
    except OSError as error:
        told = parse(filesystem.told).data
        flags = f", flags: {parsed.flags:#x}" if parsed.flags else ""
        raise PydockerError(f"failed to mount local volume: mount {filesystem.device}:{place or target}{flags}"
                            f"{f', data: {told}' if told else ''}: {_reason(error, filesystem)}") from error


def _reason(error: OSError, filesystem: Filesystem) -> str:
    said = os.strerror(error.errno or 0).lower()
    return f"{said}: the kernel has no file system {filesystem.type!r}" if error.errno == errno.ENODEV else said


def _addressed(type: str, data: str) -> str:
    """NFS and CIFS want `addr=` as a number: the kernel asks no name service. Raises PydockerError."""
    if not type.startswith(("nfs", "cifs", "smb")):
        return data
    return ",".join(f"addr={_number(word[5:])}" if word.startswith("addr=") else word for word in data.split(","))


def _number(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:  # gaierror: its numbers are no errno
        raise PydockerError(f"error resolving passed in network volume address: lookup {host}: "
                            f"{(error.strerror or str(error)).lower()}") from error


def elsewhere(filesystem: Filesystem, target: str, holder: str) -> Callable[[], int]:
    """A function that gives a descriptor (O_PATH) of the file system's root, which is mounted nowhere that anybody
    sees. `holder` is the mount point of the mount that `target` is on."""
    def make() -> int:
        view.leave(holder)
        try:
            mount(filesystem, target)
        except PydockerError as error:
            raise PydockerError(f"error while mounting volume '{target}': {error}") from error
        return mounts.open_tree(mounts.AT_FDCWD, target, mounts.OPEN_TREE_CLONE | mounts.AT_RECURSIVE)

    return lambda: view.elsewhere(make)
