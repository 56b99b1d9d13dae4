"""pause, unpause, and what a paused container is not asked for.

The container's monitor does it, since it alone writes the state. A paused container runs, as far as everything else is
concerned: it can be stopped and killed, but a signal reaches it only when it goes on (moby, daemon/kill.go).
"""

import contextlib
from pathlib import Path

from pydocker.containers import bundle, signals
from pydocker.containers.streams import Streams
from pydocker.errors import Conflict, Unavailable
from pydocker.model.container import Container, ContainerId
from pydocker.monitor import control, pausing
from runtime import cgroups
from runtime.errors import Fault


def pause(streams: Streams, container: Container) -> None:
    """Stop all its processes where they are. Conflict: it does not run, or is paused already."""
    id = container.record.id
    if not container.state.running:
        raise Conflict(f"Container {id} is not running")
    if container.state.paused:
        raise pausing.already(id, frozen=True)
    _ask(streams, id, frozen=True)


def unpause(streams: Streams, container: Container) -> None:
    """Let them go on. PydockerError: it is not paused."""
    if not container.state.paused:
        raise pausing.already(container.record.id, frozen=False)
    _ask(streams, container.record.id, frozen=False)


def wake(streams: Streams, container: Container) -> None:
    """Let a frozen container go on, so that the signal which it has been sent arrives."""
    if container.state.paused:
        with contextlib.suppress(Conflict, Unavailable, OSError):  # v2 has killed it where it stood
            _ask(streams, container.record.id, frozen=False)
    with contextlib.suppress(Fault, OSError):  # it has ended
        _thaw(cgroups.open(bundle.cgroup(container.record)))


def _thaw(cgroup: cgroups.Cgroup) -> None:
    """If somebody else has frozen it, or a part of it, by the kernel's files: v1 delivers not even SIGKILL then."""
    if (file := cgroup.freezer_file) and Path(file).read_text().strip() == "1":
        cgroup.thaw()
    cgroup.release()


def wakes(container: Container, signum: int) -> bool:
    """Whether this signal is meant to end it: SIGKILL, its stop signal, and where that was not chosen, any."""
    chosen = container.record.config.stop_signal
    return not chosen or signum in (signals.number("KILL"), signals.number(chosen))


def refuse(container: Container, doing: str) -> None:
    """Conflict if it is paused: what it would have to do itself, it cannot."""
    if container.state.paused:
        raise Conflict(f"Container {container.record.name} is paused, unpause the container before {doing}")


def _ask(streams: Streams, id: ContainerId, *, frozen: bool) -> None:
    streams.ask(id, control.Freeze(frozen), f"{'pause' if frozen else 'unpause'} container {id[:12]}")
