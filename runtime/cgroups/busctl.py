"""Asking systemd, by busctl(1): starting a scope around a process, changing its properties, ending it.

busctl is there wherever systemd is, and what it is called with here is what one would type. It answers when systemd has
queued the job; that the job is done is seen in the kernel: the process is in the scope's cgroup.
"""

import os
import shlex
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import ClassVar, Protocol

from runtime.cgroups.branch import remove
from runtime.cgroups.properties import Property
from runtime.cgroups.systemd import Unit
from runtime.errors import StepFailed
from runtime.linux.descriptors import read
from runtime.step import Step

MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
PATIENCE = 30.0  # seconds; runc's
BOOTED = "/run/systemd/system"  # sd_booted(3)
BUS, PRIVATE = "/run/dbus/system_bus_socket", "unix:path=/run/systemd/private"  # the latter needs no D-Bus daemon


class WithProcess(Protocol):
    """What a step needs of the stage."""

    pid: int


def running() -> bool:
    """Whether systemd runs this host."""
    return os.path.isdir(BOOTED) and not os.path.islink(BOOTED)


def call(method: str, signature: str, *words: str) -> tuple[str, ...]:
    """A call of one of the manager's methods, as a command line."""
    return ("busctl", "call", "--", *MANAGER, method, signature, *words)


def start_words(unit: Unit, pid: str, properties: Iterable[Property]) -> tuple[str, ...]:
    """StartTransientUnit: name, mode, properties with the process among them, no further units."""
    every = (*properties, Property("PIDs", "au", ("1", pid)))
    flat = (word for one in every for word in one.arguments)
    return call("StartTransientUnit", "ssa(sv)a(sa(sv))", unit.name, "replace", str(len(every)), *flat, "0")


def change_words(unit: Unit, properties: tuple[Property, ...]) -> tuple[str, ...]:
    """SetUnitProperties: name, only until the next boot, properties."""
    flat = (word for one in properties for word in one.arguments)
    return call("SetUnitProperties", "sba(sv)", unit.name, "true", str(len(properties)), *flat)


def stop_words(unit: Unit) -> tuple[str, ...]:
    return call("StopUnit", "ss", unit.name, "replace")


def reset_words(unit: Unit) -> tuple[str, ...]:
    return call("ResetFailedUnit", "s", unit.name)


def line(words: tuple[str, ...]) -> str:
    """For a shell, where the process is the shell itself."""
    return " ".join('"$$"' if word == "$$" else shlex.quote(word) for word in words)


class StartScope(Step[WithProcess], frozen=True):
    """Ask systemd for a scope with the process in it."""

    why: ClassVar[str] = ("on this host systemd owns the cgroup tree: it makes the cgroup, knows the limits, and "
                          "moves the process there; a scope is a unit for a process that exists, hence after the fork")
    manual: ClassVar[str] = "systemd.scope(5), org.freedesktop.systemd1(5), busctl(1)"
    unit: Unit
    properties: tuple[Property, ...]
    directories: tuple[str, ...] = ()  # its cgroup in each hierarchy

    def describe(self) -> str:
        return f"ask systemd for the scope {self.unit.name} in {self.unit.slice} around the process"

    def shell(self) -> str:
        return line(start_words(self.unit, "$$", self.properties))

    def apply(self, at: WithProcess) -> None:
        words = start_words(self.unit, str(at.pid), known(self.properties))
        try:
            run(words, f"start unit {self.unit.name}")
        except StepFailed as refused:
            if "already" not in str(refused):
                raise
            # A scope of that name that failed is kept for somebody to look at. Nobody did: once more without it.
            ask(reset_words(self.unit))
            run(words, f"start unit {self.unit.name}")
        try:
            self.wait(at.pid)
        except BaseException:
            self.undo(at)
            raise

    def wait(self, pid: int) -> None:
        """Return when the process is in the scope's cgroup. Raises StepFailed after half a minute."""
        deadline, nap = time.monotonic() + PATIENCE, 0.001
        while not self.holds(pid):
            if time.monotonic() > deadline:
                raise StepFailed(f"start unit {self.unit.name}: systemd has not moved process {pid} into it")
            time.sleep(nap)
            nap = min(nap * 2, 0.05)

    def holds(self, pid: int) -> bool:
        """Whether the process is in the scope's cgroup, in the hierarchy that is systemd's own."""
        try:
            listed = read(f"/proc/{pid}/cgroup").decode(errors="surrogateescape")
        except (FileNotFoundError, ProcessLookupError) as error:
            raise StepFailed(f"start unit {self.unit.name}: process {pid} has ended") from error
        return any(line.endswith(f"/{self.unit.name}") for line in listed.splitlines())

    def undo(self, at: WithProcess) -> None:
        """The process first: systemd would ask it politely, for a minute and a half."""
        with suppress(ProcessLookupError):
            os.kill(at.pid, signal.SIGKILL)
        stop(self.unit)
        for directory in self.directories:
            remove(directory)


