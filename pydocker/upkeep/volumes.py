"""Volumes: what is there must be one, and what containers have must be there. Their content is the user's alone."""

import os
from functools import partial

from pydocker.containers import Containers
from pydocker.errors import PydockerError
from pydocker.model import volume
from pydocker.paths import Paths
from pydocker.upkeep.findings import Finding, Findings, Summary
from pydocker.volumes.service import Volumes


def check(paths: Paths, containers: Containers, summary: Summary) -> Findings:
    """All of them, and those that there should be."""
    for name in sorted(os.listdir(paths.volumes)):
        directory = paths.volume(name)
        if not (volume.is_name(name) and directory.is_dir() and not directory.is_symlink()):
            yield Finding(f"file {directory}", "is no volume", "move it away by hand")
            continue
        summary.volumes += 1
        yield from _one(containers.volumes, name, paths)
    there = {name for name, _ in containers.volumes.list()}
    for name, users in sorted(containers.volumes.users().items()):
        if name not in there:
            for id in users:
                yield Finding(f"container {id[:12]}", f"its volume {name} is gone",
                              "bring it back, or remove the container")


def _one(volumes: Volumes, name: str, paths: Paths) -> Findings:
    directory = paths.volume(name)
    try:
        volumes.get(name)
    except PydockerError as error:
        problem = str(error) if (directory / "volume.json").exists() else "its record is missing"
        yield Finding(f"volume {name}", problem,
                      f"its files are in {directory / '_data'}: save what you need, and volume rm -f {name}")
        return
    if not (directory / "_data").is_dir():
        yield Finding(f"volume {name}", "its files are gone", "bring them back, or remove the volume")
    elif volumes.unfinished(name):
        yield Finding(f"volume {name}", "its first content was not put in place to the end", "finished",
                      partial(volumes.finish, name))
