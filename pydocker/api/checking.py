"""`POST /system/check`: ours. A stream: progress as a pull's, then for each finding one `aux`, last the summary's."""

import time
from collections.abc import Callable
from typing import Protocol

from pydocker.api.background import Tell, stream
from pydocker.api.exchange import Request, Result
from pydocker.api.router import Routes

_EVERY = 0.2  # seconds between two tellings of progress


class Verdict(Protocol):
    """What was found, and what became of it."""

    @property
    def subject(self) -> str: ...
    @property
    def problem(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def mendable(self) -> bool: ...
    @property
    def mended(self) -> bool: ...


class Summary(Protocol):
    """How much was looked at."""

    images: int
    blobs: int
    blob_bytes: int
    layers: int
    layer_bytes: int
    unverified: int
    containers: int
    volumes: int
    problems: int
    mended: int


class Backend(Protocol):
    """What is asked of the engine."""

    def check(self, told: Callable[[Verdict], None], tell: Callable[[str, int, int], None], *,
              repair: bool) -> Summary: ...


def check(backend: Backend, request: Request) -> Result:
    repair = request.flag("repair")
    return stream(lambda tell: _run(backend, tell, repair=repair))


def _run(backend: Backend, tell: Tell, *, repair: bool) -> None:
    paced = _Paced(tell)
    summary = backend.check(lambda verdict: tell("", aux={
        "Subject": verdict.subject, "Problem": verdict.problem, "Remedy": verdict.remedy,
        "Mendable": verdict.mendable, "Mended": verdict.mended}), paced.move, repair=repair)
    tell("", aux={
        "Images": summary.images, "Blobs": summary.blobs, "BlobBytes": summary.blob_bytes, "Layers": summary.layers,
        "LayerBytes": summary.layer_bytes, "Unverified": summary.unverified, "Containers": summary.containers,
        "Volumes": summary.volumes,
        "Problems": summary.problems, "Mended": summary.mended})


class _Paced:
    """Progress that is told now and then, though it is made all the time."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._last = tell, 0.0

    def move(self, status: str, current: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            self._tell(status, "check", current, total)


ROUTES: Routes[Backend] = (("POST", "/system/check", check),)
