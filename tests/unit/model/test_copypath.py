"""The words of `cp`'s two paths, as Docker's are read."""

import pytest

from pydocker.errors import InvalidParameter
from pydocker.model.copypath import End, asked, cleaned, decide, insists, parsed, renamer, split


@pytest.mark.parametrize(("argument", "container", "path"), [
    ("box:/a", "box", "/a"), ("box:a:b", "box", "a:b"), ("/a:b", "", "/a:b"), ("./a:b", "", "./a:b"), ("a", "", "a"),
    ("..:x", "", "..:x"), ("-", "", "-"), (":/a", "", "/a"), ("box:", "box", "")])
def test_a_container_and_its_path(argument: str, container: str, path: str) -> None:
    assert parsed(argument) == (container, path)


@pytest.mark.parametrize(("path", "clean", "above", "base"), [
    ("/a/b", "/a/b", "/a", "b"), ("/a/b/", "/a/b/", "/a", "b"), ("/a/b/.", "/a/b/.", "/a/b", "."), ("/", "/", "/", "/"),
    ("/.", "/.", "/", "."), ("//a//../b", "/b", "/", "b"), ("/../..", "/", "/", "/"), ("a", "a", ".", "a"),
    (".", ".", ".", "."), ("./", "./", ".", "."), ("a/./", "a/.", "a", "."), ("/a/..", "/", "/", "/")])
def test_an_end_that_insists_on_a_directory_is_kept(path: str, clean: str, above: str, base: str) -> None:
    assert (cleaned(path), split(path)) == (clean, (above, base))


@pytest.mark.parametrize(("path", "does"), [
    ("/a", False), ("/a/", True), ("/a/.", True), ("a.", False), ("/..", False)])
def test_insists(path: str, does: bool) -> None:
    assert insists(path) is does


@pytest.mark.parametrize(("old", "new", "path", "renamed"), [
    ("d", "n", b"d/a/d", b"n/a/d"), ("d", "n", b"d", b"n"), ("d", "n", b"dd/a", b"dd/a"), (".", "n", b"./a", b"n/a"),
    (".", "n", b"./", b"n/"), ("/", "n", b"/bin", b"n/bin"), ("/", "n", b"/", b"n/"), ("d", "\udcff", b"d", b"\xff")])
def test_renamed(old: str, new: str, path: bytes, renamed: bytes) -> None:
    assert renamer(old, new)(path) == renamed


FILE, DIRECTORY = End("/s/file", True, False), End("/s/dir", True, True)


@pytest.mark.parametrize(("source", "target", "directory", "first"), [
    (FILE, End("/t", True, True), "/t", b"file"), (FILE, End("/t/old", True, False), "/t", b"old"),
    (FILE, End("/t/new", False, False), "/t", b"new"), (DIRECTORY, End("/t", True, True), "/t", b"dir"),
    (DIRECTORY, End("/t/new", False, False), "/t", b"new"), (DIRECTORY, End("/t/new/", False, False), "/t", b"new")])
def test_where_it_goes(source: End, target: End, directory: str, first: bytes) -> None:
    found, rename = decide(source, target)
    assert (found, rename(split(source.path)[1].encode())) == (directory, first)


@pytest.mark.parametrize(("source", "target", "words"), [
    (DIRECTORY, End("/t/old", True, False), "cannot copy directory"),
    (FILE, End("/t/new/", False, False), "no such directory")])
def test_refused(source: End, target: End, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        decide(source, target)


@pytest.mark.parametrize(("path", "passes", "stays_out"), [
    ("/d/file", b"file", b".profile"), ("/d", b"d/x", b"dd/x"), ("/d/.", b"./x", b"x"), ("/d/", b"d/", b"../d/"),
    ("d", b"d/../x", b"/d/x")])
def test_only_what_was_asked_for_passes(path: str, passes: bytes, stays_out: bytes) -> None:
    assert asked(path)(passes) == passes
    with pytest.raises(InvalidParameter, match="what was not asked for"):
        asked(path)(stays_out)


def test_of_the_root_everything_was_asked_for() -> None:
    assert asked("/")(b"/bin/sh") == b"/bin/sh"
