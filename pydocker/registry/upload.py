"""A blob's way up (distribution spec, "Push"): not sent if it is there, mounted if a neighbour has it, else uploaded.

    HEAD  /v2/a/b/blobs/sha256:…                                    200: it is there
    POST  /v2/a/b/blobs/uploads/?mount=sha256:…&from=c/d            201: it was mounted; 202: an upload begins instead
    POST  /v2/a/b/blobs/uploads/                                    202, Location: where to send it to
    PUT   <location>&digest=sha256:…     all of its bytes           201: one request ("monolithic")

What breaks is asked about, and goes on from where the registry says it is:

    GET   <location>                                                204, Range: 0-1048575
    PATCH <location>    Content-Range: 1048576-…   the rest         202, Location
    PUT   <location>&digest=sha256:…                                201

Where the registry has forgotten it, it begins anew. A proxy that refuses so large a request (413) gets it in chunks.
As in a download, tries are counted only as long as nothing gets on.
"""

import re
import time
from collections.abc import Callable
from contextlib import closing
from typing import Protocol
from urllib.parse import quote

from pydocker.errors import PydockerError, Unavailable
from pydocker.model.digest import Digest
from pydocker.registry.endpoint import Endpoint
from pydocker.registry.exchange import Notice, located
from pydocker.registry.message import Answer, Body, Broken, Request
from pydocker.registry.patience import TRANSIENT, Patience, retry_after, told

_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,19})", re.ASCII)
_BYTES = {"Content-Type": "application/octet-stream"}
_TOO_LARGE = 413
_LARGEST_CHUNK, _SMALLEST_CHUNK = 64 << 20, 1 << 20  # bytes
Refused = Callable[[Answer], PydockerError]


class Source(Protocol):
    """A blob on this side."""

    @property
    def digest(self) -> Digest: ...

    @property
    def size(self) -> int: ...

    def part(self, start: int, length: int) -> Body:
        """Some of its bytes, to be read as they are sent."""


class Uploads:
    """Uploads into one repository. Safe to use from several threads."""

    def __init__(self, endpoint: Endpoint, repository: str, refused: Refused, patience: Patience,
                 notice: Notice = lambda words: None) -> None:
        self._endpoint, self._refused, self._patience, self._notice = endpoint, refused, patience, notice
        self._blobs = f"/v2/{repository}/blobs"

    def has(self, digest: Digest) -> bool:
        """Whether the registry has the blob in this repository."""
        with closing(self._endpoint.ask("HEAD", f"{self._blobs}/{digest}")) as answer:
            if answer.status not in (200, 404):
                raise self._refused(answer)
            return answer.status == 200

    def send(self, source: Source, neighbour: str | None = None) -> bool:
        """Upload a blob, or have it mounted from the repository `neighbour`; True if it was mounted.

        The registry has verified its digest when this returns. Raises what went wrong at last.
        """
        upload = _Upload(self._endpoint, self._blobs, source, self._refused, self._patience, self._notice)
        if upload.begin(neighbour):
            return True
        upload.run()
        return False


class _Again(Exception):
    """Another try may succeed. `error` is what to raise if there is none; `counts` whether it is worth a wait."""

    def __init__(self, error: PydockerError, wait: float | None = None, *, counts: bool = True) -> None:
        super().__init__(str(error))
        self.error, self.wait, self.counts = error, wait, counts


