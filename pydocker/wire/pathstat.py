"""What a path in a container is, as the header `X-Docker-Container-Path-Stat` has it: base64 of a JSON object.

Its `mode` is Go's (os.FileMode): the permission bits are Unix's, the kinds are bits of Go's own.
"""

import base64
import binascii
import stat

import msgspec

from pydocker.errors import Unavailable

HEADER = "X-Docker-Container-Path-Stat"

DIRECTORY, SYMLINK, DEVICE, FIFO, SOCKET = 1 << 31, 1 << 27, 1 << 26, 1 << 25, 1 << 24
_SETUID, _SETGID, _CHARACTER, _STICKY = 1 << 23, 1 << 22, 1 << 21, 1 << 20
_KINDS = {stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK, stat.S_IFBLK: DEVICE, stat.S_IFCHR: DEVICE | _CHARACTER,
          stat.S_IFIFO: FIFO, stat.S_IFSOCK: SOCKET}
_BITS = {stat.S_ISUID: _SETUID, stat.S_ISGID: _SETGID, stat.S_ISVTX: _STICKY}


class PathStat(msgspec.Struct, frozen=True, rename="camel"):
    """`size` in bytes; `mtime` in RFC 3339; `link_target` is where a link leads in the end, "" for anything else."""

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = ""


def go_mode(mode: int) -> int:
    """st_mode in Go's bits."""
    special = sum(theirs for ours, theirs in _BITS.items() if mode & ours)
    return _KINDS.get(stat.S_IFMT(mode), 0) | special | mode & 0o777


def encode(found: PathStat) -> str:
    return base64.b64encode(msgspec.json.encode(found)).decode()


def decode(text: str) -> PathStat:
    """Raises Unavailable for what is none."""
    try:
        return msgspec.json.decode(base64.b64decode(text, validate=True), type=PathStat)
    except (binascii.Error, msgspec.MsgspecError, UnicodeError) as error:
        raise Unavailable(f"the server's answer is broken: {HEADER}: {error}") from error
