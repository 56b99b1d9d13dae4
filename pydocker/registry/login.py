"""`docker login`: do these credentials open this registry? (Engine API, "/auth"; distribution's token specification)

    GET /v2/   -> 401, challenge -> the password, or a token that was bought with it -> GET /v2/ -> 200

A registry that lets everybody in says 200 at once: then nothing has been verified, and nothing is wrong either. Where
the token server gives a refresh token, that is what is to be kept, instead of the password.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from pydocker.config import RegistryEntry
from pydocker.errors import InvalidParameter, Unavailable
from pydocker.registry import hosts, trust
from pydocker.registry.auth import Key
from pydocker.registry.credentials import Credentials
from pydocker.registry.endpoint import Endpoint
from pydocker.registry.patience import Patience
from pydocker.registry.plain import plain
from pydocker.registry.refusal import refused
from pydocker.registry.transport import Transport

_HUB = frozenset({"", "docker.io", "index.docker.io", "registry-1.docker.io"})


def login(
    server: str, credentials: Credentials, *, insecure: Sequence[str] = (),
    registries: Mapping[str, RegistryEntry] | None = None, certificates: Sequence[Path] = trust.CERTIFICATES,
    patience: Patience = Patience(),  # noqa: B008 - frozen
) -> str:
    """Verify `credentials` with the registry at `server`. Returns a refresh token, or "".

    Raises Unauthorized if they are wrong, Unavailable if nobody answers, InvalidParameter for what is no address.
    """
    name = host(server)
    allowed = [*insecure, *(prefix for prefix, entry in (registries or {}).items() if entry.insecure)]
    key = Key(credentials, (), name, offline=True)
    with closing(Transport(lambda authority: hosts.access(authority, allowed), patience, certificates)) as transport:
        endpoint = Endpoint(hosts.registry(name), transport, key, patience)
        with closing(endpoint.ask("GET", "/v2/")) as answer:
            if answer.status == 401:
                raise refused(answer, name, name)
            if answer.status != 200:
                status = f"{answer.status} {plain(answer.reason)}".strip()
                raise Unavailable(f"login attempt to {answer.request.url} failed with status: {status}")
        return endpoint.refresh_token


def host(server: str) -> str:
    """`host[:port]` of what people write for a registry: `https://index.docker.io/v1/` is `docker.io`."""
    text = server if "://" in server else f"//{server}"
    try:
        parts = urlsplit(text)
        authority, user = parts.netloc, parts.username
    except ValueError:
        authority, user = "", None
    if server and (not authority or user is not None):
        raise InvalidParameter(f"invalid registry address {plain(server)!r}")
    return "docker.io" if authority in _HUB else authority

