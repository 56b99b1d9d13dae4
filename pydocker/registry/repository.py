"""One repository of one registry, to pull from: the face of this package.

    with Repository(reference, insecure=config.insecure_registries, credentials=…) as repository:
        fetched = repository.manifest("latest")            verified, bounded, of a known media type
        document = decode(fetched)                         Index | Manifest, checked
        with repository.blob(document.layers[0]) as pieces:
            for piece in pieces: …                         the end is reached only by the right bytes
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from types import TracebackType

from pydocker.errors import Unavailable
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor
from pydocker.model.reference import Reference
from pydocker.registry import blob, hosts, manifest, trust
from pydocker.registry.auth import Gate
from pydocker.registry.credentials import Credentials
from pydocker.registry.exchange import Exchange
from pydocker.registry.manifest import Fetched
from pydocker.registry.message import Answer, Broken, NotTLS, Request, read
from pydocker.registry.patience import Patience
from pydocker.registry.refusal import refused
from pydocker.registry.transport import Transport


class Repository:
    """Safe to use from several threads. The registry is first spoken to when something is asked for."""

    def __init__(
        self,
        reference: Reference,
        *,
        insecure: Sequence[str] = (),
        credentials: Credentials | None = None,
        certificates: Sequence[Path] = trust.CERTIFICATES,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        """`reference`'s tag and digest do not matter here; `insecure` are daemon.json's `insecure-registries`."""
        self.reference = reference
        self._insecure = insecure
        self._credentials = credentials
        self._patience = patience
        self._certificates = certificates
        self._transport = Transport(self._access, patience, certificates)
        self._lock = threading.Lock()
        self._entered: tuple[str, Exchange] | None = None

    def __enter__(self) -> "Repository":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        self._transport.close()

    def manifest(self, tag_or_digest: str) -> Fetched:
        """The manifest or index that a tag or a digest names; `manifest.decode` reads it.

        Raises NotFound, Unauthorized, Unavailable, NotSupported (no image), InvalidParameter (no tag).
        """
        wanted = self._pinned(tag_or_digest)
        failures = 0
        while True:
            try:
                return self._manifest(wanted)
            except Broken:
                failures += 1
                if not self._patience.wait(failures):
                    raise

    def blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes that a descriptor names: see `blob.pieces`. Leaving the block ends the transfer."""
        digest.parse(descriptor.digest)
        return closing(blob.pieces(lambda offset: self._open(descriptor, offset), descriptor, self._patience))

    def _manifest(self, wanted: Reference) -> Fetched:
        accept = {"Accept": ", ".join(manifest.ACCEPTED)}
        with closing(self._ask(f"manifests/{wanted.digest or wanted.tag}", accept, wanted)) as answer:
            media_type = manifest.check_media_type(answer.headers.get("Content-Type", ""), wanted.familiar())
            content = read(answer, manifest.LONGEST)
        found = digest.of(content)
        if (promised := wanted.digest or _promised(answer)) not in (None, found):
            raise Unavailable(f"manifest verification failed for digest {promised}")
        return Fetched(media_type, found, content)

    def _open(self, descriptor: Descriptor, offset: int) -> Answer:
        """The blob's bytes from `offset` on. Its `urls`, wherever they lead, are not followed."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        return self._ask(f"blobs/{descriptor.digest}", headers, self.reference.with_digest(descriptor.digest))

    def _ask(self, what: str, headers: dict[str, str], wanted: Reference) -> Answer:
        """A successful answer; any other becomes its error, which names `wanted`."""
        place, exchange = self._enter()
        answer = exchange.ask(Request(f"{place}{self.reference.path}/{what}", headers))
        if answer.status not in (200, 206):
            raise refused(answer, self.reference.familiar_name, wanted.familiar())
        return answer

    def _enter(self) -> tuple[str, Exchange]:
        with self._lock:
            if self._entered is None:
                self._entered = self._ping()
            return self._entered

    def _ping(self) -> tuple[str, Exchange]:
        """Find the registry's address, and what it wants to see (distribution spec, "Determining Support")."""
        authority = hosts.registry(self.reference.domain)
        place = f"{self._scheme(authority)}://{authority}/v2/"
        name = self.reference.familiar_name
        gate = Gate(hosts.origin(place), f"repository:{self.reference.path}:pull", self._credentials, name)
        exchange = Exchange(self._transport, gate, self._patience)
        answer = exchange.enter(Request(place))
        if answer.status not in (200, 401):
            raise refused(answer, name, name)
        answer.close()
        return place, exchange

    def _scheme(self, authority: str) -> str:
        """`http` only where that is allowed, and where TLS was tried first and is not spoken."""
        probe = Request(f"https://{authority}/v2/")
        if not self._access(authority).plain:
            return "https"
        # nothing secret is said, so no authority needs to be read for it; what follows is verified where it has to be
        with closing(Transport(lambda authority: hosts.INSECURE, self._patience, self._certificates)) as transport:
            try:
                transport.send(probe).close()
            except (NotTLS, Broken):
                return "http"
        return "https"

    def _access(self, authority: str) -> hosts.Access:
        return hosts.access(authority, self._insecure)

    def _pinned(self, tag_or_digest: str) -> Reference:
        if ":" in tag_or_digest:
            return self.reference.with_digest(digest.parse(tag_or_digest))
        return self.reference.with_tag(tag_or_digest)


def _promised(answer: Answer) -> Digest | None:
    """What the registry itself says that the digest of a tag's manifest is, if it says so in sha256."""
    header = answer.headers.get("Docker-Content-Digest", "")
    return digest.parse(header) if header.startswith("sha256:") else None
