"""Cgroups of this test session, and processes that wait for their word before they do what is tested."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime import cgroups
from runtime.cgroups import Cgroup

Worker = subprocess.Popen[str]


@pytest.fixture
def cgroup(leak_check: None, cgroup_parent: str) -> Iterator[Cgroup]:
    """A cgroup in every hierarchy of this host; not made yet, and gone in the end with its parent.

    Not the session's parent: engines that outlive a test file keep theirs there.
    """
    parent = f"{cgroup_parent}-cgroups"
    opened = cgroups.open(f"{parent}/box")
    yield opened
    opened.kill()
    opened.destroy()
    cgroups.open(parent).destroy()


@pytest.fixture
def only_v2(cgroup: Cgroup) -> Cgroup:
    """Its v2 branch alone, as on a host without v1."""
    if cgroup.second is None:
        pytest.skip("no cgroup2 file system is mounted")
    return Cgroup((), cgroup.second)


@pytest.fixture
def only_v1(cgroup: Cgroup) -> Cgroup:
    """Its v1 branches alone."""
    if not cgroup.first:
        pytest.skip("no cgroup v1 hierarchy is mounted")
    return Cgroup(cgroup.first)


@pytest.fixture
def start(leak_check: None) -> Iterator[Callable[..., Worker]]:
    """`start(python)` begins a process that runs the lines after a newline on its stdin; see `go`."""
    with ExitStack() as ended:
        def start(python: str) -> Worker:
            worker = subprocess.Popen((sys.executable, "-I", "-S", "-c", f"input()\n{python}"), text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            # Not `communicate`: children that the cgroup's end will kill may still hold the pipe.
            ended.callback(worker.stdout.close)
            ended.callback(worker.stdin.close)
            ended.callback(worker.wait)
            ended.callback(worker.kill)
            return worker
        yield start


@pytest.fixture
def go() -> Callable[[Worker], str]:
    """Let a worker run to its end: its output."""
    def go(worker: Worker) -> str:
        return worker.communicate("\n")[0]
    return go


@pytest.fixture
def content() -> Callable[[Cgroup, str, str], str]:
    """`content(cgroup, hierarchy, file)`: what the kernel says."""
    def content(cgroup: Cgroup, hierarchy: str, file: str) -> str:
        return Path(cgroup.paths[hierarchy], file).read_text().strip()
    return content
