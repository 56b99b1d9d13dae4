"""The runtimes that are judged: how each is called, and which files of the host are its own."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
OURS = "pydocker-runtime"
KNOWN = {
    OURS: (),
    "runc": ("runc",),
    "crun": ("crun",),
}


@dataclass(frozen=True)
class Runtime:
    """A runtime as a command; `files` are what an attacker would like to overwrite."""

    name: str
    command: tuple[str, ...]
    files: tuple[Path, ...]


def installed(names: list[str], directory: Path) -> Iterator[Runtime]:
    """Those that are there: `name` of KNOWN, or `name=program flags`. `directory` is for private copies."""
    for name in names:
        name, _, given = name.partition("=")
        command = tuple(given.split()) or KNOWN.get(name, (name,))
        if not command:
            yield ours(directory)
        elif program := shutil.which(command[0]):
            runner = (legacy(directory), program) if name == "crun" and hybrid() else (program,)
            yield Runtime(name, (*runner, *command[1:]), libraries(Path(program)))


def ours(directory: Path) -> Runtime:
    """This checkout's, run by a copy of the interpreter that nobody else runs.

    A program that is running cannot be written (ETXTBSY), and some other Python always runs: with the machine's own
    interpreter that accident would hide what our defence does. The copy is found and started as `make install` has it.
    """
    interpreter = directory / "python/bin/python3"
    if not interpreter.exists():
        interpreter.parent.mkdir(parents=True)
        real = Path(os.path.realpath(sys.executable))
        shutil.copy2(real, interpreter)
        (interpreter.parent.parent / "pyvenv.cfg").write_text(f"home = {real.parent}\n")
        site = sysconfig.get_path("purelib")
        (directory / "pydocker-runtime").write_text(
            f'import sys\nsys.path += ["{CHECKOUT}", "{site}"]\nfrom runtime.cli import main\nsys.exit(main())\n')
    sources = tuple(sorted((CHECKOUT / "runtime").rglob("*.py")))
    return Runtime(OURS, (str(interpreter), "-IS", str(directory / "pydocker-runtime")),
                   (*libraries(interpreter), directory / "pydocker-runtime", *sources))


def libraries(program: Path) -> tuple[Path, ...]:
    """The program and what the dynamic linker would load for it."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return program.resolve(), *(Path(found).resolve() for found in re.findall(r"(/\S+) \(0x", listed))


def legacy(directory: Path) -> str:
    """A program that runs another one where only version 1 is mounted: crun refuses v1 and v2 side by side."""
    runner = directory / "legacy"
    runner.write_text("#!/bin/sh\nexec unshare --mount --propagation slave sh -c "
                      "'umount /sys/fs/cgroup/unified && exec \"$@\"' sh \"$@\"\n")
    runner.chmod(0o755)
    return str(runner)


def hybrid() -> bool:
    """Whether version 1 and version 2 of cgroups are mounted side by side."""
    kinds = {line.partition(" - ")[2].split()[0] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    return {"cgroup", "cgroup2"} <= kinds
