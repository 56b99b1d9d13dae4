"""Which documents are accepted, and what they must say (OCI image spec; Docker's manifest schema 2).

A manifest decides which bytes become an image, so there must be one way only to read it:

- its digest was verified before it is parsed
- its media type comes from the Content-Type header, and a `mediaType` inside has to be the same
- an index has `manifests`, a manifest has `layers`, and neither has the other's, in any capitalisation (Go's decoder
  does not mind case): engines disagreeing about such a document was CVE-2021-41190
- no key stands in an object twice
- every digest is one, every size is not negative, and every media type is one that can be unpacked
"""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from pydocker.errors import InvalidParameter, NotSupported, Unavailable
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.model.image import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LAYER_ZSTD,
    DOCKER_MANIFEST,
    INDEXES,
    MANIFESTS,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
)
from pydocker.registry.plain import plain

LONGEST = 4 * 1024 * 1024  # bytes: what the distribution spec asks registries to accept, and no real one comes near
ACCEPTED = (OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST)
_CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
_LAYERS = frozenset({OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, DOCKER_LAYER, DOCKER_LAYER_GZIP,
                     DOCKER_LAYER_ZSTD})
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
_KEYS = frozenset({"manifests", "layers", "config", "fslayers", "schemaversion", "mediatype"})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as it came: `content` is exactly the bytes that `digest` names."""

    media_type: str
    digest: Digest
    content: bytes

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEXES


def check_media_type(header: str, subject: str) -> str:
    """The media type that a Content-Type header names. Raises NotSupported for one that is no image, by its name."""
    media_type = header.partition(";")[0].strip()
    if media_type.startswith(_SCHEMA_1):
        raise NotSupported(
            f"{subject}: docker image manifest version 2, schema 1 is not supported: "
            "ask the author of the image for the OCI format or schema 2"
        )
    if media_type not in INDEXES | MANIFESTS:
        raise NotSupported(f'{subject}: unsupported manifest media type "{plain(media_type)}"')
    return media_type


def decode(fetched: Fetched) -> Manifest | Index:
    """Read a verified document. Raises Unavailable (with the JSON path) for one that breaks a rule of this module."""
    subject = f"manifest {fetched.digest}"
    _check_keys(fetched, subject)
    expected: type[Manifest] | type[Index] = Index if fetched.is_index else Manifest
    try:
        document = msgspec.json.decode(fetched.content, type=expected)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Unavailable(f"{subject}: not a valid document: {plain(error)}") from error
    if document.schema_version != 2:
        raise Unavailable(f"{subject}: schemaVersion should be 2, not {document.schema_version}")
    if document.media_type not in ("", fetched.media_type):
        raise Unavailable(
            f"{subject}: mediaType in manifest should be '{fetched.media_type}' not '{plain(document.media_type)}'"
        )
    _check_descriptors(document, subject)
    return document


def _check_keys(fetched: Fetched, subject: str) -> None:
    try:
        top = json.loads(fetched.content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"{subject}: not a valid document: {plain(error)}") from error
    if not isinstance(top, dict):
        raise Unavailable(f"{subject}: not a valid document: expected an object")
    folded = [key.lower() for key in top if key.lower() in _KEYS]
    foreign = {"layers", "config", "fslayers"} if fetched.is_index else {"manifests", "fslayers"}
    if len(set(folded)) != len(folded) or foreign.intersection(folded):
        kind = "an index" if fetched.is_index else "a manifest"
        raise Unavailable(f"{subject}: ambiguous document: {kind} with keys {', '.join(sorted(folded))}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in one object twice")
    return found


def _check_descriptors(document: Manifest | Index, subject: str) -> None:
    if isinstance(document, Index):
        for at, entry in enumerate(document.manifests):
            _check(entry, f"{subject}: $.manifests[{at}]")
        return
    _check(document.config, f"{subject}: $.config", _CONFIGS)
    for at, layer in enumerate(document.layers):
        _check(layer, f"{subject}: $.layers[{at}]", _LAYERS)


def _check(descriptor: Descriptor, where: str, known: frozenset[str] | None = None) -> None:
    """An index may point to things that are no images (they are skipped by platform), a manifest may not."""
    try:
        digest.parse(descriptor.digest)
    except InvalidParameter as error:
        raise Unavailable(f"{where}: {plain(error)}") from error
    if descriptor.size < 0:
        raise Unavailable(f"{where}: negative size")
    if known is not None and descriptor.media_type not in known:
        raise NotSupported(f'{where}: unsupported media type "{plain(descriptor.media_type)}"')
