"""`commit` of containers that are not held still: they are restarting, have just ended, or cannot be paused."""

import os
import signal
from typing import Any

import pytest

from pydocker.containers.commit import Commits
from pydocker.containers.options import CommitOptions
from pydocker.errors import Unavailable
from pydocker.model.container import Status
from pydocker.model.image import ImageDefaults
from tests.root.containers.room import Between, Room
from tests.waiting import stop


def test_the_container_s_settings_where_the_request_says_nothing(room: Room) -> None:
    id = room.create("sleep", "1000", env=("A=1",), user="1000", labels={"a": "b"})
    image = room.containers.commit(id, None, CommitOptions(config=ImageDefaults(labels={"c": "d"})))
    made = room.images.resolve(image.id).config.config
    assert (made.cmd, made.user, made.labels) == (("sleep", "1000"), "1000", {"a": "b", "c": "d"})
    assert "A=1" in (made.env or ())


def test_one_that_waits_for_its_next_run(room: Room) -> None:
    id = room.restarting()
    assert room.containers.commit(id, None, CommitOptions()).config.config.cmd == ("false",)


def test_one_that_ends_before_it_is_paused(room: Room) -> None:
    id = room.start("sleep", "1000")
    alive = room.containers.get(id)
    room.containers.stop(id, 0, None)
    real = room.containers._commits
    for looks in (2, 3):  # pause() looks for itself, before it asks the monitor
        statuses: Any = Between(real._statuses, seen=[alive] * looks)
        late = Commits(room.images, real._files, statuses, real._streams)
        assert late.commit(id, None, CommitOptions()).config.config.cmd == ("sleep", "1000")


def test_one_that_cannot_be_paused_is_not_committed_in_motion(room: Room) -> None:
    """Its monitor, which freezes it, is stopped itself."""
    id = room.start("sleep", "1000")
    monitor = room.monitor(id)
    stop(monitor)
    with pytest.raises(Unavailable, match=f"process {monitor}, is stopped"):
        room.containers.commit(id, None, CommitOptions())
    os.kill(monitor, signal.SIGCONT)
    assert room.containers.get(id).state.status is Status.RUNNING
    assert room.containers.commit(id, None, CommitOptions()).config.config.cmd == ("sleep", "1000")
