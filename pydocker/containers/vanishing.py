"""What becomes of a command whose container is removed by another one meanwhile."""

import contextlib
from collections.abc import Iterator

from pydocker.errors import NotFound


@contextlib.contextmanager
def vanishing(ref: str) -> Iterator[None]:
    """A container that vanished under our hands was not there."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"No such container: {ref}") from error
