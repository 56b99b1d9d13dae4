"""`ps`: the processes of a container, as the host numbers them.

The cgroup knows which they are; what a line looks like is left to the host's own ps(1), with whatever options the
caller gives: its output is kept where the PID column has one of the container's processes.
"""

import subprocess
from collections.abc import Collection, Sequence

from runtime import cgroups
from runtime.errors import InvalidArgument, StepFailed
from runtime.state import Place


def pids(place: Place) -> list[int]:
    """The container's processes. Raises NoSuchContainer."""
    record = place.record()
    return cgroups.open(record.cgroup_path, systemd=record.systemd).processes()


def table(place: Place, options: Sequence[str]) -> list[str]:
    """The title of ps and the lines of the container's processes. Raises NoSuchContainer, InvalidArgument."""
    own = pids(place)
    try:
        done = subprocess.run(("ps", *(options or ("-ef",))), capture_output=True, check=False)
    except FileNotFoundError as error:
        raise StepFailed('exec: "ps": executable file not found in $PATH') from error
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="surrogateescape").strip()
        raise InvalidArgument(f"ps: exit status {done.returncode}: {said.splitlines()[0] if said else ''}")
    return filtered(done.stdout.decode(errors="surrogateescape"), own)


def filtered(output: str, own: Collection[int]) -> list[str]:
    """Those lines of a ps output that are about one of these processes, below its title. Raises InvalidArgument."""
    title, *lines = output.splitlines() or [""]
    if "PID" not in title.split():
        raise InvalidArgument("couldn't find PID field in ps output")
    column = title.split().index("PID")
    found = [title]
    for line in lines:
        word = "".join(line.split()[column:column + 1])
        if not (word.isascii() and word.isdigit()):  # a column before it holds words with spaces
            raise InvalidArgument(f"unable to parse pid: parsing {word!r}: the columns before PID must be single words")
        if int(word) in own:
            found.append(line)
    return found
