"""What is done to the host to make a container's cgroup, as steps of the plan (`runtime.step`).

A cgroup is a directory, and its limits are files in it; so nearly every step is what mkdir and echo do. Those that only
one version needs are in `v1` and `v2`.

None of the steps needs to know anything of the stage: they can be applied before the container's first process exists.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from runtime.cgroups.branch import all_members, read, remove, write
from runtime.errors import StepFailed
from runtime.step import Step


class MakeCgroup(Step[object], frozen=True):
    """mkdir in every hierarchy. Parents stay when it is undone: other containers live there."""

    why: ClassVar[str] = ("the kernel counts and limits processes by cgroup; they are made first, "
                          "as a process that is to be limited has to be in them before it does anything")
    manual: ClassVar[str] = "cgroups(7)"
    directories: tuple[str, ...]

    def describe(self) -> str:
        return f"make the cgroup {braces(self.directories)}"

    def shell(self) -> str:
        return f"mkdir -p {braces(self.directories)}"

    def apply(self, at: object) -> None:
        with ExitStack() as made:
            for directory in self.directories:
                _make(directory)
                made.callback(remove, directory)
            made.pop_all()

    def undo(self, at: object) -> None:
        for directory in reversed(self.directories):
            remove(directory)


class AdoptCgroup(MakeCgroup, frozen=True):
    """mkdir where systemd did not: it makes the cgroup in its own hierarchy, and in those whose limits it knows."""

    why: ClassVar[str] = "systemd makes no cgroup in the v1 hierarchies that it has no word for"

    def describe(self) -> str:
        return f"see to it that there is the cgroup {braces(self.directories)}"

    def apply(self, at: object) -> None:
        for directory in self.directories:
            os.makedirs(directory, mode=0o755, exist_ok=True)

    def undo(self, at: object) -> None:
        """With the scope: the process is still in it, as it was before this step."""


def braces(directories: tuple[str, ...]) -> str:
    """All of them as bash would expand them: /sys/fs/cgroup/{cpu,memory}/pydocker/1."""
    start = os.path.commonpath(directories)
    ends = [below(start, directory) for directory in directories]
    middles = {parts[0] for parts in ends if parts}
    common = {parts[1:] for parts in ends}
    if len(directories) < 2 or len(common) != 1 or len(middles) != len(directories):
        return shlex.join(directories)
    same = "".join(f"/{part}" for part in common.pop())
    # A comma is nothing special to the shell, except here.
    names = (f"'{parts[0]}'" if "," in parts[0] else shlex.quote(parts[0]) for parts in ends)
    return f"{shlex.quote(start)}/{{{','.join(names)}}}{shlex.quote(same)}"


def _make(directory: str) -> None:
    """A cgroup for a new container. One that somebody prepared is used as it is, with its limits, if nobody is in it
    (as runc does it: an administrator may have made it, below a directory where we may not)."""
    try:
        os.makedirs(directory, mode=0o755)
    except FileExistsError:
        _check_unused(directory)
    except OSError as error:
        raise StepFailed(f"cgroup {directory}: {(error.strerror or '').lower()} (mkdir(2))") from error


def _check_unused(directory: str) -> None:
    """Who lives there would be counted, limited and killed with the container; and a frozen one would never start."""
    if found := all_members(directory):
        raise StepFailed(f"cgroup {directory}: container's cgroup is not empty: {len(found)} process(es) found")
    for file, frozen in (("freezer.state", "FROZEN"), ("cgroup.freeze", "1")):
        if os.path.exists(os.path.join(directory, file)) and read(directory, file).strip() == frozen:
            raise StepFailed(f"cgroup {directory}: container's cgroup unexpectedly frozen")


class SetLimit(Step[object], frozen=True):
    """One value into one file. `field` is who asked for it, below $.linux.resources."""

    why: ClassVar[str] = "a limit is a number in a file; it holds from the next instruction on"
    manual: ClassVar[str] = "cgroups(7)"
    directory: str
    file: str
    value: str
    field: str = ""

    @property
    def path(self) -> str:
        return os.path.join(self.directory, self.file)

    def describe(self) -> str:
        return f"set {self.file} of {self.directory} to {self.value}"

    def shell(self) -> str:
        return f"echo {shlex.quote(self.value)} > {shlex.quote(os.path.join(self.directory, self.file))}"

    def apply(self, at: object) -> None:
        with naming(self.field):
            write(self.directory, self.file, self.value)


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Who reads that a value was refused has written config.json, and knows fields better than files."""
    try:
        yield
    except StepFailed as error:
        if not field:
            raise
        raise StepFailed(f"{error} - at `$.linux.resources.{field}`") from error


class SetFirst(Step[object], frozen=True):
    """One value into the first of some files that this kernel has."""

    why: ClassVar[str] = ("the same limit is in another file, or in none, depending on the kernel's configuration, "
                          "and that shows only when the cgroup is there")
    manual: ClassVar[str] = "cgroups(7)"
    choices: tuple[SetLimit, ...]
    optional: bool = False

    def describe(self) -> str:
        return f"{' or '.join(one.describe() for one in self.choices)}{', if there is such a file' * self.optional}"

    def shell(self) -> str:
        words = [f"if [ -e {shlex.quote(one.path)} ]; then {one.shell()}; " for one in self.choices]
        last = "" if self.optional else f"else {self.choices[0].shell()}; "
        return f"{'el'.join(words)}{last}fi"

    def chosen(self) -> SetLimit | None:
        """The one that this kernel has; the first one, to be refused, if one is needed."""
        there = (one for one in self.choices if os.path.exists(one.path))
        return next(there, None if self.optional else self.choices[0])

    def apply(self, at: object) -> None:
        if one := self.chosen():
            one.apply(at)


def levels(mountpoint: str, directory: str) -> list[str]:
    """Every cgroup from the mount point to the directory, both included."""
    parts = below(mountpoint, directory)
    return [os.path.join(mountpoint, *parts[:depth]) for depth in range(len(parts) + 1)]


def below(start: str, directory: str) -> tuple[str, ...]:
    """The names that lead from one directory to another below it."""
    assert os.path.commonpath((start, directory)) == start, (start, directory)
    return tuple(part for part in directory.removeprefix(start).split("/") if part)
