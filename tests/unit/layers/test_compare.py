"""Whatever a container could notice is a difference, and nothing else is."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pydocker.layers.compare import differences

TIME = 1_600_000_000_123_456_789


def grow(root: Path) -> None:
    (root / "dir/sub").mkdir(parents=True)
    (root / "dir/file").write_bytes(b"x" * 3_000_000)
    (root / "dir/other").write_bytes(b"y")
    os.link(root / "dir/file", root / "dir/linked")
    os.symlink("/nowhere", root / "dir/link")
    os.mkfifo(root / "dir/pipe")
    (root / os.fsdecode(b"caf\xe9")).write_text("bytes")
    for top, names, files in os.walk(root, topdown=False):
        for name in (*names, *files):
            os.utime(os.path.join(top, name), ns=(TIME, TIME), follow_symlinks=False)
    os.utime(root, ns=(TIME, TIME))


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("expected", "actual"):
        (tmp_path / name).mkdir()
        grow(tmp_path / name)
    return tmp_path / "expected", tmp_path / "actual"


def test_the_same(trees: tuple[Path, Path]) -> None:
    assert list(differences(*trees, ())) == []


def kept(path: Path, change: Callable[[], object]) -> None:
    """Change what is at `path`, but not its time and not its directory's."""
    change()
    for there in (path, path.parent):
        if os.path.lexists(there):
            os.utime(there, ns=(TIME, TIME), follow_symlinks=False)


def flip(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(2_500_000)
        file.write(b"!")


def replace_by(path: Path, make: Callable[[], object]) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    make()


@pytest.mark.parametrize(("name", "change", "told"), [
    ("dir/other", lambda path: path.write_bytes(b"z"), ["dir/other: its content"]),
    ("dir/other", lambda path: path.write_bytes(b"yy"), ["dir/other: its size is 2, not 1"]),
    ("dir/other", lambda path: path.chmod(0o600), ["dir/other: its mode is 0600, not 0644"]),
    ("dir/sub", lambda path: path.chmod(0o700), ["dir/sub: its mode is 0700, not 0755"]),
    ("dir/other", lambda path: path.unlink(), ["dir/other: is missing"]),
    ("dir/new", lambda path: path.write_text(""), ["dir/new: does not belong to the layer"]),
    ("dir/link", lambda path: replace_by(path, lambda: path.symlink_to("/nowherE")), ["dir/link: its content"]),
    ("dir/other", lambda path: replace_by(path, path.mkdir), ["dir/other: is another kind of file"]),
    ("dir/pipe", lambda path: replace_by(path, lambda: path.symlink_to("x")), ["dir/pipe: is another kind of file"]),
    ("dir/sub", lambda path: replace_by(path, lambda: path.write_text("")), ["dir/sub: is another kind of file"]),
    ("dir/other", lambda path: os.setxattr(path, "user.a", b"1"), ["dir/other: its extended attributes"]),
])
def test_what_changed(trees: tuple[Path, Path], name: str, change: Callable[[Path], object], told: list[str]) -> None:
    path = trees[1] / name
    try:
        kept(path, lambda: change(path))
    except OSError as error:
        pytest.skip(f"not on this file system: {error}")
    assert list(differences(*trees, ())) == told


def test_content_far_behind(trees: tuple[Path, Path]) -> None:
    kept(trees[1] / "dir/file", lambda: flip(trees[1] / "dir/file"))
    assert list(differences(*trees, ())) == ["dir/file: its content", "dir/linked: its content"]


def test_times_and_the_directories_that_have_none(trees: tuple[Path, Path]) -> None:
    os.utime(trees[1] / "dir", ns=(TIME, TIME + 1))
    assert list(differences(*trees, ())) == [
        "dir: its time is 2020-09-13 12:26:40.123456790, not 2020-09-13 12:26:40.123456789"]
    assert list(differences(*trees, {b"dir"})) == []


def test_two_files_where_one_was_with_two_names(trees: tuple[Path, Path]) -> None:
    path = trees[1] / "dir/linked"
    kept(path, lambda: replace_by(path, lambda: shutil.copy(trees[1] / "dir/file", path)))
    assert any("first name" in line for line in differences(*trees, ()))


def test_a_link_is_not_followed(trees: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "outside/sub").mkdir(parents=True)
    path = trees[1] / "dir"
    kept(path, lambda: replace_by(path, lambda: path.symlink_to(tmp_path / "outside")))
    assert list(differences(*trees, ())) == ["dir: is another kind of file"]


def test_names_that_are_no_text(trees: tuple[Path, Path]) -> None:
    path = trees[1] / os.fsdecode(b"caf\xe9")
    kept(path, lambda: path.write_text("BYTES"))
    assert list(differences(*trees, ())) == [r"caf\xe9: its content"]


def test_a_directory_that_goes_while_it_is_compared_leaves_no_descriptor(trees: tuple[Path, Path]) -> None:
    (trees[1] / "zz").write_text("what comes behind `dir`, before its content")
    before = os.listdir("/proc/self/fd")
    for line in (found := differences(*trees, ())):
        if line.startswith("zz"):
            break
    shutil.rmtree(trees[1] / "dir")
    with pytest.raises(FileNotFoundError):
        next(found)
    assert os.listdir("/proc/self/fd") == before
    shutil.rmtree(trees[1])
    with pytest.raises(FileNotFoundError):
        next(differences(*trees, ()))
    assert os.listdir("/proc/self/fd") == before
