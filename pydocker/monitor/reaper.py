"""Cleaning up behind a monitor that was killed: what it held is gone with it, what it made is not.

Without its monitor a container has nobody to read its output or to record its end, so it is ended, too, and recorded as
killed (137); or, where its restart policy wants it to run again, as one that waits for that: the engine starts it.
The process is named by pid *and* start time, and signalled through a pidfd: a reused pid is never hit.
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
from pydocker.model.container import ExecSession, RestartPolicy, State, Status
from pydocker.monitor import control, making, networking, plan, remains, restart
from pydocker.monitor.desk import answer
from pydocker.monitor.happenings import Happenings
from pydocker.monitor.launch import EXECS, FILE, LOCK, Launch
from pydocker.monitor.ociruntime import Runtime
from pydocker.monitor.pids import start_time
from pydocker.monitor.recorded import STATE, last_state, policy
from pydocker.storage import documents
from runtime import cgroups
from runtime.errors import Fault

_PATIENCE = 10.0  # seconds for a killed process to be gone


def sweep_up(launch: Launch, server: socket.socket) -> None:
    """Kill, delete, record, and answer."""
    state = last_state(launch)
    runtime = Runtime(launch.runtime, launch.runtime_root, launch.run_path / "runtime.log")
    try:
        making.forbid(launch.run_path / FILE, _PATIENCE)
        kill(state, cgroups.open(launch.cgroup))
        plan.delete(runtime, launch.id)
    except (PydockerError, Fault, OSError) as error:
        answer(server, control.Failed(f"clean up container {launch.id[:12]}: {error}"))
        return
    gone, tell = networking.release_killed(launch), Happenings(launch)
    if not recorded(state, launch):
        ended = after(state, policy(launch))
        documents.write(launch.data_path / STATE, ended, durable=False)
        if state.running:
            tell.died(ended)
    networking.tell(launch, gone)
    end_sessions(launch.run_path / EXECS)
    remains.sweep(launch.run_path, keep=(EXECS, LOCK))
    if launch.auto_remove:
        with contextlib.suppress(PydockerError):  # it is dead, and its state says why
            tell.destroy()
    elif not os.path.exists(launch.run_path / EXECS):
        remains.give_up(launch.run_path, LOCK)
    answer(server, control.Done())


def end_sessions(directory: Path) -> None:
    """Record that the exec sessions which ran are over: they ended with the container, by the same signal."""
    for path in directory.glob("*.json"):
        with contextlib.suppress(OSError, PydockerError):
            session = documents.read(path, ExecSession)
            if session.running:
                ended = msgspec.structs.replace(session, running=False, pid=0, exit_code=restart.KILLED)
                documents.write(path, ended, durable=False)


def recorded(state: State, launch: Launch) -> bool:
    """Whether the monitor came to record how this launch ended, and was killed then."""
    return state.status is Status.EXITED and state.finished > os.stat(launch.run_path / FILE).st_mtime


def after(state: State, policy: RestartPolicy) -> State:
    """The state of a container whose monitor was killed, in whatever state it was."""
    told = {"exit_code": restart.KILLED, "error": "its monitor was killed"}
    if not state.running:
        return msgspec.structs.replace(state, **{**told, "exit_code": state.exit_code or restart.KILLED})
    again = restart.after_its_monitor(policy, state)
    return msgspec.structs.replace(state, **told, status=Status.RESTARTING if again else Status.EXITED, pid=0,
                                   start_time=0, finished=time.time(), restarts=state.restarts + again)


def kill(state: State, cgroup: cgroups.Cgroup) -> None:
    """SIGKILL the init process, if it is still that process, and wait until it is gone.

    Whoever has frozen it, it dies.
    """
    if not state.pid:
        return
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        fd = os.pidfd_open(state.pid)
        try:
            if start_time(state.pid) == state.start_time:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                cgroup.release()
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                poll.poll(_PATIENCE * 1000)
        finally:
            os.close(fd)
