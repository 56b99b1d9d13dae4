"""cgroup v2: one tree for all controllers. A cgroup has a controller's files only if its parent passes it on.

A cgroup with controllers for its children must hold no process itself, only the root is exempt (cgroups(7), "no
internal processes" rule); so a container's parent cgroup (`/pydocker`) stays empty. Since Linux 5.2 a cgroup can be
frozen, since 5.14 killed at one go: both are files of every cgroup, also where v1 has all the controllers.
"""

import errno
import os
import shlex
import time
from contextlib import ExitStack
from typing import ClassVar

import msgspec

from runtime.cgroups.branch import NAP, PATIENCE, all_members, read, refused, tree, write
from runtime.cgroups.devices import Rule
from runtime.cgroups.steps import levels
from runtime.errors import StepFailed
from runtime.linux import descriptors
from runtime.step import Step


class Branch(msgspec.Struct, frozen=True):
    """A cgroup in the v2 hierarchy. `controllers` are those that the hierarchy's root offers."""

    mountpoint: str
    controllers: tuple[str, ...]
    directory: str

    @property
    def name(self) -> str:
        return ""

    def enter(self, pid: int, beside: int | None = None) -> None:
        """Move a process into the cgroup.

        A container that runs systemd moves its own processes further down and passes controllers on; its cgroup then
        takes no process any more (EBUSY). For exec there is the place where `beside`, the container's init, went to.
        """
        try:
            descriptors.write(os.path.join(self.directory, "cgroup.procs"), str(pid).encode())
        except OSError as error:
            place = self._cgroup_of(beside) if error.errno == errno.EBUSY and beside is not None else self.directory
            if place == self.directory:
                raise refused(f"move process {pid} into cgroup {place}", error) from error
            write(place, "cgroup.procs", str(pid))

    def processes(self) -> list[int]:
        return all_members(self.directory)

    def freeze(self, patience: float = PATIENCE) -> None:
        """Stop all processes. Raises StepFailed if the kernel cannot stop one."""
        write(self.directory, "cgroup.freeze", "1")
        deadline = time.monotonic() + patience
        while "frozen 1" not in read(self.directory, "cgroup.events").splitlines():
            if time.monotonic() > deadline:
                self.thaw()
                raise StepFailed(f"freeze {self.directory}: a process in it cannot be stopped (cgroup.freeze)")
            time.sleep(NAP)

    def thaw(self) -> None:
        """Let them run again. Raises StepFailed."""
        write(self.directory, "cgroup.freeze", "0")

    @property
    def can_freeze(self) -> bool:
        return os.path.exists(os.path.join(self.directory, "cgroup.freeze"))

    @property
    def can_kill(self) -> bool:
        """Whether there is a file that kills all: not before Linux 5.14, and none that works in a threaded cgroup."""
        there = os.path.exists(os.path.join(self.directory, "cgroup.kill"))
        return there and read(self.directory, "cgroup.type").strip() != "threaded"

    def kill(self) -> None:
        """SIGKILL all processes in and below it, those that are just being forked included. Raises StepFailed."""
        write(self.directory, "cgroup.kill", "1")

    def _cgroup_of(self, pid: int) -> str:
        """Where in this container's part of the tree a process is; the container's own cgroup if it is elsewhere."""
        listed = descriptors.read(f"/proc/{pid}/cgroup").decode(errors="surrogateescape")
        path = next((line[3:] for line in listed.splitlines() if line.startswith("0::")), "/")
        return next((cgroup for cgroup in tree(self.directory) if cgroup == self.mountpoint + path), self.directory)


class DelegateControllers(Step[object], frozen=True):
    """A controller works in a cgroup only if all cgroups above pass it on to their children.

    `required` ones must come through; the others are passed on where the kernel lets us, for the figures they give.
    """

    why: ClassVar[str] = "in cgroup v2 each level has to pass controllers on to the one below"
    manual: ClassVar[str] = "cgroups(7), cgroup.subtree_control"
    mountpoint: str
    directory: str
    controllers: tuple[str, ...]
    required: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"pass the controllers {', '.join(self.controllers)} down to {self.directory}"

    def shell(self) -> str:
        words = " ".join(f"+{shlex.quote(name)}" for name in self.controllers)
        return f"for level in {shlex.join(self._levels())}; do echo {words} > $level/cgroup.subtree_control; done"

    def script(self) -> str:
        # One by one, as not every level has to take every controller; a limit that needs one fails by itself.
        names, levels = " ".join(map(shlex.quote, self.controllers)), shlex.join(self._levels())
        return (f"for level in {levels}; do for name in {names}; do "
                "echo +$name > $level/cgroup.subtree_control || true; done; done 2>/dev/null")

    def apply(self, at: object) -> None:
        for level in self._levels():
            present = read(level, "cgroup.subtree_control").split()
            for name in self.controllers:
                if name not in present:
                    self._pass_on(level, name)

    def _pass_on(self, level: str, name: str) -> None:
        try:
            write(level, "cgroup.subtree_control", f"+{name}")
        except StepFailed as refused:
            # EBUSY: processes live at this very level, or (cpu) realtime ones somewhere below; ENOENT: not offered.
            if name in self.required:
                raise StepFailed(f"{refused}: the {name} limit that was asked for cannot be set") from refused

    def _levels(self) -> list[str]:
        return levels(self.mountpoint, self.directory)[:-1]


