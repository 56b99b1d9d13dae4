"""`pause` and `resume`: all processes of a container stop where they are, and go on later without having noticed.

It is not SIGSTOP, which a process and its parent can see and undo: the kernel's freezer stops each process at its next
way back from the kernel (cgroups(7): v1's freezer controller, v2's cgroup.freeze). Whether a container is paused is
asked of the kernel each time (`state.status`), so nothing is written down.
"""

from runtime import cgroups
from runtime.errors import WrongState
from runtime.spec import Status
from runtime.state import Place, status


def pause(place: Place) -> None:
    """Stop all processes. Raises NoSuchContainer, WrongState, StepFailed."""
    record = place.record()
    if status(place, record) not in (Status.RUNNING, Status.CREATED):
        raise WrongState("container not running")
    cgroups.open(record.cgroup_path, systemd=record.systemd).freeze()


def resume(place: Place) -> None:
    """Let them go on. Raises NoSuchContainer, WrongState, StepFailed."""
    record = place.record()
    if status(place, record) is not Status.PAUSED:
        raise WrongState("container not paused")
    cgroups.open(record.cgroup_path, systemd=record.systemd).thaw()
