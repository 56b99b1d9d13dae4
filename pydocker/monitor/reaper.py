"""Cleaning up behind a monitor that was killed: what it held is gone with it, what it made is not.

Without its monitor a container has nobody to read its output or to record its end, so it is ended, too, and recorded as
killed (137). The process is named by pid *and* start time, and signalled through a pidfd: a reused pid is never hit.
"""

import contextlib
import os
import select
import signal
import socket
import time
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError
from pydocker.model.container import State, Status
from pydocker.monitor import control, plan, remains
from pydocker.monitor.launch import EXECS, LOCK, Launch
from pydocker.monitor.monitor import STATE, last_state, start_time
from pydocker.monitor.ociruntime import Runtime
from pydocker.storage import documents
from runtime.errors import Fault

_PATIENCE = 10.0  # seconds for a killed process to be gone


def sweep_up(launch: Launch, server: socket.socket) -> None:
    """Kill, delete, record, and answer."""
    state = last_state(launch)
    try:
        kill(state)
        plan.delete(Runtime(launch.runtime, launch.runtime_root, launch.run_path / "runtime.log"), launch.id)
    except (PydockerError, Fault, OSError) as error:
        control.send(server, control.Failed(f"clean up container {launch.id[:12]}: {error}"))
        return
    documents.write(launch.data_path / STATE, after(state), durable=False)
    remains.sweep(launch.run_path, keep=(EXECS, LOCK))
    if launch.auto_remove:
        remains.remove(launch.data_path, launch.run_path, Path(launch.names), Path(launch.temporary))
    elif not os.path.exists(launch.run_path / EXECS):
        remains.give_up(launch.run_path, LOCK)
    control.send(server, control.Done())


def after(state: State) -> State:
    """The state of a container whose monitor was killed, in whatever state it was."""
    if not state.running:
        return msgspec.structs.replace(state, exit_code=state.exit_code or 137, error="its monitor was killed")
    return msgspec.structs.replace(state, status=Status.EXITED, pid=0, start_time=0, exit_code=137,
                                   finished=time.time(), error="its monitor was killed")


def kill(state: State) -> None:
    """SIGKILL the init process, if it is still that process, and wait until it is gone."""
    if not state.pid:
        return
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        fd = os.pidfd_open(state.pid)
        try:
            if start_time(state.pid) == state.start_time:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                poll.poll(_PATIENCE * 1000)
        finally:
            os.close(fd)
