"""One registry at one address: the scheme that it speaks, and questions to it by their path.

    endpoint.ask("HEAD", "/v2/a/b/manifests/1")         https, or http where that is allowed and TLS is not spoken

There is no ping beforehand: the first real question learns the scheme, and its 401 learns what the registry wants to
see. So a pull that finds nothing new costs one request.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace

from pydocker.registry import hosts
from pydocker.registry.auth import Gate, Key
from pydocker.registry.exchange import Exchange, Notice
from pydocker.registry.message import Answer, Body, Broken, NotTLS, Request, Unreachable
from pydocker.registry.patience import TRANSIENT, Patience
from pydocker.registry.transport import Transport

_NOTHING: Mapping[str, str] = {}


class Endpoint:
    """Safe to use from several threads. The registry is first spoken to when something is asked for."""

    def __init__(self, authority: str, transport: Transport, key: Key, patience: Patience,
                 notice: Notice = lambda words: None) -> None:
        self.authority = authority
        self._transport, self._key, self._patience, self._notice = transport, key, patience, notice
        self._lock = threading.Lock()
        self._entered: tuple[str, Exchange, Gate] | None = None

    @property
    def refresh_token(self) -> str:
        """What the token server gave for later; "" before it was asked, or where there is none."""
        return self._entered[2].refresh_token if self._entered else ""

    def ask(self, method: str, path: str, headers: Mapping[str, str] = _NOTHING,
            body: str | bytes | Body | None = None) -> Answer:
        """The final answer, whatever its status; the caller closes it. Raises Unavailable where there is none."""
        with self._lock:  # the others wait for the first question: what it learns serves all
            if self._entered is None:
                return self._first(method, path, headers, body)
            scheme, exchange, _ = self._entered
        return exchange.ask(Request(f"{scheme}://{self.authority}{path}", headers, method, body))

    def follow(self, request: Request) -> Answer:
        """Ask what the registry itself gave the address of (`Location`, `Link`), once it was asked something."""
        assert self._entered is not None
        return self._entered[1].ask(request)

    def _first(self, method: str, path: str, headers: Mapping[str, str], body: str | bytes | Body | None) -> Answer:
        """Enter by asking; where plain HTTP is allowed, in TLS once, and then in plain text if nobody speaks TLS."""
        question = Request(f"https://{self.authority}{path}", headers, method, body)
        if not self._transport.access(self.authority).plain:
            return self._enter("https").ask(question)
        gate = self._gate("https")
        once = Exchange(self._transport, gate, replace(self._patience, attempts=1))
        answer = None
        try:
            answer = once.ask(question)
        except Unreachable as error:
            if not isinstance(error, NotTLS) and not isinstance(error.__cause__, Broken):
                raise
        if answer is None:  # not in the handler: what goes wrong now is no consequence of that
            return self._enter("http").ask(replace(question, url=f"http://{self.authority}{path}"))
        exchange = self._enter("https", gate)
        if answer.status not in TRANSIENT:
            return answer
        answer.close()
        return exchange.ask(question)

    def _enter(self, scheme: str, gate: Gate | None = None) -> Exchange:
        gate = gate or self._gate(scheme)
        exchange = Exchange(self._transport, gate, self._patience, self._notice)
        self._entered = scheme, exchange, gate
        return exchange

    def _gate(self, scheme: str) -> Gate:
        return Gate(hosts.origin(f"{scheme}://{self.authority}"), self._key)
