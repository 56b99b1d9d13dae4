"""What `alpine`, `ghcr.io/a/b:1.2` and `localhost:5000/x@sha256:…` stand for.

    [domain[:port]/]path[:tag][@digest]        grammar: distribution/reference, reference.go

People type short names; Docker completes them. The text before the first slash is a domain only if it looks like one
(it has a dot, a colon or a capital, or is `localhost`); otherwise the domain is `docker.io`, and a path of one
component gets `library/` in front. `Reference` holds the complete form; `familiar()` gives back the short one.

A reference becomes a URL and an entry in the store, so exactly the grammar passes, and its length is checked first.
"""

import re
from dataclasses import dataclass, replace

from pydocker.errors import InvalidParameter
from pydocker.model import digest
from pydocker.model.digest import Digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
LONGEST_NAME = 255  # characters of domain and path together: Docker's limit

_LONGEST_TEXT = 1024  # name + tag + digest need at most 456; what is longer is not worth a match
_TOO_LONG = f"invalid reference format: repository name must not be more than {LONGEST_NAME} characters"
_LABEL = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"\w[\w.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_GRAMMAR = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)
_TAG_GRAMMAR = re.compile(_TAG, re.ASCII)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reference:
    """A complete image reference. Both `tag` and `digest` may be there: the digest then decides what is fetched."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        return self.name + self._suffix

    @property
    def name(self) -> str:
        """The full name of the repository, without tag and digest."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as people write it: `alpine`, not `docker.io/library/alpine`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        library, _, rest = self.path.partition("/")
        short = rest if f"{library}/" == OFFICIAL and rest and "/" not in rest else self.path
        # docker.io/my.name/x must not be shortened: `my.name` would be read as a domain
        return short if _complete(short) == (self.domain, self.path) else self.name

    def familiar(self) -> str:
        """The whole reference as people write it, tag and digest included."""
        return self.familiar_name + self._suffix

    def with_default_tag(self) -> "Reference":
        """With `latest` where neither tag nor digest was given."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def with_tag(self, tag: str) -> "Reference":
        """The same repository at `tag`, without digest. Raises InvalidParameter for a tag outside the grammar."""
        if not _TAG_GRAMMAR.fullmatch(tag):
            raise InvalidParameter("invalid tag format")
        return replace(self, tag=tag, digest=None)

    def with_digest(self, value: Digest) -> "Reference":
        """The same repository at a digest, without tag: `x@sha256:…`."""
        return replace(self, tag=None, digest=value)

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """Read a reference as Docker does. No tag is filled in: see `with_default_tag`.

    Raises InvalidParameter with Docker's words (`invalid reference format: repository name (…) must be lowercase`).
    """
    if len(text) > _LONGEST_TEXT:
        raise InvalidParameter(_TOO_LONG)
    if _IDENTIFIER.fullmatch(text):
        raise InvalidParameter(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, remainder = _complete(text)
    _require_lowercase(remainder)
    match = _GRAMMAR.fullmatch(f"{domain}/{remainder}")
    if match is None:
        raise InvalidParameter("invalid reference format")
    found = Reference(match["domain"], match["path"], match["tag"], _digest(match["digest"]))
    if len(found.name) > LONGEST_NAME:
        raise InvalidParameter(_TOO_LONG)
    return found


def split(text: str) -> tuple[str, str]:
    """The registry and the rest of a name that need not be complete (a search term): no `library/` is put in."""
    first, slash, rest = text.partition("/")
    if not slash or not _looks_like_domain(first):
        return DEFAULT_DOMAIN, text
    return (DEFAULT_DOMAIN if first == LEGACY_DOMAIN else first), rest


def _complete(text: str) -> tuple[str, str]:
    """Split into domain and the rest, both with Docker's defaults filled in."""
    first, slash, rest = text.partition("/")
    if not slash or not _looks_like_domain(first):
        domain, remainder = DEFAULT_DOMAIN, text
    else:
        domain, remainder = first, rest
    if domain == LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = OFFICIAL + remainder
    return domain, remainder


def _looks_like_domain(first: str) -> bool:
    return first == "localhost" or "." in first or ":" in first or first != first.lower()


def _require_lowercase(remainder: str) -> None:
    path = re.split("[:@]", remainder, maxsplit=1)[0]
    if path != path.lower():
        raise InvalidParameter(f"invalid reference format: repository name ({path}) must be lowercase")


def _digest(text: str | None) -> Digest | None:
    """A digest that is grammatical to Docker but not sha256 is refused by name, too: no other is ever verified here."""
    if text is None:
        return None
    try:
        return digest.parse(text)
    except InvalidParameter as error:
        raise InvalidParameter(f"invalid reference format: {error}") from error
