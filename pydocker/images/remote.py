"""What an engine does with registries: the configuration's rules on one side, the image store on the other.

    pull      HEAD says that nothing is new: done, with no other request. Otherwise see `pull`
    pull_all  every tag of a repository; what is no image is skipped, and told
    push      see `push`
    login, search

Imported late: requests costs 100 ms, more than a short `run` takes in all, and is no part of one.
"""

import contextlib
from collections.abc import Iterator, Sequence

from pydocker.config import Config
from pydocker.errors import InvalidParameter, NotFound, NotSupported, PydockerError, Unauthorized
from pydocker.images import push as pushing
from pydocker.images.catalog import name_of
from pydocker.images.progress import Progress, Tell
from pydocker.images.pull import pull as pull_image
from pydocker.images.push import TellPushed
from pydocker.images.store import ImageStore
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor, ImageConfig, Manifest
from pydocker.model.platform import Platform, host, normalised
from pydocker.model.reference import Reference
from pydocker.registry import login as logins
from pydocker.registry import search as searches
from pydocker.registry.credentials import Credentials, decode
from pydocker.registry.repository import Repository
from pydocker.registry.search import Found


class Remote:
    """`auth` is everywhere the X-Registry-Auth header, "" for nobody in particular."""

    def __init__(self, config: Config, store: ImageStore) -> None:
        self._config, self._store = config, store

    def pull(self, reference: Reference, platform: Platform | None, auth: str, tell: Tell) -> None:
        """Have the image that `reference` names now. Raises the registry's errors, ArchiveError."""
        _check_name(reference)
        with _no_prompt(), self._open(reference, auth, tell) as repository:
            self._pull(repository, reference, platform, tell)
            _tell_limit(repository, tell)

    def pull_all(self, reference: Reference, platform: Platform | None, auth: str, tell: Tell) -> None:
        """Have every image of the repository that is one for this platform."""
        _check_name(reference)
        with _no_prompt(), self._open(reference, auth, tell) as repository:
            count = 0
            for tag in repository.tags():
                count += 1
                try:
                    self._pull(repository, reference.with_tag(tag), platform, tell)
                except (NotSupported, NotFound) as error:  # signatures and charts are tags, too
                    tell(Progress(tag, f"Skipped: {error}"))
            if not count:
                raise NotFound(f"repository {reference.familiar_name} has no tags")
            _tell_limit(repository, tell)

    def push(self, reference: Reference, platform: Platform | None, auth: str, tell: Tell,
             tell_pushed: TellPushed) -> None:
        """Push one tag, or every tag that the repository has here if `reference` has none."""
        tell(Progress("", f"The push refers to repository [{reference.name}]"))
        wanted = [reference] if reference.tag or reference.digest else pushing.tags_of(self._store, reference)

        def open(neighbours: Sequence[str]) -> Repository:
            return self._open(reference, auth, tell, "pull,push", neighbours)

        for tag in wanted:
            pushing.push(self._store, open, tag, platform, tell, tell_pushed)

    def login(self, server: str, credentials: Credentials) -> str:
        """Verify credentials; returns a refresh token to keep instead of the password, or ""."""
        return logins.login(server, credentials, insecure=self._config.insecure_registries,
                            registries=self._config.by_prefix, certificates=self._config.certificates)

    def search(self, term: str, limit: int, auth: str) -> tuple[Found, ...]:
        """What a registry has under such a name."""
        with _no_prompt():
            return searches.search(term, limit=limit, credentials=decode(auth),
                                   insecure=self._config.insecure_registries, registries=self._config.by_prefix,
                                   certificates=self._config.certificates)

    def _open(self, reference: Reference, auth: str, tell: Tell, actions: str = "pull",
              neighbours: Sequence[str] = ()) -> Repository:
        return Repository(
            reference, insecure=self._config.insecure_registries, registries=self._config.by_prefix,
            certificates=self._config.certificates, credentials=decode(auth), actions=actions, neighbours=neighbours,
            notice=lambda words: tell(Progress("", words)))

    def _pull(self, repository: Repository, reference: Reference, platform: Platform | None, tell: Tell) -> None:
        wanted = reference.with_default_tag()
        known = self._known(repository, wanted, platform)
        if known is None:
            pull_image(self._store, self._store.layers, repository, wanted, platform, tell)
            return
        tell(Progress(str(wanted.digest or wanted.tag), f"Pulling from {wanted.path}"))
        tell(Progress("", f"Digest: {known.digest}"))
        tell(Progress("", f"Status: Image is up to date for {wanted.familiar()}"))

    def _known(self, repository: Repository, wanted: Reference, platform: Platform | None) -> Descriptor | None:
        """What the registry has under a tag, if it is what is here under that tag, whole, for the right platform."""
        here = self._store.catalog().find(name_of(wanted))
        if here is None or wanted.digest is not None:
            return None
        there = repository.head(wanted.tag or "")
        if there is None:
            return None
        named = self._store.catalog().find(name_of(wanted.with_digest(there.digest)))
        if named is None or named.digest != here.digest:
            return None
        image = self._store.resolve(str(wanted))
        right = platform is None and there.digest == here.digest  # no index, so there was nothing to choose
        if not right and _platform(image.config) != (platform or host()):
            return None
        return there if self._is_whole(here, image.layers) else None

    def _is_whole(self, here: Descriptor, layers: Sequence[Digest]) -> bool:
        kept = all(self._store.blobs.has(layer.digest) for layer in self._store.read(here.digest, Manifest).layers)
        return kept and all(self._store.layers.has(chain) for chain in layers)


@contextlib.contextmanager
def _no_prompt() -> Iterator[None]:
    """Docker's client takes a 401 for the wish that it asks for a password, also where nobody is there to answer.

    Docker's server therefore answers 500 when it is a registry that wants one.
    """
    try:
        yield
    except Unauthorized as error:
        raise PydockerError(str(error)) from error


def _check_name(reference: Reference) -> None:
    """`FROM scratch` means no image at all: none is looked for."""
    if reference.familiar_name == "scratch":
        raise InvalidParameter("'scratch' is a reserved name")


def _platform(config: ImageConfig) -> Platform:
    return normalised(config.os or "linux", config.architecture, config.variant)


def _tell_limit(repository: Repository, tell: Tell) -> None:
    if repository.rate_limit is not None:
        tell(Progress("", str(repository.rate_limit)))
