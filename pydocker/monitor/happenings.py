"""What a monitor tells of its container in `events.jsonl`: start, die, oom, pause, exec_die, …"""

import contextlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from pydocker.events.journal import Journal, Subject
from pydocker.model.container import State
from pydocker.monitor import remains
from pydocker.monitor.launch import Launch, Seen
from pydocker.monitor.loop import Loop
from pydocker.paths import Paths
from runtime import cgroups
from runtime.cgroups.oom import Never, OomNotices
from runtime.errors import StepFailed


class Happenings:
    """Called with an action, and the attributes that it adds. After --rm the container is told of as it was last."""

    def __init__(self, launch: Launch) -> None:
        self._journal = Journal(Path(launch.events))
        self._launch = launch
        self._known = Subject(launch.id, "", "")
        self._using = False

    def __call__(self, action: str, **more: str) -> None:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            self._known = Subject.read(self._launch.data_path)
        self._journal.container(self._known, action, **more)

    def started(self) -> None:
        """It runs, and its volumes are in use."""
        for seen in self._volumes():
            self._journal.volume("mount", seen.name, **{
                "container": self._launch.id, "destination": seen.destination, "propagation": "",
                "read/write": str(not seen.readonly).lower()})
        self._using = True
        self("start")

    def go_on(self) -> None:
        """After `started` in another process."""
        self._using = True

    def died(self, state: State) -> None:
        """It has ended, as `state` says; one that was to run again, and could not be started, uses nothing."""
        for seen in self._volumes() if self._using else ():
            self._journal.volume("unmount", seen.name, container=self._launch.id)
        self._using = False
        self("die", exitCode=str(state.exit_code), execDuration=str(int(state.finished - state.started)))

    def destroy(self) -> None:
        """Remove the container (--rm), and tell if it was us who did. PydockerError: it cannot be, and is dead now."""
        launch = self._launch
        if remains.remove(launch.data_path, launch.run_path, Path(launch.names), Path(launch.temporary)):
            self("destroy")
            self._discard([seen.name for seen in launch.seen if seen.anonymous])

    def _discard(self, names: list[str]) -> None:
        """Its anonymous volumes, unless another container has them. The module is loaded where it is needed."""
        if names:
            from pydocker.volumes.service import Volumes

            paths = Paths(self._launch.data_path.parent.parent, self._launch.run_path.parent.parent)
            Volumes(paths, self._launch.mount_point).discard(names)

    def _volumes(self) -> list[Seen]:
        return [seen for seen in self._launch.seen if seen.kind == "volume"]


class Bell(NamedTuple):
    """What another process's watch has left: a descriptor with events to come, and whether it has told of any."""

    descriptor: int  # -1: none
    mask: int
    told: bool


class OomWatch:
    """Tells of every time that the container was out of memory, while it runs.

    With a `bell` it need not know anything until that rings (to open a cgroup takes a megabyte of memory).
    """

    def __init__(self, loop: Loop, cgroup: str, tell: Happenings, bell: Bell | None = None) -> None:
        self._loop = loop
        self._path = cgroup
        self._tell = tell
        self._told = False
        self._notices: OomNotices = Never()
        self._bell = bell
        if bell is None:
            self._listen()
        else:
            self._told = bell.told
            if bell.descriptor >= 0:
                loop.watch(bell.descriptor, bell.mask, lambda events: self._listen())

    def bell(self) -> Bell:
        """To be handed to the watch of another process."""
        return Bell(self._notices.descriptor, self._notices.mask, self._told)

    def _listen(self) -> None:
        """By the bell's own descriptor, if there is one: v1's kernel rings before it kills and counts, so that nothing
        else may know of it yet.
        """
        self._cgroup = cgroups.open(self._path)
        descriptor = -1
        if self._bell is not None:
            descriptor, self._bell = self._bell.descriptor, None
            if descriptor >= 0:
                self._loop.forget(descriptor)
        with contextlib.suppress(StepFailed):  # it has ended already
            self._notices = self._cgroup.oom_notices(descriptor)
        if self._notices.descriptor >= 0:
            self._loop.watch(self._notices.descriptor, self._notices.mask, lambda events: self._look())
            self._look_back()

    def _look_back(self) -> None:
        """The program runs already: what happened before there was anybody to hear it is known by its count alone."""
        self._look()
        if not self._told and self._cgroup.oom_kills() > 0:
            self._tell("oom")
            self._told = True

    def _look(self) -> None:
        for _ in range(self._notices.happened()):
            self._tell("oom")
            self._told = True

    def close(self) -> bool:
        """Before the cgroup is gone: whether the kernel has killed for memory. That may have been before we listened.
        """
        if self._bell is not None:
            self._listen()
        self._look()
        killed = self._cgroup.oom_kills() > 0
        if killed and not self._told:
            self._tell("oom")
        if self._notices.descriptor >= 0:
            self._loop.forget(self._notices.descriptor)
        self._notices.close()
        return killed
