"""What is done to the host to make a container's cgroup, as steps of the plan (`runtime.step`).

A cgroup is a directory, and its limits are files in it; so nearly every step is what mkdir and echo do. Those that only
one version needs are in `v1` and `v2`.

None of the steps needs to know anything of the stage: they can be applied before the container's first process exists.
"""

import os
import shlex
from contextlib import ExitStack
from typing import ClassVar

from runtime.cgroups.branch import FEW, remove, write
from runtime.errors import StepFailed
from runtime.step import Step


class MakeCgroup(Step[object], frozen=True):
    """mkdir in every hierarchy. Parents stay when it is undone: other containers live there."""

    why: ClassVar[str] = ("the kernel counts and limits processes by cgroup; they are made first, "
                          "as a process that is to be limited has to be in them before it does anything")
    manual: ClassVar[str] = "cgroups(7)"
    directories: tuple[str, ...]

    def describe(self) -> str:
        return f"make the cgroup {_braces(self.directories)}"

    def shell(self) -> str:
        return f"mkdir -p {_braces(self.directories)}"

    def apply(self, at: object) -> None:
        with ExitStack() as made:
            for directory in self.directories:
                _make(directory)
                made.callback(remove, directory)
            made.pop_all()

    def undo(self, at: object) -> None:
        for directory in reversed(self.directories):
            remove(directory)


def _braces(directories: tuple[str, ...]) -> str:
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
    """A new, empty cgroup. One that a crash left behind would bring its old limits along, so it is made anew."""
    try:
        os.makedirs(os.path.dirname(directory), mode=0o755, exist_ok=True)
        try:
            os.mkdir(directory, 0o755)
        except FileExistsError:
            os.rmdir(directory)
            os.mkdir(directory, 0o755)
    except OSError as error:
        words = "another container is in it" if isinstance(error, FileExistsError) or error.errno in FEW else ""
        raise StepFailed(f"cgroup {directory}: {words or (error.strerror or '').lower()} (mkdir(2))") from error


class SetLimit(Step[object], frozen=True):
    """One value into one file."""

    why: ClassVar[str] = "a limit is a number in a file; it holds from the next instruction on"
    manual: ClassVar[str] = "cgroups(7)"
    directory: str
    file: str
    value: str

    def describe(self) -> str:
        return f"set {self.file} of {self.directory} to {self.value}"

    def shell(self) -> str:
        return f"echo {shlex.quote(self.value)} > {shlex.quote(os.path.join(self.directory, self.file))}"

    def apply(self, at: object) -> None:
        write(self.directory, self.file, self.value)


def levels(mountpoint: str, directory: str) -> list[str]:
    """Every cgroup from the mount point to the directory, both included."""
    parts = below(mountpoint, directory)
    return [os.path.join(mountpoint, *parts[:depth]) for depth in range(len(parts) + 1)]


def below(start: str, directory: str) -> tuple[str, ...]:
    """The names that lead from one directory to another below it."""
    assert os.path.commonpath((start, directory)) == start, (start, directory)
    return tuple(part for part in directory.removeprefix(start).split("/") if part)