class _Upload:
    """One blob on its way: where it goes, and how much of it has arrived."""

    def __init__(self, endpoint: Endpoint, blobs: str, source: Source, refused: Refused, patience: Patience,
                 notice: Notice) -> None:
        self._endpoint, self._blobs, self._source = endpoint, blobs, source
        self._refused, self._patience, self._notice = refused, patience, notice
        self._at: Request | None = None  # the upload's own address, as a GET
        self._done = 0
        self._most: int | None = None  # bytes of one request; None: all
        self._least = 1

    def run(self) -> None:
        failures = 0
        while True:
            try:
                self._go_on()
                return
            except _Again as again:
                if not again.counts:
                    continue
                failures += 1
                before = self._done
                if (delay := self._patience.delay(failures, again.wait)) is not None:
                    self._notice(f"{again.error}: trying again in {told(delay)}")
                if not self._patience.wait(failures, again.wait):
                    raise again.error from again
                if self._is_there():  # only its answer was lost
                    return
                if self._resume() > before:
                    failures = 0

    def _go_on(self) -> None:
        if self._at is None:
            self.begin()
        if self._most is None and not self._done:
            self._finish(self._source.part(0, self._source.size))
            return
        while self._done < self._source.size:
            self._append()
        self._finish(b"")

    def begin(self, neighbour: str | None = None) -> bool:
        """Open an upload, which a mount makes unnecessary: then True."""
        query = f"?mount={_quoted(self._source.digest)}&from={_quoted(neighbour)}" if neighbour else ""
        with closing(self._endpoint.ask("POST", f"{self._blobs}/uploads/{query}", body=b"")) as answer:
            if neighbour and answer.status == 201:
                return True
            if answer.status != 202:
                raise self._refused(answer)
            least = answer.headers.get("OCI-Chunk-Min-Length", "")
            self._least = int(least[:12]) if least.isascii() and least.isdigit() else 1
            self._done = 0
            self._move(answer)
        return False

    def _append(self) -> None:
        left = self._source.size - self._done
        length = min(left, max(self._most or left, self._least))
        headers = {**_BYTES, "Content-Range": f"{self._done}-{self._done + length - 1}"}
        with closing(self._ask("PATCH", "", headers, self._source.part(self._done, length))) as answer:
            if answer.status not in (202, 204):
                raise self._failed(answer)
            arrived = _arrived(answer, self._done + length)
            if not self._done < arrived <= self._source.size:
                raise Unavailable(f"{answer.request}: the registry says that {arrived} bytes have arrived")
            self._done = arrived
            self._move(answer)

    def _finish(self, body: Body | bytes) -> None:
        with closing(self._ask("PUT", f"digest={_quoted(self._source.digest)}", _BYTES, body)) as answer:
            if answer.status != 201:
                raise self._failed(answer)

    def _ask(self, method: str, query: str, headers: dict[str, str], body: Body | bytes) -> Answer:
        assert self._at is not None
        url = self._at.url
        if query:
            url += ("&" if "?" in url else "?") + query
        try:
            return self._endpoint.follow(Request(url, headers, method, body))
        except Broken as error:
            raise _Again(error) from error

    def _failed(self, answer: Answer) -> Exception:
        """What to raise for an answer that is not the wanted one."""
        if answer.status == _TOO_LARGE and (smaller := self._smaller()) is not None:
            self._most, self._at = smaller, None
            return _Again(self._refused(answer), counts=False)
        if answer.status in TRANSIENT or answer.status == 416:
            return _Again(self._refused(answer), retry_after(answer.headers.get("Retry-After"), time.time()))
        return self._refused(answer)

    def _smaller(self) -> int | None:
        """Bytes of one request after one was too large; None when they cannot become fewer."""
        size = self._source.size if self._most is None else self._most
        smaller = max(min(size // 2, _LARGEST_CHUNK), self._least)
        return smaller if smaller >= _SMALLEST_CHUNK and smaller < size else None

    def _is_there(self) -> bool:
        with closing(self._endpoint.ask("HEAD", f"{self._blobs}/{self._source.digest}")) as answer:
            return answer.status == 200

    def _resume(self) -> int:
        """Ask how much has arrived; where nobody knows, begin anew. Returns the bytes that have."""
        at, self._at, self._done = self._at, None, 0
        if at is None:
            return 0
        with closing(self._endpoint.follow(at)) as answer:
            arrived = _arrived(answer, 0)
            if answer.status in (202, 204) and arrived <= self._source.size:
                self._at, self._done = at, arrived
                self._move(answer)
        return self._done

    def _move(self, answer: Answer) -> None:
        """Every answer may say where to go on; the first one has to."""
        location = answer.headers.get("Location")
        if location is not None:
            self._at = Request(located(answer.request, location))
        elif self._at is None:
            raise Unavailable(f"{answer.request}: the registry does not say where to upload to")


def _arrived(answer: Answer, otherwise: int) -> int:
    """The bytes that have arrived, as the header `Range: 0-99` says it (which is also what an empty upload says)."""
    found = _RANGE.fullmatch(answer.headers.get("Range", ""))
    if found is None:
        return otherwise
    return int(found[1]) + 1 if int(found[1]) else otherwise


def _quoted(text: str) -> str:
    return quote(text, safe="")
