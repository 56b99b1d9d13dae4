"""One repository of one registry: the face of this package.

    with Repository(reference, insecure=config.insecure_registries, credentials=…) as repository:
        found = repository.head("latest")                  one HEAD: media type, digest, size; or None
        fetched = repository.manifest("latest")            verified, bounded, of a known media type
        document = decode(fetched)                         Index | Manifest, checked
        with repository.blob(document.layers[0]) as pieces:
            for piece in pieces: …                         the end is reached only by the right bytes
        repository.uploads().send(source)                  see `upload`
        repository.put_manifest("latest", fetched)         the last step of a push
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from pydocker.config import RegistryEntry
from pydocker.errors import InvalidParameter, NotFound, NotSupported, PydockerError, Unauthorized, Unavailable
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor
from pydocker.model.reference import Reference
from pydocker.registry import blob, hosts, listing, manifest, trust
from pydocker.registry.auth import Key
from pydocker.registry.blob import Begun, Misled, Wrong
from pydocker.registry.credentials import Credentials
from pydocker.registry.endpoint import Endpoint
from pydocker.registry.exchange import Notice
from pydocker.registry.manifest import Fetched
from pydocker.registry.message import Answer, Broken, Unreachable, read
from pydocker.registry.mirrors import Location, locations
from pydocker.registry.patience import Patience, RateLimit, rate_limit
from pydocker.registry.refusal import refused
from pydocker.registry.transport import Transport
from pydocker.registry.upload import Uploads

_ACCEPT = {"Accept": ", ".join(manifest.ACCEPTED)}
_NOT_HERE = (NotFound, NotSupported, Unauthorized, Unavailable)  # of a mirror: the next place may have it
T = TypeVar("T")


class Repository:
    """Safe to use from several threads. The registry is first spoken to when something is asked for."""

    def __init__(
        self,
        reference: Reference,
        *,
        insecure: Sequence[str] = (),
        registries: Mapping[str, RegistryEntry] | None = None,
        credentials: Credentials | None = None,
        actions: str = "pull",
        neighbours: Sequence[str] = (),
        certificates: Sequence[Path] = trust.CERTIFICATES,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        notice: Notice = lambda words: None,
    ) -> None:
        """`reference`'s tag and digest do not matter here; `insecure` and `registries` are daemon.json's.

        `actions` is what is to be done (`pull,push`), `neighbours` are repositories of the same registry to mount
        blobs from. `notice` is told, from any thread, why it takes longer.
        """
        self.reference = reference
        self.rate_limit: RateLimit | None = None
        self._patience, self._action, self._notice = patience, actions.rpartition(",")[2], notice
        self._places = locations(reference, registries or {})
        self._dead: set[Location] = set()
        allowed = (*insecure, *(place.authority for place in self._places if place.insecure))
        self._transport = Transport(lambda authority: hosts.access(authority, allowed), patience, certificates)
        self._endpoints = [self._endpoint(place, credentials, actions, neighbours) for place in self._places]

    def _endpoint(self, place: Location, credentials: Credentials | None, actions: str, neighbours: Sequence[str]
                  ) -> Endpoint:
        scopes = [f"repository:{place.path}:{'pull' if place.mirror else actions}"]
        if not place.mirror:
            scopes += [f"repository:{neighbour}:pull" for neighbour in neighbours]
        key = Key(None if place.mirror else credentials, scopes, self.reference.familiar_name)
        return Endpoint(place.authority, self._transport, key, self._patience, lambda words: self._notice(words))

    def __enter__(self) -> "Repository":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def noticing(self, notice: Notice) -> Iterator[None]:
        """For the length of this block, somebody else is told why it takes longer."""
        before, self._notice = self._notice, notice
        try:
            yield
        finally:
            self._notice = before

    def interruptible(self) -> AbstractContextManager[Callable[[], None]]:
        """Within the block, what it yields ends, from any thread, everything that is on its way, and lets nothing else
        begin: Broken, and then Unreachable, for whoever waits."""
        return self._transport.interruptible()

    def close(self) -> None:
        """End all connections."""
        self._transport.close()

    # -- pulling -------------------------------------------------------------------------------------

    def head(self, tag_or_digest: str) -> Descriptor | None:
        """What a tag stands for now, without fetching it; None where the registry does not say (then ask for it)."""
        wanted = self._pinned(tag_or_digest)
        return self._first_of(lambda place, endpoint: self._head(place, endpoint, wanted))

    def manifest(self, tag_or_digest: str) -> Fetched:
        """The manifest or index that a tag or a digest names; `manifest.decode` reads it.

        Raises NotFound, Unauthorized, Unavailable, NotSupported (no image), InvalidParameter (no tag).
        """
        wanted = self._pinned(tag_or_digest)
        failures = 0
        while True:
            try:
                return self._first_of(lambda place, endpoint: self._manifest(place, endpoint, wanted))
            except Broken:
                failures += 1
                if not self._patience.wait(failures):
                    raise

    def blob(self, descriptor: Descriptor, begun: Begun | None = None) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes that a descriptor names, or what `begun` lacks of them: see `blob.pieces`. Leaving the block ends
        the transfer. Raises Misled where it is worth beginning anew."""
        digest.parse(descriptor.digest)
        return closing(self._pieces(descriptor, begun))

    def tags(self) -> Iterator[str]:
        """Every tag, page by page. Raises NotFound for a repository that is not there."""
        return listing.tags(self._own, self.reference.path, lambda answer: self._refused(answer, self.reference))

    # -- pushing -------------------------------------------------------------------------------------

    def uploads(self) -> Uploads:
        """How blobs are uploaded; never to a mirror."""
        return Uploads(self._own, self.reference.path, lambda answer: self._refused(answer, self.reference),
                       self._patience, self._notice)

    def put_manifest(self, tag_or_digest: str, document: Fetched) -> None:
        """Give a manifest, whose blobs are all there, its name. Raises Unavailable if the registry understood another.
        """
        wanted = self._pinned(tag_or_digest)
        path = f"/v2/{self.reference.path}/manifests/{wanted.digest or wanted.tag}"
        with closing(self._own.ask("PUT", path, {"Content-Type": document.media_type}, document.content)) as answer:
            if answer.status not in (200, 201, 202):
                raise self._refused(answer, wanted)
            if (named := _promised(answer)) not in (None, document.digest):
                raise Unavailable(f"{answer.request}: the registry stored {named} instead of {document.digest}")

    # -- how -----------------------------------------------------------------------------------------

    @property
    def _own(self) -> Endpoint:
        return self._endpoints[-1]

    def _head(self, place: Location, endpoint: Endpoint, wanted: Reference) -> Descriptor | None:
        with closing(endpoint.ask("HEAD", _path(place, wanted), _ACCEPT)) as answer:
            if answer.status >= 400 and place.mirror:
                raise self._refused(answer, wanted)
            if answer.status != 200:
                return None
            self._note(answer)
            media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
            promised, size = _promised(answer), answer.headers.get("Content-Length", "")
        if promised is None or not (size.isascii() and size.isdigit()):
            return None
        return Descriptor(media_type=media_type, digest=promised, size=int(size[:18]))

    def _manifest(self, place: Location, endpoint: Endpoint, wanted: Reference) -> Fetched:
        with closing(self._get(endpoint, _path(place, wanted), _ACCEPT, wanted)) as answer:
            self._note(answer)
            media_type = manifest.check_media_type(answer.headers.get("Content-Type", ""), wanted.familiar())
            content = read(answer, manifest.LONGEST)
        found = digest.of(content)
        if (promised := wanted.digest or _promised(answer)) not in (None, found):
            raise Unavailable(f"manifest verification failed for digest {promised}")
        return Fetched(media_type, found, content)

    def _pieces(self, descriptor: Descriptor, begun: Begun | None) -> Generator[bytes, None, None]:
        """What a mirror alone has sent, and what was wrong, is that mirror's fault: its place is dead from then on."""
        asked: set[Location] = set()
        try:
            yield from blob.pieces(lambda offset: self._open(descriptor, offset, asked), descriptor, self._patience,
                                   begun)
        except Wrong as error:
            if (begun and begun.done) or not asked or not all(place.mirror for place in asked):
                raise
            self._dead |= asked
            raise Misled(str(error)) from error

    def _open(self, descriptor: Descriptor, offset: int, asked: set[Location]) -> Answer:
        """The blob's bytes from `offset` on. Its `urls`, wherever they lead, are not followed."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        wanted = self.reference.with_digest(descriptor.digest)

        def ask(place: Location, endpoint: Endpoint) -> tuple[Location, Answer]:
            answer = self._get(endpoint, f"/v2/{place.path}/blobs/{descriptor.digest}", headers, wanted)
            try:
                blob.begin(answer, offset, descriptor)
            except Wrong:
                answer.close()
                raise
            return place, answer

        place, answer = self._first_of(ask)
        asked.add(place)
        return answer

    def _get(self, endpoint: Endpoint, path: str, headers: Mapping[str, str], wanted: Reference) -> Answer:
        """A successful answer; any other becomes its error, which names `wanted`."""
        answer = endpoint.ask("GET", path, headers)
        if answer.status not in (200, 206):
            raise self._refused(answer, wanted)
        return answer

    def _first_of(self, ask: Callable[[Location, Endpoint], T]) -> T:
        """Ask the mirrors, then the registry. Only its own errors are worth telling: a mirror need not have all, and
        what it has need not be right."""
        for place, endpoint in zip(self._places[:-1], self._endpoints[:-1], strict=True):
            if place not in self._dead:
                try:
                    return ask(place, endpoint)
                except Unreachable:
                    self._dead.add(place)  # waiting for it once is enough
                except _NOT_HERE:
                    pass
        return ask(self._places[-1], self._own)

    def _refused(self, answer: Answer, wanted: Reference) -> PydockerError:
        return refused(answer, self.reference.familiar_name, wanted.familiar(), self._action)

    def _note(self, answer: Answer) -> None:
        self.rate_limit = rate_limit(answer.headers) or self.rate_limit

    def _pinned(self, tag_or_digest: str) -> Reference:
        if ":" in tag_or_digest:
            return self.reference.with_digest(digest.parse(tag_or_digest))
        return self.reference.with_tag(tag_or_digest)


def _path(place: Location, wanted: Reference) -> str:
    return f"/v2/{place.path}/manifests/{wanted.digest or wanted.tag}"


def _promised(answer: Answer) -> Digest | None:
    """What the registry itself says that the digest of a manifest is, if it says so in sha256."""
    header = answer.headers.get("Docker-Content-Digest", "")
    try:
        return digest.parse(header) if header.startswith("sha256:") else None
    except InvalidParameter as error:
        raise Unavailable(f"{answer.request}: {error}") from error
