"""`docker save`: images as one archive, streamed from the blobs. See `archive` for the format.

Documents come first, so that a reader of the stream knows what follows. Layers are copied as they were pulled: nothing
is compressed or uncompressed, and the manifest is the registry's, byte by byte. Every blob is hashed on its way; one
that is damaged breaks the stream off, which no reader takes for the end of an archive.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from pydocker.errors import InvalidParameter, NotFound, PydockerError
from pydocker.images import archive, archive_tar, removal
from pydocker.images.archive import IMAGE_NAME, Saved, blob_path
from pydocker.images.catalog import REF_NAME
from pydocker.images.store import ImageStore
from pydocker.model import digest
from pydocker.model import reference as references
from pydocker.model.digest import Digest
from pydocker.model.image import OCI_INDEX, Descriptor, Image, Manifest
from pydocker.model.platform import Platform
from pydocker.model.reference import Reference

_PIECE = 1 << 20


class Chosen(NamedTuple):
    """One image with the names under which it is saved: those that were asked for, none if it was asked for by id."""

    image: Image
    names: tuple[Reference, ...]
    manifest: Manifest


def save(store: ImageStore, names: Sequence[str], platforms: Sequence[Platform] = ()) -> Iterator[bytes]:
    """The archive's bytes. Whatever can be known to be wrong beforehand is raised before the first of them.

    Raises NotFound for a name of nothing, or an image for none of `platforms` (if there are any), PydockerError for a
    blob that is missing or damaged.
    """
    with contextlib.ExitStack() as held:
        chosen = _choose(store, names, platforms)
        blobs = _blobs(chosen)
        held.enter_context(store.leasing([blob.digest for blob in blobs]))  # what went before that is missed below
        for blob in blobs:
            _check(store, blob)
        yield _head(chosen)
        for blob in blobs:
            yield from _copied(store, blob)
        yield archive_tar.END


def _choose(store: ImageStore, names: Sequence[str], platforms: Sequence[Platform]) -> list[Chosen]:
    if not names:
        raise InvalidParameter("no image was named")
    found: dict[Digest, Chosen] = {}
    for name in names:
        for tag in _tags(store, name) or (None,):
            image = store.resolve(str(tag) if tag else name)
            removal.check_platform(image, name, platforms)
            before = found.get(image.manifest.digest)
            tags = (*(before.names if before else ()), *((tag,) if tag else ()))
            found[image.manifest.digest] = Chosen(image, tuple(dict.fromkeys(tags)),
                                                  store.read(image.manifest.digest, Manifest))
    return list(found.values())


def _tags(store: ImageStore, name: str) -> list[Reference]:
    """The names that `name` stands for: a repository without a tag stands for all that it has here."""
    try:
        wanted = references.parse(name)
    except InvalidParameter:  # an id
        return []
    entries = (entry.annotations.get(REF_NAME) for entry in store.catalog().manifests)
    known = [references.parse(entry) for entry in entries if entry]
    return [] if wanted.digest else [
        tag for tag in known if tag.tag and tag.name == wanted.name and wanted.tag in (None, tag.tag)]


def _blobs(chosen: Iterable[Chosen]) -> list[Descriptor]:
    """All that the images have, each once: first the documents."""
    documents = [blob for one in chosen for blob in (one.image.manifest, one.manifest.config)]
    layers = [layer for one in chosen for layer in one.manifest.layers]
    return list({blob.digest: blob for blob in (*documents, *layers)}.values())


def _check(store: ImageStore, blob: Descriptor) -> None:
    try:
        size = store.blobs.path(blob.digest).stat().st_size
    except FileNotFoundError:
        raise NotFound(f"blob {blob.digest} is missing") from None
    if size != blob.size:
        raise _damaged(store, blob)


def _damaged(store: ImageStore, blob: Descriptor) -> PydockerError:
    return PydockerError(f"damaged blob {store.blobs.path(blob.digest)}: its content has another digest")


def _copied(store: ImageStore, blob: Descriptor) -> Iterator[bytes]:
    yield archive_tar.file_header(blob_path(blob.digest), blob.size)
    content, left = hashlib.sha256(), blob.size
    with store.blobs.path(blob.digest).open("rb", buffering=0) as file:
        while piece := file.read(min(_PIECE, left)):
            content.update(piece)
            left -= len(piece)
            yield piece
    if content.hexdigest() != digest.encoded(blob.digest):
        raise _damaged(store, blob)
    yield archive_tar.padding(blob.size)


def _head(chosen: Iterable[Chosen]) -> bytes:
    """Every entry before the blobs."""
    documents = {archive.LAYOUT: archive.LAYOUT_CONTENT, archive.INDEX: _index(chosen),
                 archive.MANIFEST: msgspec.json.encode([_saved(one) for one in chosen])}
    if repositories := _repositories(chosen):
        documents[archive.REPOSITORIES] = msgspec.json.encode(repositories)
    return b"".join((archive_tar.directory("blobs"), archive_tar.directory(archive.BLOBS),
                     *(archive_tar.file(path, content) for path, content in documents.items())))


def _index(chosen: Iterable[Chosen]) -> bytes:
    entries = [msgspec.structs.replace(one.image.manifest, annotations=annotations)
               for one in chosen for annotations in _annotations(one.names)]
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


def _annotations(names: Sequence[Reference]) -> list[dict[str, str]]:
    """For each entry of the index: one for each name, and one for an image without any."""
    return [{IMAGE_NAME: str(name), REF_NAME: name.tag or ""} for name in names] or [{}]


def _saved(one: Chosen) -> Saved:
    return Saved(config=blob_path(one.image.id), repo_tags=tuple(name.familiar() for name in one.names) or None,
                 layers=tuple(blob_path(layer.digest) for layer in one.manifest.layers))


def _repositories(chosen: Iterable[Chosen]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for one in chosen:
        for name in one.names if one.manifest.layers else ():
            top = digest.encoded(one.manifest.layers[-1].digest)
            found.setdefault(name.familiar_name, {})[name.tag or ""] = top
    return found
