"""What a pull tells while it runs, in Docker's words; from many threads to one listener."""

import time
from collections.abc import Callable

import msgspec

from pydocker.model import digest
from pydocker.model.digest import Digest

_SHORT = 12
SILENCE = 1.0  # seconds without news, after which it is asked whether anybody still waits for them
_EVERY = 0.1  # seconds between two tellings of one bar


class Progress(msgspec.Struct, frozen=True):
    """One line: `id` is a tag or a layer's short digest; `current` and `total` in bytes, 0 where there is no bar."""

    id: str
    status: str
    current: int = 0
    total: int = 0


Tell = Callable[[Progress], None]
ANYBODY = Progress("", "")  # shown to nobody: told, it raises where nobody listens any more


class Bar:
    """One layer's line. `tell` may be called as often as one likes: most calls are not passed on."""

    def __init__(self, blob: Digest, total: int, tell: Tell) -> None:
        self._id, self._total, self._tell = digest.encoded(blob)[:_SHORT], total, tell
        self._last = 0.0

    def say(self, status: str) -> None:
        """A state of the layer, without bar."""
        self._tell(Progress(self._id, status))

    def move(self, status: str, current: int) -> None:
        """How far it is."""
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            self._tell(Progress(self._id, status, current, self._total))
