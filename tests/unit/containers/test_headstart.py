"""Which file the head start writes to, and what."""

import threading
from pathlib import Path

from pydocker.containers.headstart import HeadStart
from runtime.cgroups import Hierarchy, Layout


def finished() -> None:
    for thread in threading.enumerate():
        if thread.name == "head start":
            thread.join()


def test_it_moves_itself_to_where_it_is(tmp_path: Path) -> None:
    procs = tmp_path / "own" / "cgroup.procs"
    procs.parent.mkdir()
    procs.touch()
    start = HeadStart(Layout((Hierarchy(1, str(tmp_path), ("pids",), "/own"),), None))
    start.give()
    finished()
    assert procs.read_bytes() == b"0"


def test_without_cgroups_or_permission_nothing_happens(tmp_path: Path) -> None:
    for layout in (Layout((), None), Layout((Hierarchy(1, str(tmp_path), ("pids",), None),), None),
                   Layout((Hierarchy(1, str(tmp_path), ("pids",), "/gone"),), None)):
        HeadStart(layout).give()
    finished()
