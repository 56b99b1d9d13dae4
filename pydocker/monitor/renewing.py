"""/etc/hostname, /etc/hosts and /etc/resolv.conf are written anew at every start, and a restart by policy is one: no
server takes part in it, so the engine leaves a copy of each beside it, which no container sees.

What `network connect` and its like change meanwhile, they change in the copies, too. Servers that the host has come to
ask since the engine's last start of the container are not in them.
"""

import contextlib
from pathlib import Path

NAMES = ("hostname", "hosts", "resolv.conf")


def copy(file: Path) -> Path:
    """Where the copy of one of them is."""
    return file.with_name(f"{file.name}.copy")


def renew(directory: Path) -> None:
    """Write them as they were; in place, as others may have them mounted. Raises OSError."""
    for name in NAMES:
        with contextlib.suppress(FileNotFoundError):  # they are another container's, or of an earlier version
            wanted = copy(directory / name).read_bytes()
            with open(directory / name, "r+b") as file:
                if file.read(len(wanted) + 1) != wanted:
                    file.seek(0)
                    file.write(wanted)
                    file.truncate()
