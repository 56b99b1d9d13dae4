"""The bytes of files below a directory, however deep it is, and whatever lies in it."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pydocker.monitor.remains import delete_tree
from pydocker.storage.measure import content


def test_files_links_and_everything_else(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/file").write_bytes(b"x" * 100)
    (tmp_path / "a/b/sparse").touch()
    os.truncate(tmp_path / "a/b/sparse", 5000)
    os.link(tmp_path / "a/file", tmp_path / "a/b/again")
    os.symlink("/", tmp_path / "a/root")
    os.symlink("file", tmp_path / "a/link")
    os.mkfifo(tmp_path / "a/pipe")
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"yy")
    assert content(tmp_path) == 5102


def test_what_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert content(tmp_path / "file") == content(tmp_path / "missing") == 0


def opened() -> Iterator[str]:
    """What this process's descriptors are of."""
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own, and what somebody else has closed meanwhile
            yield os.readlink(f"/proc/self/fd/{fd}")


@pytest.mark.parametrize("name", ["d" * 200, "d"])
def test_deeper_than_any_path_is_long(tmp_path: Path, name: str) -> None:
    """A container may do this: six hundred levels, with names of any length; no descriptor for each."""
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(600):
        os.mkdir(name, dir_fd=fd)
        inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd)
        os.close(fd)
        fd = inner
    file = os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.write(file, b"deep")
    os.close(file)
    os.close(fd)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 120, limits[1]))
    try:
        assert content(tmp_path) == 4
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [path for path in opened() if path.startswith(str(tmp_path))] == []
    delete_tree(tmp_path / name)  # pytest's own way would be too long