class FitType(Step[object], frozen=True):
    """A cgroup below a threaded one is of no use ("domain invalid") until it is made threaded itself."""

    why: ClassVar[str] = "below a cgroup of threads there are only cgroups of threads, without memory, io or hugetlb"
    manual: ClassVar[str] = "cgroups(7), cgroup.type"
    mountpoint: str
    directory: str
    domain: bool  # whether controllers are asked for that count by process

    def describe(self) -> str:
        return f"make {self.directory} threaded, if the cgroup above it is"

    def shell(self) -> str:
        loop = "grep -q invalid $c/cgroup.type && echo threaded > $c/cgroup.type"
        return f"for c in {shlex.join(levels(self.mountpoint, self.directory)[1:])}; do {loop}; done"

    def apply(self, at: object) -> None:
        for level in levels(self.mountpoint, self.directory)[1:]:
            kind = read(level, "cgroup.type").strip()
            if kind != "domain" and self.domain:
                mode = "an invalid state" if kind == "domain invalid" else f"{kind} mode"
                raise StepFailed(f'cannot enter cgroupv2 "{level}" with domain controllers -- it is in {mode}')
            if kind == "domain invalid":
                write(level, "cgroup.type", "threaded")


FALLBACK = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control")


class GiveCgroup(Step[object], frozen=True):
    """The cgroup's directory, and those of its files that do not touch its limits, get another owner."""

    why: ClassVar[str] = ("a container that may write to its cgroup file system makes cgroups of its own there "
                          "(systemd does); its root, another user outside, has to own the place, but not the limits")
    manual: ClassVar[str] = "cgroups(7), delegation; /sys/kernel/cgroup/delegate"
    directory: str
    uid: int

    def describe(self) -> str:
        return f"give the cgroup {self.directory} to user {self.uid}"

    def shell(self) -> str:
        place = shlex.quote(self.directory)
        return (f"chown {self.uid} {place}; for f in $(cat /sys/kernel/cgroup/delegate); do "
                f"[ ! -e {place}/$f ] || chown {self.uid} {place}/$f; done")

    def apply(self, at: object) -> None:
        try:
            names = descriptors.read("/sys/kernel/cgroup/delegate").decode().split()
        except FileNotFoundError:  # before Linux 4.15
            names = list(FALLBACK)
        os.chown(self.directory, self.uid, -1)
        for path in (os.path.join(self.directory, name) for name in names):
            if os.path.exists(path):
                os.chown(path, self.uid, -1)


class FilterDevices(Step[object], frozen=True):
    """The rules as an eBPF program, which takes the place of the one of an earlier call.

    The program goes away with the cgroup.
    """

    why: ClassVar[str] = "a container may make device nodes (CAP_MKNOD); it must not be able to open the host's disks"
    manual: ClassVar[str] = "bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE"
    directory: str
    rules: tuple[Rule, ...]

    def describe(self) -> str:
        words = ", ".join(f"{'allow' if rule.allow else 'deny'} {rule.line}" for rule in self.rules)
        return f"attach an eBPF program to {self.directory} that decides on devices: {words}"

    def shell(self) -> str:
        return (f"bpftool prog load devices.o /sys/fs/bpf/devices type cgroup/dev && bpftool cgroup attach "
                f"{shlex.quote(self.directory)} device pinned /sys/fs/bpf/devices multi")

    def script(self) -> str:
        return ("echo 'no tool of util-linux loads an eBPF program: this container may open any device that it makes' "
                ">&2")

    def apply(self, at: object) -> None:
        from runtime.cgroups import program  # which a host whose devices are v1's has no use for
        from runtime.linux import bpf

        try:
            with ExitStack() as descriptors:
                cgroup = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                descriptors.callback(os.close, cgroup)
                new = bpf.load_device_program(program.code(self.rules))
                descriptors.callback(os.close, new)
                older = bpf.device_programs(cgroup)
                for old in older:
                    descriptors.callback(os.close, old)
                # The new one before the old ones go: there is no moment without a filter.
                bpf.attach_device_program(cgroup, new)
                for old in older:
                    bpf.detach_device_program(cgroup, old)
        except OSError as error:
            raise StepFailed(f"cgroup {self.directory}: {error.filename}: {(error.strerror or '').lower()} (bpf(2))"
                             ) from error
