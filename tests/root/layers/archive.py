"""Archives for the tests, made with Python's own tarfile (another's code than what is tested), and trees described."""

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path

Made = tuple[tarfile.TarInfo, bytes]

TIME = 1_600_000_000


def entry(name: str, kind: bytes = tarfile.REGTYPE, *, content: bytes = b"", link: str = "", mode: int = 0o644,
          uid: int = 0, gid: int = 0, mtime: float = TIME, major: int = 0, minor: int = 0,
          xattrs: dict[str, bytes] | None = None, pax: dict[str, str] | None = None) -> Made:
    """One entry; xattrs become SCHILY.xattr records."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.uid, info.gid, info.mtime = kind, link, mode, uid, gid, mtime
    info.devmajor, info.devminor, info.size = major, minor, len(content)
    records = {f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape") for key, value in (xattrs or {}).items()}
    info.pax_headers = records | (pax or {})
    return info, content


def folder(name: str, mode: int = 0o755, **rest: object) -> Made:
    return entry(name, tarfile.DIRTYPE, mode=mode, **rest)  # type: ignore[arg-type]


def link(name: str, target: str, **rest: object) -> Made:
    return entry(name, tarfile.SYMTYPE, link=target, mode=0o777, **rest)  # type: ignore[arg-type]


def hard(name: str, target: str) -> Made:
    return entry(name, tarfile.LNKTYPE, link=target)


def archive(entries: Iterable[Made], format: int = tarfile.PAX_FORMAT) -> bytes:
    """A whole, uncompressed archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, encoding="utf-8", errors="surrogateescape") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def described(root: Path) -> dict[str, tuple[object, ...]]:
    """Every file of a tree: type and mode, owner, device, link target, mtime, xattrs, content, and its hard links."""
    found: dict[str, tuple[object, ...]] = {}
    inodes: dict[int, list[str]] = {}
    for path in sorted([root, *_walk(root)]):
        there, name = path.lstat(), str(path.relative_to(root))
        inodes.setdefault(there.st_ino, []).append(name)
        kind = stat.S_IFMT(there.st_mode)
        found[name] = (
            oct(there.st_mode), there.st_uid, there.st_gid, there.st_rdev, there.st_mtime_ns,
            os.readlink(path) if kind == stat.S_IFLNK else "",
            {key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)},
            hashlib.sha256(path.read_bytes()).hexdigest() if kind == stat.S_IFREG else "",
        )
    for names in inodes.values():
        for name in names:
            if stat.S_ISDIR(os.lstat(root / name).st_mode):
                continue
            found[name] += (tuple(names),)
    return found


def _walk(root: Path) -> Iterable[Path]:
    for top, folders, files in os.walk(root):
        for name in folders + files:
            yield Path(top, name)
