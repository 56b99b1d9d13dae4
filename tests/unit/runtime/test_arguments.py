"""Words to values, small parsers: no root, no kernel."""

import importlib
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cli.arguments import Flag, parse
from runtime.cli.verbs import VERBS
from runtime.errors import Fault, InvalidArgument
from runtime.join import user
from runtime.lifecycle import signal_number
from runtime.linux.mountinfo import parse as parse_mountinfo
from runtime.process.program import environment, home
from runtime.rootfs.options import ATTRIBUTES
from runtime.rootfs.options import parse as parse_options
from runtime.state import Place

FLAGS = {"bundle": Flag(str, "", "b"), "all": Flag(bool, "", "a"), "count": Flag(int, ""), "env": Flag(list, "", "e"),
         "form": Flag(str, "", choices=("x", "y"))}


@pytest.mark.parametrize(("words", "flags", "rest"), [
    ([], {}, []),
    (["--bundle", "x", "id"], {"bundle": "x"}, ["id"]),
    (["--bundle=x=y", "-a"], {"bundle": "x=y", "all": True}, []),
    (["-bundle", "x", "-all=false"], {"bundle": "x", "all": False}, []),
    (["-e", "a", "--env=b", "--count", "3"], {"env": ["a", "b"], "count": 3}, []),
    (["id", "--all"], {}, ["id", "--all"]),
    (["--", "--all"], {}, ["--all"]),
    (["-"], {}, ["-"]),
])
def test_flags(words: list[str], flags: dict[str, object], rest: list[str]) -> None:
    found = parse(words, FLAGS)
    assert found.words == rest
    assert found.flags == {"bundle": "", "all": False, "count": 0, "env": [], "form": "", **flags}


def test_mixed_flags_may_follow_words() -> None:
    assert parse(["id", "--all", "TERM"], FLAGS, mixed=True).words == ["id", "TERM"]


@pytest.mark.parametrize("words", [
    ["--nope"], ["--bundle"], ["--count", "x"], ["--count=-1"], ["--all=maybe"], ["--form", "z"]])
def test_wrong_flags_are_named(words: list[str]) -> None:
    with pytest.raises(InvalidArgument, match=words[0].lstrip("-").split("=")[0]):
        parse(words, FLAGS)


@given(st.lists(st.text(max_size=8), max_size=6))
def test_any_words_are_parsed_or_refused(words: list[str]) -> None:
    try:
        parse(words, FLAGS, mixed=True)
    except Fault as error:
        assert str(error)


@pytest.mark.parametrize(("word", "number"), [
    ("TERM", 15), ("SIGKILL", 9), ("9", 9), ("hup", 1), ("RTMIN", 34), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("0", 0)])
def test_signals(word: str, number: int) -> None:
    assert signal_number(word) == number


@pytest.mark.parametrize("word", ["", "X", "65", "-1", "SIG", "SIG_DFL", "RTMIN+99", "٣"])
def test_no_signals(word: str) -> None:
    with pytest.raises(InvalidArgument):
        signal_number(word)


@pytest.mark.parametrize(("word", "ids"), [("0", (0, 0)), ("1:2", (1, 2)), ("4294967294", (4294967294, 0))])
def test_users(word: str, ids: tuple[int, int]) -> None:
    found = user(word, ())
    assert (found.uid, found.gid) == ids


@pytest.mark.parametrize(("content", "expected"), [
    (b"", "/"), (b"u:x:7:7::/home/u:/bin/sh\n", "/home/u"), (b"u:x:7:7:::/bin/sh", "/"), (b"u:x:77:7::/x:/bin/sh", "/"),
    (b"garbage\n:::::::\nu:x:7:7::/y:", "/y"), (b"7:x:0:0::/x:", "/")])
def test_home(content: bytes, expected: str) -> None:
    assert home(content, 7) == expected


def test_environment() -> None:
    assert environment(("A=b", "A=c=d", "B="), "/h") == {"HOME": "/h", "A": "c=d", "B": ""}
    assert environment(("HOME=/x",), "/h") == {"HOME": "/x"}
    assert environment(("HOME=",), "/h") == {"HOME": ""}


@given(st.lists(st.sampled_from(sorted(ATTRIBUTES))))
def test_no_attribute_is_set_and_cleared_at_once(words: list[str]) -> None:
    """mount_setattr(2) takes the time stamps' field only if it is cleared as a whole; flags only in one of the two."""
    attributes = parse_options(tuple(words)).attributes
    atime = 0x70
    assert attributes.set & attributes.clear & ~atime == 0
    assert attributes.clear & atime in (0, atime)
    assert not attributes.set & atime or attributes.clear & atime


def test_ids_lead_nowhere() -> None:
    for id in ("", "a/b", "..", ".", "a\n", "a b", "\0"):
        with pytest.raises(InvalidArgument):
            Place("/run/x", id)
    assert Place("/run/x", "A-z_0.9+").path == "/run/x/A-z_0.9+"


def test_mountinfo() -> None:
    line = r"36 35 98:0 /mnt\0401 /m\134nt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue"
    (mount,) = parse_mountinfo(line + "\n")
    assert (mount.root, mount.target, mount.fstype, mount.propagation) == ("/mnt 1", r"/m\nt2", "ext3",
                                                                          ("master:1", "shared:2"))


def test_each_verb_has_its_function() -> None:
    """The table names them, as they are imported when they are called."""
    for name, verb in VERBS.items():
        module, _, function = verb.function.partition(".")
        assert function.rstrip("_") == name
        assert inspect.signature(getattr(importlib.import_module(f"runtime.cli.{module}"), function)).parameters
