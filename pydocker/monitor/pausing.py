"""pause and unpause, the monitor's part: the runtime freezes or thaws, the monitor records it.

A frozen container is one that runs (it has its processes, its memory, its addresses) and does not move: nothing that it
is sent arrives before it is thawed, signals included (cgroups(7), the freezer).
"""

from pydocker.errors import Conflict, PydockerError
from pydocker.model.container import State, Status
from pydocker.monitor.ociruntime import Runtime


def change(runtime: Runtime, id: str, state: State, *, frozen: bool) -> Status:
    """Freeze or thaw the container; the status that it has now. Conflict: it is so already."""
    if (state.status is Status.PAUSED) == frozen:
        raise already(id, frozen=frozen)
    verb = "pause" if frozen else "resume"
    code = runtime.act(verb, id)
    if code != 0:
        raise PydockerError(f"OCI runtime {verb} failed: {runtime.complaint() or f'exit code {code}'}")
    return Status.PAUSED if frozen else Status.RUNNING


def already(id: str, *, frozen: bool) -> PydockerError:
    """Docker's words (and its status, which is 500 for the second)."""
    return Conflict(f"Container {id} is already paused") if frozen else PydockerError(f"Container {id} is not paused")
