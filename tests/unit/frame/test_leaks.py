"""The oracle itself: what it takes for a leak, and what not."""

import os
from pathlib import Path

from tests import leaks

EMPTY: leaks.Snapshot = dict.fromkeys(("mount", "cgroup", "process", "network namespace", "file"), frozenset())


def test_nothing_changed() -> None:
    assert leaks.differences(EMPTY, EMPTY) == []


def test_what_is_new_is_named_with_its_kind() -> None:
    assert leaks.differences(EMPTY, EMPTY | {"cgroup": frozenset({"/a/b"})}) == ["cgroup left behind: /a/b"]


def test_a_lost_mount_is_a_leak_and_an_ended_process_is_none() -> None:
    before = EMPTY | {"mount": frozenset({"/ (ext4)", "/nowhere (ext4)"}), "process": frozenset({"7 sleep"})}
    assert leaks.differences(before, EMPTY) == ["mount lost: / (ext4)"]  # the other one's place is gone, too


def test_an_unpacked_layer_is_one_name(tmp_path: Path) -> None:
    (tmp_path / "layers" / "c" / "diff" / "etc").mkdir(parents=True)
    (tmp_path / "layers" / "c" / "record.json").touch()
    found = {Path(name).relative_to(tmp_path).as_posix() for name in leaks.files(tmp_path)}
    assert found == {"layers", "layers/c", "layers/c/diff", "layers/c/record.json"}


def test_a_process_descends_from_the_first() -> None:
    assert list(leaks.ancestors(os.getpid()))[:2] == [os.getpid(), os.getppid()]
