"""What a check finds: one thing, what is wrong with it, and what helps.

A finding is made before anything is done about it: `mend` does it, and is called only if that was asked for. Checks are
generators, so each finding is mended before the next is looked for: what is wrong only because of it is then right.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec


class Finding(NamedTuple):
    """`remedy` says what `mend` does, in the past tense; without `mend`, what a person can do."""

    subject: str
    problem: str
    remedy: str
    mend: Callable[[], object] | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A finding, and what became of it. `mendable`: a repair would do what `remedy` says."""

    subject: str
    problem: str
    remedy: str
    mendable: bool
    mended: bool


class Summary(msgspec.Struct, kw_only=True):
    """What was looked at, counted on the way; bytes are those that were read. `unverified`: layers without blob."""

    images: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    layers: int = 0
    layer_bytes: int = 0
    unverified: int = 0
    containers: int = 0
    volumes: int = 0
    problems: int = 0
    mended: int = 0


Findings = Iterator[Finding]
Tell = Callable[[str, int, int], None]  # what is looked at, how much of it, of how much: bytes
