"""`exec --cgroup`: another place for a process, below the container's cgroup."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import msgspec

from runtime.cgroups import v1, v2
from runtime.errors import InvalidArgument

Branch = TypeVar("Branch", v1.Branch, v2.Branch)


def paths(asked: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """Path by controller, of those `known`; by "" where it is for all. Raises InvalidArgument."""
    found: dict[str, str] = {}
    for words in asked:
        controllers, _, path = words.rpartition(":")
        if ":" in controllers or ".." in path.split("/"):
            raise InvalidArgument(f"invalid --cgroup argument: {words}")
        if not controllers and len(asked) > 1:
            raise InvalidArgument(f"invalid --cgroup argument: {words} (missing <controller>: prefix)")
        for name in controllers.split(","):
            if name in found:
                raise InvalidArgument(f"invalid --cgroup argument(s): controller {name} specified multiple times")
            found[name] = path
    if unknown := {*found} - {"", *known}:
        raise InvalidArgument(f"invalid --cgroup argument: unknown controller {min(unknown)}")
    return found


def moved(branch: Branch, paths: Mapping[str, str], names: Sequence[str]) -> Branch:
    """The branch further down, by the path of the first of these controllers that has one."""
    path = next((paths[name] for name in (*names, "") if name in paths), "")
    return msgspec.structs.replace(branch, directory=os.path.normpath(f"{branch.directory}/{path}"))
