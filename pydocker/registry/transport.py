"""One HTTP request, one answer. Redirects, retries and credentials are decided elsewhere, cookies are not had at all.

requests' adapters are used without its Session: a Session follows redirects, reads ~/.netrc and keeps cookies, and is
not made for threads. An adapter is a connection pool, and is. There is one for each origin, because each host may
have certificates of its own.
"""

import contextlib
import select
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from pydocker import __version__
from pydocker.registry import hosts, trust
from pydocker.registry.failure import failure
from pydocker.registry.message import PIECE, Answer, Request, Unreachable
from pydocker.registry.patience import Patience
from pydocker.registry.sockets import Sockets

_OURS = {"User-Agent": f"pydocker/{__version__}", "Accept-Encoding": "identity"}  # digests are of the bytes as stored
_PAUSE = 10  # milliseconds without a byte, after which a piece is not filled any further
_THREADS = 16  # connections that one pool keeps: layers are fetched side by side


class Transport:
    """Connection pools for one repository's hosts; `close` ends them. Safe to use from several threads."""

    def __init__(
        self,
        access: Callable[[str], hosts.Access],
        patience: Patience,
        certificates: Sequence[Path] = trust.CERTIFICATES,
    ) -> None:
        self.access = access
        self._patience = patience
        self._certificates = certificates
        self._pools: dict[tuple[str, str], _Pool] = {}
        self._settings: dict[tuple[tuple[Path, ...], bool], ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self._sockets = Sockets()

    def send(self, request: Request) -> Answer:
        """Ask once. Raises Unreachable, NotTLS or Broken; PydockerError for a certificate file that cannot be used."""
        pool = self._pool(request)
        if self._sockets.shut:
            raise Unreachable(f"{request}: interrupted")
        try:
            outgoing = requests.Request(request.method, request.url, {**request.headers, **_OURS})
            prepared = outgoing.prepare()
            _fill(prepared, request)
            timeout = (self._patience.connect, self._patience.read)
            response = pool.send(prepared, stream=True, timeout=timeout, proxies=_proxies(request.url))
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise failure(error, request) from error
        return _Response(request, response)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[Callable[[], None]]:
        """Within the block, what it yields ends everything that is on its way, and lets nothing else begin."""
        try:
            yield self._sockets.end
        finally:
            self._sockets.allow()

    def close(self) -> None:
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.close()

    def _pool(self, request: Request) -> "_Pool":
        """The pool of the request's origin. What may not be spoken to has none."""
        parts = urlsplit(request.url)
        with self._lock:
            if (pool := self._pools.get((parts.scheme, parts.netloc))) is None:
                access = self.access(parts.netloc)
                if parts.scheme == "http" and not access.plain:
                    raise Unreachable(f"{request}: plain http is refused, {parts.netloc} is not an insecure registry")
                pool = self._pools[parts.scheme, parts.netloc] = self._make(parts.scheme, parts.netloc, access)
            return pool

    def _make(self, scheme: str, authority: str, access: hosts.Access) -> "_Pool":
        if scheme == "http":
            return _Pool(None, self._sockets)
        if not access.verified:  # the administrator's own decision: no need to print a warning at each request
            warnings.simplefilter("ignore", InsecureRequestWarning)
        key = (trust.directories(authority, self._certificates), access.verified)
        if (settings := self._settings.get(key)) is None:
            settings = self._settings[key] = trust.context(key[0], verified=access.verified)
        return _Pool(settings, self._sockets)


class _Pool(HTTPAdapter):
    """An adapter whose TLS settings are ours alone (requests would add certifi's authorities to them)."""

    def __init__(self, settings: ssl.SSLContext | None, sockets: Sockets) -> None:
        self._settings, self._sockets = settings, sockets
        super().__init__(pool_connections=1, pool_maxsize=_THREADS, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        # blocksize: how a file would be read for sending; http.client's 16 KiB cost more than the network does
        super().init_poolmanager(*args, **options, ssl_context=self._settings, blocksize=PIECE)
        self.poolmanager.pool_classes_by_scheme = self._sockets.pools()

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options, ssl_context=self._settings)
        manager.pool_classes_by_scheme = self._sockets.pools()
        return manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing is left to say: the context has it all."""


@dataclass(frozen=True, slots=True)
class _Response:
    """requests' response as an Answer."""

    request: Request
    response: requests.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def reason(self) -> str:
        return self.response.reason or ""

    @property
    def headers(self) -> Mapping[str, str]:
        return self.response.headers

    def pieces(self) -> Iterator[bytes]:
        ended = False
        while not ended:
            # read() would lose what a breaking connection delivered before; read1() hands over what is there
            parts: list[bytes] = []
            missing, broken = PIECE, None
            while missing and not ended and (not parts or self._more()):
                try:
                    part = self.response.raw.read1(missing, decode_content=False)
                except (HTTPError, OSError, ValueError) as error:
                    broken, part = error, b""
                ended = not part
                parts.append(part)
                missing -= len(part)
            if missing < PIECE:
                yield b"".join(parts)
            if broken is not None:
                raise failure(broken, self.request) from broken

    def _more(self) -> bool:
        """Whether the registry goes on: what a slow line has brought is handed over before the next byte comes."""
        connection = self.response.raw.connection
        waited = connection.sock if connection is not None else None
        if waited is None:  # the answer is the connection's last
            return False
        if isinstance(waited, ssl.SSLSocket) and waited.pending():
            return True
        poll = select.poll()
        poll.register(waited, select.POLLIN)
        return bool(poll.poll(_PAUSE))

    def close(self) -> None:
        self.response.close()


def _fill(outgoing: requests.PreparedRequest, request: Request) -> None:
    """Put the body in, with its length said beforehand: requests itself would send an empty stream in chunks."""
    if request.body is not None:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        outgoing.body = body if len(body) else None  # type: ignore[assignment]
        outgoing.headers["Content-Length"] = str(len(body))


def _proxies(url: str) -> dict[str, str]:
    """The environment's HTTPS_PROXY and NO_PROXY; never for loopback, as in Go."""
    host = urlsplit(url).hostname or ""
    return {} if hosts.is_loopback(host) else get_environ_proxies(url, no_proxy=None)
