"""Which file the head start writes to, and what."""

import os
import threading
from pathlib import Path

from pydocker.containers.headstart import HeadStart
from runtime.linux.headstart import own_cgroup_file


def finished() -> None:
    for thread in threading.enumerate():
        if thread.name == "head start":
            thread.join()


def test_it_moves_itself_to_where_it_is(tmp_path: Path) -> None:
    procs = tmp_path / "cgroup.procs"
    procs.touch()
    HeadStart(str(procs)).give()
    finished()
    assert procs.read_bytes() == b"0"


def test_without_cgroups_or_permission_nothing_happens(tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "gone" / "cgroup.procs"), str(tmp_path)):
        HeadStart(path).give()
    finished()


def test_the_file_is_one_in_which_this_process_is_listed() -> None:
    """Or there is none that it may write to: without root, say."""
    file = own_cgroup_file()
    assert not file or str(os.getpid()) in Path(file).read_text().split()
