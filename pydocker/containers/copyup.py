"""What an image has at a mount point: the first content of a new volume.

An image's `VOLUME` is the attacker's: `/../../etc`, or a link there. So it is resolved by the kernel in the image's own
tree, mounted where nobody sees it, and what is read is the descriptor that came of it (CVE-2022-23648).
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydocker.containers.launching import holder
from pydocker.errors import PydockerError
from pydocker.layers import view
from pydocker.model.point import Point
from pydocker.volumes.service import Content
from runtime.linux.openat2 import openat2


def preset_content(lower: Sequence[str], container: Path, run: Path) -> Content:
    """A function that opens it; `container` is the directory of the container that is being created. None: nothing."""
    @contextlib.contextmanager
    def opened(point: Point) -> Iterator[int | None]:
        root = view.opened(lower, str(container / "upper"), None, holder=holder(run), place=str(run))
        try:
            handle = _at(root, point.destination)
        finally:
            os.close(root)
        try:
            yield handle
        finally:
            if handle is not None:
                os.close(handle)

    return opened


def _at(root: int, path: str) -> int | None:
    try:
        return openat2(root, path, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise PydockerError(f"cannot mount volume over existing file, file exists {path}") from None
    except OSError as error:
        raise PydockerError(f"volume at {path}: {os.strerror(error.errno or 0).lower()}") from error
