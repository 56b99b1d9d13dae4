"""Attach, then start: no word that a container says at once may be missed.

A client attaches, sees `101 UPGRADED`, and starts the container: on another connection, served by another thread. The
101 has to be sent before the connection is handed over, since what comes after it is raw; so the start could overtake
the thread that is just about to hand over. Therefore a start waits for the attaches to its container under way.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

from pydocker.model.container import ContainerId


class Attaching:
    """Counts, for each container, the attaches between their 101 and their hand-over."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: Counter[ContainerId] = Counter()

    @contextlib.contextmanager
    def under_way(self, id: ContainerId) -> Iterator[None]:
        """An attach, from before its 101 until it is handed over."""
        with self._changed:
            self._under_way[id] += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way[id] -= 1
                self._under_way += Counter()  # drops what counts zero
                self._changed.notify_all()

    def settle(self, id: ContainerId) -> None:
        """Wait until no attach to this container is under way."""
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way[id])
