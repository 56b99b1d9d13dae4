"""The engines that judge the runtime: Debian's own, each in a directory and a network namespace of its own.

Nothing of the machine's is used but the programs: bridges, firewall chains and addresses lie in an `Island`, files in
the session's directory, cgroups below the session's own, mounts in the session's mount namespace. What an engine is
told by its configuration elsewhere is told here by options, so that every test says what it asks for.

A `Judge` is an engine's command line that was told which runtime to use. Tests have two of each engine, one with the
runtime that it comes with (the control), and one with ours; `same` asks both, and the answers have to be the same.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import leaks
from tests.engine import CHECKOUT, Result
from tests.root.cli.terminals import Terminal

PATIENCE = 60.0  # an emulated machine is slow
LAUNCHER = """\
#!{python} -IS
import sys
sys.path += ["{checkout}", "{libraries}"]
from runtime.cli import entry
sys.exit(entry())
"""


def write_launcher(path: Path) -> Path:
    """The command `pydocker-runtime` of this checkout, as the Makefile's `install` writes it."""
    path.write_text(LAUNCHER.format(python=sys.executable, checkout=CHECKOUT,
                                    libraries=sysconfig.get_path("purelib")))
    path.chmod(0o755)
    return path


class Island:
    """A network namespace with nothing but its loopback device, as long as its one process lives."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(("unshare", "--net", "sleep", "infinity"))
        here = os.readlink("/proc/self/ns/net")
        eventually(lambda: os.readlink(f"/proc/{self._holder.pid}/ns/net") != here)
        subprocess.run((*self.enter, "ip", "link", "set", "lo", "up"), check=True)

    @property
    def enter(self) -> tuple[str, ...]:
        """What a command line begins with that is to run there."""
        return ("nsenter", f"--net=/proc/{self._holder.pid}/ns/net")

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()


@dataclass(frozen=True)
class Judge:
    """`options` come after the verb, where there are some for it.

    `directory` is where it runs: what podman starts leaves a file there (conmon's `oom`).
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def argv(self, words: Sequence[str]) -> list[str]:
        verb, *rest = words
        return [*self.command, verb, *self.options.get(verb, ()), *rest]

    def __call__(self, *words: str, input: str = "", timeout: float = 60) -> Result:
        with self.popen(*words) as process:
            try:
                out, err = process.communicate(input, timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Result(process.returncode, out, err)

    def ok(self, *words: str, input: str = "", timeout: float = 60) -> str:
        """The output of a command that has to succeed, without white space around it."""
        result = self(*words, input=input, timeout=timeout)
        assert result.code == 0, f"{' '.join(words)}: exit code {result.code}: {result.out}{result.err}"
        return result.out.strip()

    def popen(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(self.argv(words), env=self.environment, cwd=self.directory, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def terminal(self, *words: str, rows: int = 24, columns: int = 80) -> Terminal:
        return Terminal(self.argv(words), {**self.environment, "TERM": "dumb"}, str(self.directory), rows, columns)


def same(control: Judge, ours: Judge, *words: str, input: str = "") -> Result:
    """What both answer to the same command, at the same time.

    Fails where they differ in the exit code, in the output, or in the words of an error.
    """
    running = [judge.popen(*words) for judge in (control, ours)]
    results = []
    for process in running:
        with process:
            out, err = process.communicate(input, timeout=60)
            results.append(Result(process.returncode, out, err))
    assert results[1] == results[0], f"{' '.join(words)}\n{control.name}: {results[0]}\n{ours.name}: {results[1]}"
    return results[1]


def eventually(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Return when the condition holds. Fails after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)


def remove_cgroups(word: str) -> None:
    """Remove the empty cgroups that have this word in their path, in every hierarchy."""
    for directory, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
        if word in directory:
            leaks.remove_cgroup(directory)


def unmount_below(root: Path) -> None:
    """What an engine leaves mounted when it ends, as it is meant to be there when it comes back."""
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        if (point := line.split()[4]).startswith(f"{root}/"):
            subprocess.run(("umount", point), check=True)


def missing(*programs: str) -> str:
    """Why a test cannot run, or nothing."""
    absent = [program for program in programs if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""
