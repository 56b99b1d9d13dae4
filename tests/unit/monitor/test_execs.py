"""What is left of an exec session in its monitor."""

import gc
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydocker.model.container import ContainerId, ExecConfig, ExecId, ExecSession
from pydocker.monitor.execs import KEPT, Execs, _Session


def test_a_session_that_outlasts_its_container_is_no_fault_of_the_monitors(tmp_path: Path) -> None:
    """With --rm its directory is gone when the runtime, which was still joining the container, says that it cannot."""
    session = ExecSession(id=ExecId("e" * 64), container=ContainerId("c" * 64), config=ExecConfig(cmd=("true",)))
    nothing: Any = None
    one = _Session(session, tmp_path / "gone", nothing, None, ExitStack())
    one.save(exit_code=126)
    assert one.session.exit_code == 126


def test_the_file_of_an_ended_session_is_all_that_is_kept_of_it(tmp_path: Path) -> None:
    """A monitor is there for months, and somebody may look into its container every second."""
    later: list[tuple[float, Callable[[], None]]] = []
    launch: Any = SimpleNamespace(cgroup="/none", run_path=tmp_path)
    loop: Any = SimpleNamespace(after=lambda seconds, then: later.append((seconds, then)))
    nothing: Any = None
    execs = Execs(launch, nothing, loop, nothing, nothing)
    session = ExecSession(id=ExecId("e" * 64), container=ContainerId("c" * 64), config=ExecConfig(cmd=("true",)))
    one = _Session(session, tmp_path, nothing, None, ExitStack())
    one.save(exit_code=0)
    execs._forget(one)
    left = weakref.ref(one)
    del one
    gc.collect()
    assert left() is None
    [(seconds, then)] = later
    assert seconds == KEPT and [*tmp_path.iterdir()] != []
    then()
    assert [*tmp_path.iterdir()] == []
