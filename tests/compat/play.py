"""Plays scenes at both servers."""

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.compat.compare import Difference, differences
from tests.compat.table import Line, Scene
from tests.engine import Result

_KEPT = "busybox:latest"


@dataclass(frozen=True)
class Side:
    """A server: where it listens, and what its files lie below."""

    host: str
    root: str
    directory: Path  # where the client is called

    def call(self, *argv: str, input: str = "") -> Result:
        done = subprocess.run(("docker", "-H", self.host, *argv), cwd=self.directory, input=input.encode(),
                              capture_output=True, timeout=60, check=False)
        return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def clear(self) -> None:
        """Take away what a scene has made."""
        if ids := self.call("ps", "-aq").out.split():
            self.call("rm", "-fv", *ids)
        names = self.call("images", "--format", "{{.Repository}}:{{.Tag}}").out.split()
        if made := [name for name in names if name != _KEPT]:
            self.call("rmi", "-f", *made)
        self.call("volume", "prune", "-af")


def play(scenes: Iterable[Scene], docker: Side, pydocker: Side, common: Mapping[str, str]) -> Iterator[
        tuple[Line, list[Difference]]]:
    """Each line with its differences, as it is played."""
    for scene in scenes:
        for line in scene.lines:
            theirs, ours = (side.call(*line.argv, input=line.input) for side in (docker, pydocker))
            yield line, list(differences(line, theirs, ours, common, (docker.root, pydocker.root)))
        for side in (docker, pydocker):
            side.clear()
