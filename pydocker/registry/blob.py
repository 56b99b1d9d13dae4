"""A blob's bytes, counted and digested as they pass, and resumed where a connection broke (RFC 9110, section 14).

The digest can be known only at the end, so pieces are handed on before it is. What makes that safe is that the *end*
is reported only for the right bytes: with a wrong digest, or too few or too many bytes, the iteration raises instead
of ending. Who consumes it keeps what it makes of the pieces in a temporary place until then.

A broken connection costs no byte twice: the next request asks for the rest. As long as every connection brings
something on, there is no limit to their number; those that bring nothing are counted, and waited after.
"""

import hashlib
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import NamedTuple

from pydocker.errors import Unavailable
from pydocker.model.image import Descriptor
from pydocker.registry.message import Answer, Broken
from pydocker.registry.patience import Patience

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/(?:\*|([0-9]{1,19}))", re.ASCII)


class Wrong(Unavailable):
    """What came is not what the descriptor says."""


class Misled(Wrong):
    """A mirror sent something else. It is not asked again: whoever begins anew gets the blob from the next place."""


class Begun(NamedTuple):
    """What is here already of a blob: `done` bytes, which `check` has digested, and which digests the rest, too."""

    done: int
    check: "hashlib._Hash"


def pieces(open: Callable[[int], Answer], descriptor: Descriptor, patience: Patience, begun: Begun | None = None,
           ) -> Generator[bytes, None, None]:
    """The blob that `descriptor` names, in pieces of at most 256 KiB; the end means: verified.

    `open(offset)` asks for the bytes from `offset` on; its answer's status is 200 or 206. With `begun`, only the rest
    is asked for, and given. Raises Unavailable, and Wrong, which is one.
    """
    done, check = begun or Begun(0, hashlib.sha256())
    failures = 0
    while done < descriptor.size or not done:
        try:
            with closing(open(done)) as answer:
                for piece in rest(answer, done, descriptor):
                    check.update(piece)
                    done, failures = done + len(piece), 0
                    yield piece
            break
        except Broken:
            failures += 1
            if not patience.wait(failures):
                raise
    if f"sha256:{check.hexdigest()}" != descriptor.digest:
        raise Wrong(f"filesystem layer verification failed for digest {descriptor.digest}")


def rest(answer: Answer, start: int, descriptor: Descriptor) -> Iterator[bytes]:
    """The bytes from `start` to the end out of one answer, which is the whole blob if the server ignored the range.

    Raises Broken where it ends too early, Wrong where it is longer than the manifest says, or another part.
    """
    position = begin(answer, start, descriptor)
    for piece in answer.pieces():
        if position + len(piece) > descriptor.size:
            raise Wrong(f"blob {descriptor.digest} is longer than the {descriptor.size} bytes of its manifest")
        if new := piece[max(0, start - position):]:
            yield new
        position += len(piece)
    if position < descriptor.size:
        raise Broken(f"blob {descriptor.digest} ended after {position} of {descriptor.size} bytes: unexpected EOF")


def begin(answer: Answer, start: int, descriptor: Descriptor) -> int:
    """The offset of an answer's first byte. Raises Wrong where its headers contradict the manifest."""
    if answer.status == 206:
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != start or found[2] not in (None, str(descriptor.size)):
            raise Wrong(f"blob {descriptor.digest}: the registry sent another range than bytes {start}-")
        return start
    declared = answer.headers.get("Content-Length")
    if declared is not None and declared != str(descriptor.size):
        raise Wrong(
            f"blob {descriptor.digest}: the registry declares {declared[:20]} bytes, its manifest {descriptor.size}"
        )
    return 0
