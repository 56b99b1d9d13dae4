"""Work that tells its progress while it goes on, as a streamed answer.

Until the work has said its first word, its failure still has an HTTP status (`pull` of an unknown image is a 404);
after that, an error is a line of the stream. When the client has gone, the work's next word raises Abandoned inside it,
as Docker ends a pull whose client was interrupted.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from pydocker.api.exchange import Stream, unforeseen
from pydocker.errors import PydockerError
from pydocker.wire import images as wire

_log = logging.getLogger(__name__)


class Abandoned(PydockerError):
    """Nobody is listening any more."""


class Tell(Protocol):
    """Says one line of progress: `current` of `total` bytes of the thing called `id`; `aux` is for programs.

    A line without a word is not said: it asks whether anybody listens.
    """

    def __call__(self, status: str, id: str = "", current: int = 0, total: int = 0,
                 aux: Mapping[str, object] | None = None) -> None: ...


Said = bytes | PydockerError | None  # a line; or the end, with or without an error


def stream(work: Callable[[Tell], None]) -> Stream:
    """Run `work` in a thread of its own. Raises its error, if it fails before it has said anything."""
    said: queue.SimpleQueue[Said] = queue.SimpleQueue()
    gone = threading.Event()

    def tell(status: str, id: str = "", current: int = 0, total: int = 0,
             aux: Mapping[str, object] | None = None) -> None:
        if gone.is_set():
            raise Abandoned("the client has gone")
        if status or aux is not None:
            said.put(wire.aux(aux) if aux is not None else wire.progress(status, id, current, total))

    threading.Thread(target=_run, args=(work, tell, said.put), name="background", daemon=True).start()
    first = said.get()
    if isinstance(first, PydockerError):
        raise first
    return Stream(_lines(first, said), cancel=gone.set)


def _run(work: Callable[[Tell], None], tell: Tell, put: Callable[[Said], None]) -> None:
    try:
        work(tell)
        put(None)
    except PydockerError as error:
        put(error)
    except Exception as error:  # the edge of this thread: whoever reads the queue must learn that it has ended
        _log.exception("background work failed")
        put(unforeseen(error))


def _lines(said: Said, more: "queue.SimpleQueue[Said]") -> Iterator[bytes]:
    while isinstance(said, bytes):
        yield said
        said = more.get()
    if said is not None:
        yield wire.failed(str(said))