class SetProperties(Step[object], frozen=True):
    """Tell systemd of other limits, before they are written into the files."""

    why: ClassVar[str] = "systemd writes the limits that it knows of again whenever its configuration is loaded anew"
    manual: ClassVar[str] = "systemd.resource-control(5), busctl(1)"
    unit: Unit
    properties: tuple[Property, ...]
    earlier: tuple[Property, ...] = ()  # as they were, to take the change back

    def describe(self) -> str:
        return f"tell systemd the limits of {self.unit.name}: {', '.join(one.name for one in self.properties)}"

    def shell(self) -> str:
        return line(change_words(self.unit, self.properties))

    def apply(self, at: object) -> None:
        if fitting := known(self.properties):
            run(change_words(self.unit, fitting), f"set properties of unit {self.unit.name}")

    def undo(self, at: object) -> None:
        if fitting := known(self.earlier):
            ask(change_words(self.unit, fitting))


def stop(unit: Unit) -> None:
    """End the scope, and forget that it failed, if it did. What has ended by itself is no error."""
    ask(stop_words(unit))
    ask(reset_words(unit))


def known(properties: tuple[Property, ...]) -> tuple[Property, ...]:
    """Those that this systemd knows. It is asked for its version only if that matters."""
    if not any(one.since for one in properties):
        return properties
    present = version()
    return tuple(one for one in properties if one.since <= present)


def version() -> int:
    """systemd's version: the number in an answer such as `s "252.22-1~deb12u1"` or `s "v245.4-1.fc32"`."""
    import re

    answer = run(("busctl", "get-property", "--", *MANAGER, "Version"), "ask for systemd's version")
    found = re.search(r'"v?([0-9]+)', answer)
    return int(found[1]) if found else 0


def run(words: tuple[str, ...], what: str) -> str:
    """Call busctl; its answer. Raises StepFailed with its reason, in one line."""
    code, answer, said = ask(words)
    if code:
        reason = (said.strip().splitlines() or [f"exit status {code}"])[-1].removeprefix("Call failed: ")
        raise StepFailed(f"{what}: {reason} (busctl(1))")
    return answer


def ask(words: tuple[str, ...]) -> tuple[int, str, str]:
    """Call busctl: exit code, standard output, standard error."""
    import subprocess

    address = () if os.path.exists(BUS) else (f"--address={PRIVATE}",)
    try:
        done = subprocess.run((words[0], *address, *words[1:]), capture_output=True, stdin=subprocess.DEVNULL,
                              timeout=PATIENCE, check=False)
    except FileNotFoundError as error:
        raise StepFailed("busctl: executable file not found in $PATH: systemd cannot be asked") from error
    except subprocess.TimeoutExpired:
        return 1, "", f"no answer from systemd in {PATIENCE:.0f} seconds"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
