"""JSON documents that are either the old or the new one, whatever happens in between.

Written to a temporary name in the same directory, fsynced, renamed (rename(2) replaces atomically). A reader needs no
lock. `durable=False` leaves out the fsync: right for the run root, which a power cut empties anyway.
"""

import os
import re
import stat
from pathlib import Path
from typing import TypeVar

import msgspec

from pydocker.errors import PydockerError

T = TypeVar("T")
LEFT = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp", re.ASCII)  # how `replace` calls what is not complete


def read(path: Path, type: type[T]) -> T:
    """Decode the document at `path`. FileNotFoundError passes; a damaged document is a PydockerError that names it."""
    try:
        return msgspec.json.decode(content(path), type=type)
    except msgspec.MsgspecError as error:
        raise PydockerError(f"damaged document {path}: {error}") from error


def content(path: Path) -> bytes:
    """The whole of a file. FileNotFoundError passes; what lies there and is no file is a PydockerError that names it:
    whoever opens a FIFO waits until somebody writes into it."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise PydockerError(f"damaged document {path}: it is no file")
    with open(path, "rb") as file:
        return file.read()


def write(path: Path, value: object, *, durable: bool = True, mode: int = 0o600) -> None:
    """Replace the document at `path` by `value`, atomically; with `durable`, on disk when this returns."""
    replace(path, msgspec.json.encode(value), durable=durable, mode=mode)


def replace(path: Path, content: bytes, *, durable: bool = True, mode: int = 0o600) -> None:
    """Replace the file at `path` by one that holds `content`, atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if durable:
        sync_directory(path.parent)


def sweep(directory: Path) -> None:
    """Remove what was to replace a document and did not come to it. Whoever writes here must be kept from it."""
    for name in os.listdir(directory):
        if LEFT.fullmatch(name):
            (directory / name).unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make a rename or an unlink in `path` survive a power cut (fsync(2): the directory needs its own)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
