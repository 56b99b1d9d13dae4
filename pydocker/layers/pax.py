"""PAX extended headers: what an entry could not say in 512 bytes (pax(1), "pax Extended Header").

    record = length SP key "=" value LF          length counts the whole record, itself included

    path linkpath size uid gid mtime      replace the header's fields; mtime has decimals
    SCHILY.xattr.<name>                   extended attributes, as star, Go and GNU tar write them
    GNU.sparse.*                          where a file's holes are: see `sparse`
    all else (atime, uname, comment, …)   says nothing that a layer keeps
"""

from typing import TYPE_CHECKING

import msgspec

from pydocker.layers.limits import LARGEST_XATTR, LATEST, ArchiveError
from pydocker.layers.numbers import decimal

if TYPE_CHECKING:
    from pydocker.layers.tar import Entry

_XATTR = b"SCHILY.xattr."
_SPARSE_PAIR = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
_SPARSE_MAP = b"GNU.sparse.map"


def records(content: bytes) -> dict[bytes, bytes]:
    """The records of one extended header. Raises ArchiveError for anything outside the grammar.

    The one pair of keys that comes again and again (sparse files, version 0.0) is put together to what 0.1 has.
    """
    found: dict[bytes, bytes] = {}
    holes: list[bytes] = []
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 20)
        digits = content[at:space]
        if space < 0 or not digits.isdigit():
            raise ArchiveError("invalid PAX header: record without length")
        end = at + int(digits)
        key, equals, value = content[space + 1:end - 1].partition(b"=")
        if not at < end <= len(content) or content[end - 1:end] != b"\n" or not equals or not key:
            raise ArchiveError("invalid PAX header: malformed record")
        if key in _SPARSE_PAIR:
            if key != _SPARSE_PAIR[len(holes) % 2] or not value.isdigit():
                raise ArchiveError("invalid PAX header: malformed sparse map")
            holes.append(value)
        found[key] = value
        at = end
    return found | ({_SPARSE_MAP: b",".join(holes)} if holes else {})


def applied(entry: "Entry", extension: dict[bytes, bytes]) -> "Entry":
    """`entry` with what its extended header says instead. An empty value means: as the plain header has it."""
    changes: dict[str, object] = {}
    xattrs: dict[bytes, bytes] = {}
    for key, value in extension.items():
        if key.startswith(_XATTR):
            xattrs[_xattr_name(key)] = _bounded(key, value)
        elif value and key in _FIELDS:
            name, decode = _FIELDS[key]
            changes[name] = decode(value)
    if xattrs:
        changes["xattrs"] = xattrs
    return msgspec.structs.replace(entry, **changes)


def _text(value: bytes) -> bytes:
    if b"\0" in value:
        raise ArchiveError(f"invalid PAX header: NUL in {value[:64]!r}")
    return value


def _time(value: bytes) -> int:
    """Nanoseconds of a decimal number of seconds, truncated towards minus infinity as Go does."""
    sign, digits = (-1, value[1:]) if value.startswith(b"-") else (1, value)
    whole, _, fraction = digits.partition(b".")
    if not whole.isdigit() or len(whole) > 19 or (fraction and not fraction.isdigit()) or int(whole) > LATEST:
        raise ArchiveError(f"invalid PAX header: {value[:64]!r} is not a time")
    return sign * (int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0")))


def _xattr_name(key: bytes) -> bytes:
    return _text(key[len(_XATTR):])


def _bounded(key: bytes, value: bytes) -> bytes:
    if len(value) > LARGEST_XATTR:
        raise ArchiveError(f"{key[:64]!r}: value of {len(value)} bytes: at most {LARGEST_XATTR} are accepted")
    return value


_FIELDS = {
    b"path": ("path", _text), b"linkpath": ("link", _text), b"size": ("size", decimal), b"uid": ("uid", decimal),
    b"gid": ("gid", decimal), b"mtime": ("mtime", _time),
}
