"""One question, asked until it is answered: redirects outside, authorisation inside them, retries innermost.

    ask ──> follow redirects ──> authorise (auth.Gate) ──> try again (patience) ──> Transport.send

The order is the safety: every hop of a redirect goes through the gate anew, and the gate knows only its own origin,
so no credential leaves it. A redirect never leads from https to http.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from pydocker.errors import Unavailable
from pydocker.registry.auth import Gate
from pydocker.registry.message import Answer, Broken, Request, Unreachable
from pydocker.registry.patience import TRANSIENT, Patience, retry_after, told
from pydocker.registry.plain import plain
from pydocker.registry.transport import Transport

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME = frozenset({307, 308})  # the method and the body go along (RFC 9110, section 15.4)
_MOST_HOPS = 10
Result = TypeVar("Result")


Notice = Callable[[str], None]


class Exchange:
    """Questions to one registry. Safe to use from several threads.

    `notice` is told what a person should know while he waits: that the registry wants some time. Told "", it raises
    where nobody waits any more.
    """

    def __init__(
        self, transport: Transport, gate: Gate, patience: Patience, notice: Notice = lambda words: None
    ) -> None:
        self._transport = transport
        self._gate = gate
        self._patience = patience
        self._notice = notice

    def ask(self, request: Request) -> Answer:
        """The final answer, whatever its status; the caller closes it. Raises Unavailable where there is none."""
        for _ in range(_MOST_HOPS):
            answer = self._authorised(request)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            answer.close()
            request = redirected(request, location, answer.status)
        raise Unavailable(f"{request}: stopped after {_MOST_HOPS} redirects")

    def _authorised(self, request: Request) -> Answer:
        answer = self._drive(self._gate.flow(request))
        assert answer is not None  # a flow yields its request at least once
        return answer

    def _drive(self, flow: Generator[Request, Answer, None]) -> Answer | None:
        """Send what the generator yields, give it the answers, and return the last of them."""
        answer: Answer | None = None
        try:
            request = next(flow)
            while True:
                answer = self._patiently(request)
                request = flow.send(answer)
        except StopIteration:
            return answer

    def _patiently(self, request: Request) -> Answer:
        failures = 0
        while True:
            failures += 1
            try:
                answer = self._transport.send(request)
            except Broken as error:
                if not request.repeatable:
                    raise
                if not self._patience.wait(failures):
                    raise Unreachable(str(error)) from error  # nobody above should begin to count anew
                self._notice("")
                continue
            if answer.status not in TRANSIENT or not request.repeatable:
                return answer
            asked = retry_after(answer.headers.get("Retry-After"), time.time())
            delay = self._patience.delay(failures, asked)
            if delay is None:
                return answer
            answer.close()
            if answer.status == 429:
                self._notice(f"toomanyrequests: the registry is busy, trying again in {told(delay)}")
            self._patience.wait(failures, asked)


def redirected(request: Request, location: str, status: int = 307) -> Request:
    """The request that a `Location` header leads to. Raises Unavailable for a way from https to anything else."""
    url = located(request, location)
    if status in _SAME or request.method in ("GET", "HEAD"):
        return replace(request, url=url)
    return Request(url, {name: value for name, value in request.headers.items() if name == "Accept"})


def located(request: Request, location: str) -> str:
    """The address in a `Location` or `Link` header. Raises Unavailable for a way from https to anything else."""
    try:
        url = urljoin(request.url, location)
    except ValueError as error:
        raise Unavailable(f"{request}: redirected to no address: {plain(location)}") from error
    target = Request(url, method=request.method)
    if urlsplit(request.url).scheme == "https" and urlsplit(url).scheme != "https":
        raise Unavailable(f"{request}: refused a redirect from https to {target}")
    return url
