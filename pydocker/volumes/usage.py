"""Which containers use which volumes: what their records say, whether they run or not.

Read from the files themselves, because a monitor that removes its container (--rm) has to know as well as a server.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError
from pydocker.model.point import Point
from pydocker.storage import documents


class Using(msgspec.Struct, frozen=True):
    """The part of a container's config.json that matters here."""

    id: str
    name: str = ""
    points: tuple[Point, ...] | None = None

    @property
    def volumes(self) -> frozenset[str]:
        return frozenset(point.name for point in self.points or () if point.kind == "volume")

    @property
    def anonymous(self) -> frozenset[str]:
        """Those that may go with it."""
        return frozenset(point.name for point in self.points or () if point.kind == "volume" and point.anonymous)


def read(container: Path) -> Using:
    """Of the container whose directory that is. Raises OSError, PydockerError."""
    return documents.read(container / "config.json", Using)


def users(containers: Path, *, strict: bool = False) -> Mapping[str, Sequence[str]]:
    """The ids of the containers by the volume that they use.

    `strict`, for who is about to take a volume away: PydockerError for a container that has lost its record, because it
    may have any.
    """
    found: dict[str, list[str]] = {}
    for id in sorted(os.listdir(containers)):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # it was removed just now
            try:
                names = read(containers / id).volumes
            except PydockerError as error:
                if strict:
                    raise PydockerError(f"which volumes container {id[:12]} has cannot be told: its record is damaged "
                                        "(see `system check`)") from error
                continue
            for name in names:
                found.setdefault(name, []).append(id)
    return found
