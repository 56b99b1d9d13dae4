"""Which numbers a container's user has: `name`, `uid`, `name:group`, `uid:gid`, by the image's own passwd and group
files.

The files are an image's, so they are read as hostile bytes: opened inside the root by the kernel (openat2), only if
they are regular (a FIFO would hang us, CVE-2024-9676), never more than a megabyte (CVE-2026-47262), and never through
NSS, which would load libraries and ask directories of the host (CVE-2019-14271).

What consists of digits is a number and never a name: a passwd line `1000:x:0:0` must not make `USER 1000` root
(CVE-2016-3697), nor may a number that is too large become a name (CVE-2024-40635). One with a sign or a blank is
neither: whoever writes `+1` or `-1` means a number, and the image would decide which (CVE-2026-30892).
The rules and the words are those of moby/sys/user, GetExecUser.
"""

import os
import re
import stat
from dataclasses import dataclass

from pydocker.errors import InvalidParameter
from runtime.linux.openat2 import openat2

LARGEST = 2**31 - 1  # Docker's bound; below the kernel's (uid_t) -1, and positive wherever it is taken for an int
_LIMIT = 1 << 20
_NUMBER = re.compile(r"[0-9]+", re.ASCII)
_NEARLY_NUMBER = re.compile(r"\s*[+-]?\s*[0-9]+\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a process is. `groups` are the supplementary ones; the primary is among them, as Docker sets them."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


ROOT = Identity(0, 0, (0,), "/")


@dataclass(frozen=True, slots=True)
class Account:
    """One line of passwd(5)."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class Group:
    """One line of group(5)."""

    name: str
    gid: int
    members: tuple[str, ...]


def resolve(root: int, user: str, extra: tuple[str, ...] = ()) -> Identity:
    """Look `user` (empty: uid 0) and the `extra` groups up below the directory `root`. Raises InvalidParameter."""
    return identify(user, extra, parse_passwd(_read(root, "/etc/passwd")), parse_group(_read(root, "/etc/group")))


def identify(user: str, extra: tuple[str, ...], accounts: list[Account], groups: list[Group]) -> Identity:
    """The pure half of `resolve`."""
    who, _, group = user.partition(":")
    account = _account(who, accounts)
    supplementary = [found.gid for found in groups if account.name and account.name in found.members]
    gid = account.gid
    if group:
        gid, supplementary = _group(group, groups), []
    added = tuple(_group(name, groups) for name in extra)
    return Identity(account.uid, gid, tuple(dict.fromkeys((gid, *supplementary, *added))), account.home)


def number(text: str) -> int | None:
    """The id that `text` is, or None if it is a name. Raises InvalidParameter for what is nearly a number."""
    if not _NEARLY_NUMBER.fullmatch(text):
        return None
    if not _NUMBER.fullmatch(text) or len(text) > 10 or int(text) > LARGEST:
        raise InvalidParameter(f"uids and gids must be in range 0-{LARGEST}")
    return int(text)


def _account(who: str, accounts: list[Account]) -> Account:
    uid = number(who) if who else 0
    for account in accounts:
        if account.uid == uid if uid is not None else account.name == who:
            return account
    if uid is None:
        raise InvalidParameter(f"unable to find user {who[:100]}: no matching entries in passwd file")
    return Account("", uid, 0, "/")


def _group(name: str, groups: list[Group]) -> int:
    gid = number(name)
    if gid is not None:
        return gid
    for group in groups:
        if group.name == name:
            return group.gid
    raise InvalidParameter(f"unable to find group {name[:100]}: no matching entries in group file")


def parse_passwd(content: bytes) -> list[Account]:
    """The valid lines of a passwd file; others are passed over."""
    rows = (line.split(":") for line in content.decode(errors="replace").split("\n"))
    return [Account(row[0], int(row[2]), int(row[3]), row[5] or "/")
            for row in rows if len(row) >= 6 and row[0] and _is_id(row[2]) and _is_id(row[3])]


def parse_group(content: bytes) -> list[Group]:
    """The valid lines of a group file; others are passed over."""
    rows = (line.split(":") for line in content.decode(errors="replace").split("\n"))
    return [Group(row[0], int(row[2]), tuple(filter(None, row[3].split(","))))
            for row in rows if len(row) >= 4 and row[0] and _is_id(row[2])]


def _is_id(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and len(text) <= 10 and int(text) <= LARGEST


def _read(root: int, path: str) -> bytes:
    """The file's content; nothing when it is not there, or is no regular file."""
    try:
        fd = openat2(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # missing, a link loop, a link to nowhere: an image without users
        return b""
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return b""
        if status.st_size > _LIMIT:
            raise InvalidParameter(f"{path} of the image is larger than {_LIMIT >> 20} MiB")
        return os.read(fd, _LIMIT)
    finally:
        os.close(fd)
