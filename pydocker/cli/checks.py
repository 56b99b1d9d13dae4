"""What Docker's command line finds wrong itself, before it asks a server; in its words (docker/cli, opts.go)."""

import re
from collections.abc import Mapping
from typing import Any

from pydocker.cli.errors import CommandError

_MAC = re.compile(r"[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}|[0-9a-f]{4}(\.[0-9a-f]{4}){2}",
                  re.ASCII | re.IGNORECASE)
_MODES = {"pid": ("PID", ("host",)), "uts": ("UTS", ("host",)), "userns": ("USER", ("host",)),
          "cgroupns": ("CGROUP", ("host", "private"))}


def check(given: Mapping[str, Any]) -> None:
    """Raises CommandError (125)."""
    for flag, (kind, modes) in _MODES.items():
        mode = given[flag] or ""
        shared = flag == "pid" and mode.startswith("container:") and mode != "container:"
        if mode not in ("", *modes) and not shared:
            raise CommandError(f"--{flag}: invalid {kind} mode", 125)
    mac = given["mac_address"]
    if mac and not _MAC.fullmatch(mac):
        raise CommandError(f"{mac} is not a valid mac address", 125)
    swappiness = given["memory_swappiness"]
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise CommandError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100", 125)
    for option in given["security_opt"] or ():
        if "=" not in option and ":" not in option and option != "no-new-privileges":
            raise CommandError(f'Invalid --security-opt: "{option}"', 125)
