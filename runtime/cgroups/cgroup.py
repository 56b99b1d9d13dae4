"""A container's cgroup: one branch in each hierarchy of the host, used as one thing.

It is a value (a few paths), so it can be kept in a state file, and opened again by another process at another place.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from runtime.cgroups import v1, v2
from runtime.cgroups.branch import Freezable, kill_each, kill_frozen, remove, tree
from runtime.cgroups.devices import container_rules, lines
from runtime.cgroups.files import Settings, ignored, placed
from runtime.cgroups.settings import Setting
from runtime.cgroups.steps import AdoptCgroup, MakeCgroup, SetFirst, SetLimit
from runtime.errors import InvalidSpec, StepFailed
from runtime.spec.resources import LinuxDeviceCgroup, LinuxResources
from runtime.step import Step, apply

if TYPE_CHECKING:
    # Imported when they are asked for: no container's start needs them, and their many classes take two milliseconds.
    from runtime.cgroups.oom import OomNotices
    from runtime.cgroups.stats import Stats

# v2's controllers that a container is given where the host has them.
DELEGATED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma")
DOMAIN = {"memory", "io", "hugetlb", "rdma"}  # of these, what counts by process and never by thread


def _step(setting: Setting, write: Callable[..., SetLimit]) -> Step[object]:
    """The step for a setting: a plain one where there is nothing to choose."""
    choices = tuple(write(file=file, value=value, field=setting.field)
                    for file, value in ((setting.file, setting.value), *setting.instead))
    return SetFirst(choices, setting.optional) if setting.instead or setting.optional else choices[0]


class Cgroup(msgspec.Struct, frozen=True):
    """`first` are the branches of cgroup v1, `second` is the one of v2; a hybrid host has both.

    `scope` are the names of the unit and of its slice where systemd makes the cgroup.
    """

    first: tuple[v1.Branch, ...] = ()
    second: v2.Branch | None = None
    scope: tuple[str, str] | None = None

    @property
    def paths(self) -> dict[str, str]:
        """The absolute directory in each hierarchy, by the hierarchy's name in /proc/self/cgroup ("" is v2)."""
        return {branch.name: branch.directory for branch in self._branches()}

    def steps(self, resources: LinuxResources | None) -> tuple[Step[object], ...]:
        """All that makes the cgroup with these limits; purely. Raises InvalidSpec for what this host cannot do."""
        directories = tuple(branch.directory for branch in self._branches())
        return (MakeCgroup(directories), *self._furnished(resources or LinuxResources()))

    def before(self, resources: LinuxResources | None) -> tuple[Step[object], ...]:
        """What is done before the process exists: all, unless systemd has to be shown a process."""
        return () if self.scope else self.steps(resources)

    def around(self, id: str, resources: LinuxResources | None,
               annotations: Mapping[str, str]) -> tuple[Step[Any], ...]:
        """What is done when the process exists: systemd is asked for a scope around it, and the rest follows."""
        if not self.scope:
            return ()
        from runtime.cgroups.busctl import StartScope
        from runtime.cgroups.systemd import Unit, properties

        resources = resources or LinuxResources()
        unit = Unit(*self.scope)
        asked = properties(unit, id, resources, annotations, version=1 if self._first("memory") else 2)
        directories = tuple(branch.directory for branch in self._branches())
        return (StartScope(unit, asked, directories), AdoptCgroup(directories), *self._furnished(resources))

    def _furnished(self, resources: LinuxResources) -> tuple[Step[object], ...]:
        """What a directory needs to be a cgroup that processes can live in, and its limits."""
        first = self._first("cpuset")
        inherit = (v1.InheritCpuset(first.mountpoint, first.directory),) if first else ()
        return (*inherit, *self._fitting(resources), *self._delegate(resources), *self.limits(resources),
                *self._devices(resources.devices))

    def limits(self, resources: LinuxResources) -> tuple[Step[object], ...]:
        """The steps that write the limits, without the devices."""
        first, second = self._settings(resources)
        known = {name: branch for branch in self.first for name in branch.controllers}
        old = (_step(one, partial(v1.SetLimit, directory=known[one.controller].directory, controller=one.controller))
               for one in first)
        place = self.second.directory if self.second else ""
        return (*old, *(_step(one, partial(SetLimit, directory=place)) for one in second))

    def ignored(self, resources: LinuxResources) -> tuple[str, ...]:
        """Warnings about limits that are not to be had on this host, and that nobody misses."""
        return ignored(resources, {name for branch in self.first for name in branch.controllers})

    def create(self, resources: LinuxResources | None) -> None:
        """Make it with these limits, or nothing at all. Raises InvalidSpec, StepFailed."""
        apply(self.steps(resources), None)

    def apply(self, resources: LinuxResources, present: LinuxResources | None = None) -> ExitStack:
        """Change the limits of a cgroup in use; devices only if there are rules. Raises InvalidSpec, StepFailed.

        `present` are the limits so far: what systemd, where it is asked, is told again if the change fails.
        Nothing is changed if one of them is refused; what is returned changes all of them back when it is closed.
        """
        from runtime.cgroups.change import change, check_usage

        if resources.memory and resources.memory.check_before_update:
            check_usage(resources.memory, self.stats().memory.usage.usage)
        return change((*self._told(resources, present or LinuxResources()), *self.limits(resources),
                       *(self._devices(resources.devices) if resources.devices else ())))

    def _told(self, resources: LinuxResources, present: LinuxResources) -> tuple[Step[object], ...]:
        """systemd first: it writes what it knows into the files, and rounds some of it."""
        if not self.scope:
            return ()
        from runtime.cgroups.busctl import SetProperties
        from runtime.cgroups.systemd import Unit, limits

        asked, earlier = (limits(one, version=1 if self._first("memory") else 2) for one in (resources, present))
        return (SetProperties(Unit(*self.scope), asked, earlier),) if asked else ()

    def below(self, asked: Sequence[str]) -> "Cgroup":
        """What `exec --cgroup` names: PATH below this one, or CONTROLLERS:PATH in v1's hierarchies that have them.

        Purely. Raises InvalidArgument.
        """
        if not asked:
            return self
        from runtime.cgroups.below import moved, paths

        down = paths(asked, {name for branch in self.first for name in branch.controllers})
        return Cgroup(tuple(moved(branch, down, branch.controllers) for branch in self.first),
                      self.second and moved(self.second, down, ()))

    def enter(self, pid: int, *, beside: int | None = None) -> None:
        """Move a process into it, in every hierarchy: before it does anything else, as its children follow it.

        `beside` is the container's init where the process is another one (exec). The first move after a while of
        silence costs 7 to 20 ms (the kernel waits for a grace period), every further one 0.03. Raises StepFailed.
        """
        if self.second:
            self.second.enter(pid, beside)  # first of all: `kill` asks v2
        for branch in self.first:
            branch.enter(pid)

    def processes(self) -> list[int]:
        """The processes in it and in the cgroups below it, as far as this pid namespace has numbers for them."""
        branch = self.second or next(iter(self.first), None)
        return sorted(set(branch.processes())) if branch else []

    def freeze(self) -> None:
        """Stop all processes at once; they do not notice. Raises StepFailed."""
        self._some_freezer().freeze()

    def thaw(self) -> None:
        """Let frozen processes go on. Raises StepFailed."""
        self._some_freezer().thaw()

    @property
    def freezer_file(self) -> str:
        """The file that reads 1 while this cgroup is frozen (0 if only one above it is); "" if nobody can freeze."""
        if branch := self._first("freezer"):
            return os.path.join(branch.directory, "freezer.self_freezing")
        return os.path.join(self.second.directory, "cgroup.freeze") if self.second else ""

    def kill(self) -> None:
        """SIGKILL everything in it, however fast it forks; nothing if it is gone. Raises StepFailed."""
        if self.second and self.second.can_kill:
            try:
                self.second.kill()
            except StepFailed:
                if os.path.exists(self.second.directory):  # systemd removes an empty scope at any moment
                    raise
            self.release()
            return
        branches = [branch for branch in self._branches() if os.path.exists(branch.directory)]
        if not branches:
            return
        freezer = self._freezer()
        if freezer and freezer.can_freeze:
            kill_frozen(branches[-1], freezer)
        else:
            kill_each(branches[-1])
        self.release()

    def release(self) -> None:
        """Let what was sent SIGKILL die: v2 does so by itself, v1's freezer holds it, here and in each cgroup below."""
        if branch := self._first("freezer"):
            for directory in tree(branch.directory):
                with suppress(StepFailed):  # it is gone by now
                    v1.Freezer(msgspec.structs.replace(branch, directory=directory)).thaw()

    def oom_kills(self) -> int:
        """How many of its processes the kernel has killed for want of memory; 0 if nobody counts."""
        from runtime.cgroups.usage import oom_kills

        return oom_kills(self.first, self.second)

    def oom_notices(self, descriptor: int = -1) -> "OomNotices":
        """What becomes readable when the kernel had to kill for want of memory: see `oom`. Raises StepFailed."""
        from runtime.cgroups.oom import notices

        return notices(self.first, self.second, descriptor)

    def stats(self) -> "Stats":
        """What it uses now. Raises StepFailed if it is gone."""
        from runtime.cgroups.usage import stats

        return stats(self.first, self.second)

    def destroy(self) -> None:
        """Remove it in every hierarchy, with what the container made below it; its processes have to be dead or dying.

        Raises StepFailed after ten seconds in which a process stayed alive.
        """
        if self.scope:
            from runtime.cgroups.busctl import stop
            from runtime.cgroups.systemd import Unit

            stop(Unit(*self.scope))
        for branch in self._branches():
            remove(branch.directory)

    # Deciding

    def _branches(self) -> tuple[v1.Branch | v2.Branch, ...]:
        return (*self.first, self.second) if self.second else self.first

    def _first(self, controller: str) -> v1.Branch | None:
        return next((branch for branch in self.first if controller in branch.controllers), None)

    def _freezer(self) -> Freezable | None:
        """v1's freezer first: where it is mounted, v2's part may be an old one that cannot freeze."""
        branch = self._first("freezer")
        return v1.Freezer(branch) if branch else self.second

    def _some_freezer(self) -> Freezable:
        freezer = self._freezer()
        if freezer is None:
            raise StepFailed("freeze: this host has neither cgroup v2 nor v1's freezer mounted")
        return freezer

    def _settings(self, resources: LinuxResources) -> tuple[Settings, Settings]:
        first = {name for branch in self.first for name in branch.controllers}
        return placed(resources, first, set(self.second.controllers) if self.second else set())

    def _fitting(self, resources: LinuxResources) -> tuple[Step[object], ...]:
        """On a v2 host; beside v1, v2 has hardly a controller, and its cgroups are ours alone."""
        if not self.second or self.first:
            return ()
        asked = {setting.controller for setting in self._settings(resources)[1]}
        return (v2.FitType(self.second.mountpoint, self.second.directory, bool(asked & DOMAIN)),)

    def given_to(self, uid: int) -> tuple[Step[object], ...]:
        """The step that makes a user the owner of the v2 cgroup; root is it already, and v1 cannot be delegated."""
        return (v2.GiveCgroup(self.second.directory, uid),) if uid and self.second and not self.first else ()

    def _delegate(self, resources: LinuxResources) -> tuple[Step[object], ...]:
        """On a v2 host every controller is passed down, for its figures; beside v1 only what is asked for."""
        if not self.second:
            return ()
        required = tuple(sorted({setting.controller for setting in self._settings(resources)[1]} & {*DELEGATED}))
        offered = tuple(name for name in DELEGATED if name in self.second.controllers)
        passed = required if self.first else tuple(dict.fromkeys((*required, *offered)))
        if not passed:
            return ()
        return (v2.DelegateControllers(self.second.mountpoint, self.second.directory, passed, required),)

    def _devices(self, asked: tuple[LinuxDeviceCgroup, ...]) -> tuple[Step[object], ...]:
        """v1's device controller where there is one, else a program on v2. Without either, a container is not safe."""
        rules = container_rules(asked)
        if branch := self._first("devices"):
            return (v1.LimitDevices(branch.directory, lines(rules)),)
        if self.second:
            return (v2.FilterDevices(self.second.directory, rules),)
        raise InvalidSpec("$.linux.resources.devices: this host has neither cgroup v2 nor v1's devices mounted")
