"""`make compat`: every line at both servers, and a table of what differs, with its reason or without."""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests import leaks
from tests.compat.compare import Difference
from tests.compat.play import Side, play
from tests.compat.table import Line, read
from tests.engine import Engine
from tests.root.cli.dockerd import Dockerd, installed


def main() -> int:
    """Exit status 1: something differs that nobody has explained. Other versions of Docker may be alike where it is."""
    if not installed():
        print("dockerd or the docker client is not installed: nothing to compare with")
        return 0
    root = Path(tempfile.mkdtemp(prefix="pydocker-compat-", dir="/var/tmp"))
    try:
        return _compared(root)
    finally:
        leaks.remove_tree(root)
        leaks.remove_parents(root.name)


def _compared(root: Path) -> int:
    (root / "docker").mkdir()
    (root / "pydocker").mkdir()
    (root / "here").mkdir()
    common, scenes = read()
    daemon = Dockerd(root / "docker")
    try:
        daemon.ready()
        with Engine(root / "pydocker", root.name) as engine:
            engine.import_busybox()
            engine.start()
            sides = Side(daemon.host, str(root / "docker"), root / "here"), Side(
                engine.host, str(root / "pydocker"), root / "here")
            return _told(play(scenes, *sides, common))
    finally:
        daemon.stop()


def _told(played: Iterable[tuple[Line, list[Difference]]]) -> int:
    lines = explained = wrong = 0
    for line, found in played:
        lines += 1
        for one in found:
            explained, wrong = explained + bool(one.reason), wrong + (not one.reason)
            print(f"{'explained' if one.reason else 'DIFFERENT'}  {line.number}: docker {line.text}\n"
                  f"    {one.what}\n        docker    {one.docker!r}\n        pydocker  {one.pydocker!r}"
                  + (f"\n        because   {one.reason}" if one.reason else ""), flush=True)
        if line.reason and not any(one.reason == line.reason for one in found):
            print(f"alike here {line.number}: docker {line.text}\n        with this Docker: {line.reason}", flush=True)
    print(f"{lines} command lines, {explained} differences with a reason, {wrong} without")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
