"""`state.json`, as a monitor finds it, and what it looks up in `config.json` because `update` may change it."""

import contextlib
import sys

import msgspec

from pydocker.errors import PydockerError
from pydocker.model.container import RestartPolicy, State
from pydocker.monitor.launch import Launch
from pydocker.monitor.loop import Loop
from pydocker.storage import documents

STATE = "state.json"
_AGAIN = 1.0  # seconds until what the disk did not take is written again


class _Host(msgspec.Struct, frozen=True):
    """The part of a HostConfig that is of interest here."""

    policy: RestartPolicy = msgspec.field(default=RestartPolicy(), name="RestartPolicy")


class _Record(msgspec.Struct, frozen=True):
    host: _Host = _Host()


def last_state(launch: Launch) -> State:
    """What was recorded last; a container that was never started has no file yet."""
    try:
        return documents.read(launch.data_path / STATE, State)
    except FileNotFoundError:
        return State()


def policy(launch: Launch) -> RestartPolicy:
    """The restart policy as it is now; a container that somebody has just removed has none."""
    try:
        return documents.read(launch.data_path / "config.json", _Record).host.policy
    except (OSError, PydockerError):
        return RestartPolicy()


class StateFile:
    """Where the monitor records. What the disk does not take (it is full) is written as soon as it does: a container
    is not ended because nobody can read how it is. What it has not taken by the monitor's end is left in the run root,
    which is in memory; the engine finds it there.
    """

    def __init__(self, launch: Launch, loop: Loop) -> None:
        self._path = launch.data_path / STATE
        self._kept = launch.run_path / STATE
        self._loop = loop
        self._state: State | None = None  # still to be written

    @property
    def written(self) -> bool:
        """Whether the disk has taken all."""
        return self._state is None

    def write(self, state: State) -> None:
        # Not fsynced: after a power cut nothing runs, and the engine finds that out by itself. The rename is atomic.
        failed, self._state = self._state is not None, state
        try:
            documents.write(self._path, state, durable=False)
        except OSError as error:
            if not failed:  # then it has been said, and the timer runs
                print(f"write {self._path}: {error.strerror}: it is tried again", file=sys.stderr, flush=True)
                self._loop.after(_AGAIN, self._again)
        else:
            self._state = None

    def _again(self) -> None:
        if self._state is None:
            return
        try:
            documents.write(self._path, self._state, durable=False)
        except OSError:
            self._loop.after(_AGAIN, self._again)
        else:
            self._state = None

    def close(self) -> bool:
        """The monitor ends; whether it leaves its last word in the run root."""
        if self._state is None:
            return False
        try:
            documents.write(self._path, self._state, durable=False)
        except OSError:
            with contextlib.suppress(OSError):
                documents.write(self._kept, self._state, durable=False)
                return True
        return False
