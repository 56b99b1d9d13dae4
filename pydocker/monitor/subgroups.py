"""The cgroups of exec sessions, each below its container's: whatever a session has started is found there.

Of the hierarchies one is enough, the one by which all of a cgroup can be killed: v2's, or the freezer's beside v1's
controllers. A limit that is the container's holds below it, too.
"""

import contextlib
import os
from typing import NamedTuple

from runtime import cgroups
from runtime.cgroups import Cgroup
from runtime.errors import StepFailed
from runtime.spec import NamespaceType, Spec

_FREEZER = "freezer"


class Subgroup(NamedTuple):
    """One that is there. `asked` is what `exec --cgroup` is told."""

    asked: str
    cgroup: Cgroup

    @property
    def directory(self) -> str:
        [directory] = self.cgroup.paths.values()
        return directory

    def kill(self) -> None:
        """SIGKILL everything in it."""
        with contextlib.suppress(StepFailed):  # one hangs in the kernel; it has the signal
            self.cgroup.kill()


class Subgroups:
    """Those of one container; what is left when that ends is removed with its cgroup."""

    def __init__(self, container: str) -> None:
        self._container = container
        self._used: set[str] = set()  # by what a session has left running when it ended

    def make(self, session: str) -> Subgroup | None:
        """None: this host has no such hierarchy, or no room in it; the session is where its container is."""
        one = below(cgroups.open(self._container), f"exec-{session[:12]}")
        with contextlib.suppress(OSError):
            if one is not None:
                os.mkdir(one.directory)
                if _takes_processes(one.directory):
                    return one
                os.rmdir(one.directory)
        return None

    def leave(self, one: Subgroup | None) -> None:
        """Its session has ended: remove it, and others that are empty by now."""
        self._used |= {one.directory} if one else set()
        for directory in tuple(self._used):
            with contextlib.suppress(OSError):  # EBUSY
                if os.path.exists(directory):
                    os.rmdir(directory)
                self._used.discard(directory)


def below(whole: Cgroup, name: str) -> Subgroup | None:
    """Where it would be. Pure."""
    if not whole.first:
        return Subgroup(name, Cgroup((), whole.below((name,)).second)) if whole.second else None
    if not any(_FREEZER in branch.controllers for branch in whole.first):
        return None
    asked = f"{_FREEZER}:{name}"
    return Subgroup(asked, Cgroup(tuple(branch for branch in whole.below((asked,)).first
                                        if _FREEZER in branch.controllers)))


def hidden(spec: Spec) -> bool:
    """Whether a session gets a cgroup namespace of its own, so that it sees its cgroup as the container's init does: /.

    Programs look for their limits in the place that /proc/self/cgroup names (the JVM, Go's scheduler, libuv); in a
    session's cgroup there are none. But where cgroups can be written, a session may be what manages them (podman in
    a container), and out of its own namespace nobody moves a process (cgroups(7), "nsdelegate"): there it sees more.
    """
    own = spec.linux is not None and spec.linux.makes(NamespaceType.CGROUP)
    return own and {"ro" in one.options for one in spec.mounts if one.type in ("cgroup", "cgroup2")} == {True}


def _takes_processes(directory: str) -> bool:
    """Below a cgroup of threads, v2 makes one of no use (cgroups(7), "domain invalid")."""
    with contextlib.suppress(FileNotFoundError), open(f"{directory}/cgroup.type", encoding="ascii") as type:
        return type.read().strip() == "domain"
    return True
