"""A container that is stopped by hand stays so: its monitor is told before the signal comes."""

import contextlib

from pydocker.containers.streams import Streams
from pydocker.errors import Conflict, PydockerError
from pydocker.model.container import Container
from pydocker.monitor import control

_PATIENCE = 2.0  # seconds; a monitor that does not answer will not start anything again either


def stay_down(streams: Streams, container: Container) -> bool:
    """Whether there was something to say: nothing is, to the monitors of containers without a restart policy."""
    if container.record.host.restart_policy.name in ("", "no") and not container.state.restarting:
        return False
    with contextlib.suppress(PydockerError, OSError), streams.connect(container.record.id) as connection:
        connection.settimeout(_PATIENCE)
        control.send(connection, control.StayDown())
        control.expect_done(connection, f"stop container {container.record.id[:12]}")
    return True


def refuse(container: Container) -> None:
    """Conflict if it waits for its next run: there is no process."""
    if container.state.restarting:
        raise Conflict(f"Container {container.record.id} is restarting, wait until the container is running")
