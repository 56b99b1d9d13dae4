"""`top`: what ps(1) says about a container's processes, seen from the host.

The host's own ps is run, with whatever options were asked for; which lines are the container's is decided by their PID
column, against the cgroup. (moby, daemon/top_unix.go: the words are its, too.)
"""

import re
import subprocess
from collections.abc import Collection

from pydocker.containers import bundle, staying
from pydocker.errors import Conflict, InvalidParameter, PydockerError
from pydocker.model.container import Container
from runtime import cgroups
from runtime.errors import Fault

DEFAULT = "-ef"
_RENAMED = re.compile(r"\s+(\S*)=\s*(PID\S*)", re.ASCII)  # `-o cmd=PID`: another column that calls itself PID
_BLANK = " \t\n\v\f\r"  # what parts columns: a program may have wider blanks in its name
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "COLUMNS": "100000"}
Row = list[str]


def top(container: Container, options: str) -> tuple[Row, list[Row]]:
    """Titles and processes. Conflict: it does not run; InvalidParameter: ps does not understand the options."""
    options = options or DEFAULT
    for name, title in _RENAMED.findall(options):
        if name != "pid":
            raise InvalidParameter(f'specifying "{name}={title}" is not allowed')
    if not container.state.running:
        raise Conflict(f"Container {container.record.id} is not running")
    staying.refuse(container)
    pids = processes(container)
    return chosen(_ps(options.split(), pids), pids)


def processes(container: Container) -> list[int]:
    """The host's numbers of all that is in the container's cgroup, and below it."""
    try:
        return sorted(cgroups.open(bundle.cgroup(container.record)).processes())
    except (Fault, OSError) as error:  # it ended this very moment
        raise Conflict(f"Container {container.record.id} is not running") from error


def _ps(words: list[str], pids: list[int]) -> str:
    """Its output. `-q` keeps it from looking at every process of the host; some options do not go with it."""
    done = _run([*words, "-q" + ",".join(map(str, pids))])
    if done.returncode != 0:
        done = _run(words)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise InvalidParameter(f"ps: {said[0]}" if said else f"ps: exit status {done.returncode}")
    return done.stdout


def _run(words: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(["ps", *words], env=_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", check=False)
    except OSError as error:
        raise PydockerError(f"execute ps: {(error.strerror or '').lower()} (package procps)") from error


def chosen(output: str, pids: Collection[int]) -> tuple[Row, list[Row]]:
    """The titles, and the lines of these processes; a line without a pid (`ps m`) is a thread of the one above it."""
    head, *lines = output.split("\n")
    titles = fields(head)
    if "PID" not in titles:
        raise PydockerError("Couldn't find PID field in ps output")
    at, rows, ours = titles.index("PID"), [], False
    for cells in filter(None, map(fields, lines)):
        if len(cells) <= at:  # a column before it is blank
            raise PydockerError(f"Unexpected line '{' '.join(cells)}' in ps output: it has no pid")
        if cells[at] != "-":
            ours = _number(cells[at]) in pids
        if ours:
            rows.append([*cells[:len(titles) - 1], " ".join(cells[len(titles) - 1:])])
    return titles, rows


def fields(line: str) -> Row:
    """A line's cells."""
    return [cell for cell in re.split(f"[{_BLANK}]+", line) if cell]


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise PydockerError(f"Unexpected pid '{text}' in ps output") from None
