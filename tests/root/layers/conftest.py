"""Fixtures for unpacking: a directory on a real file system, and an unpacker with its umask."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pydocker.layers.unpack import Unpacked, unpack
from tests.root.layers.archive import Made, archive

Unpack = Callable[..., Unpacked]


@pytest.fixture
def target(session_directory: Path) -> Path:
    """Where archives are unpacked to: on a disk, as memory file systems know no user xattrs before Linux 6.6."""
    path = Path(tempfile.mkdtemp(dir=session_directory), "target")
    path.mkdir()
    return path


@pytest.fixture
def unpacked(target: Path) -> Iterator[Unpack]:
    """`unpacked(*entries)` unpacks an archive of these entries into `target`; `pieces` is the size it comes in."""
    before = os.umask(0)

    def run(*entries: Made, content: bytes | None = None, pieces: int = 1 << 20, into: Path = target) -> Unpacked:
        data = archive(entries) if content is None else content
        root = os.open(into, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return unpack((data[at:at + pieces] for at in range(0, len(data), pieces)), root)
        finally:
            os.close(root)

    yield run
    os.umask(before)
