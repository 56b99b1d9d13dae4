"""Which images an archive's documents describe. Pure: a table of documents in, what is to be made out.

    manifest.json        is believed first, where it is there, as Docker, containerd and podman do
    index.json           else; and from it comes the manifest of an image that manifest.json describes

A document is what `registry.manifest` lets pass of a registry's: one way only to read it. Platforms are chosen as for
a pull, except that an archive of Docker's, whose images have no platform beside their config, gives all that it has.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from pydocker.errors import InvalidParameter, NotFound, NotSupported, PydockerError, Unavailable
from pydocker.images.archive import IMAGE_NAME, INDEX, LAYOUT, MANIFEST, REPOSITORIES, Saved, blob_path, inside
from pydocker.images.catalog import REF_NAME, new_name
from pydocker.images.documents import config_of
from pydocker.layers.limits import ArchiveError
from pydocker.model import digest
from pydocker.model import reference as references
from pydocker.model.digest import Digest
from pydocker.model.image import INDEXES, MANIFESTS, OCI_INDEX, Descriptor, ImageConfig, Index, Manifest
from pydocker.model.platform import Platform, candidates, choose, host, is_attestation, normalised
from pydocker.model.reference import Reference
from pydocker.registry import manifest as documents
from pydocker.registry.manifest import Fetched

MOST_IMAGES = 4096  # and as many names: the catalog is made anew for each, under a lock that everybody waits for
MOST_BYTES = 32 << 20  # of documents that are made use of; decoded, some become thirty times as large
_OLD = "an archive of Docker before 1.10 is not supported: load it with Docker 1.10 to 26, and save it anew"


class Table(Protocol):
    """The archive's documents by path."""

    def __contains__(self, path: str) -> bool: ...
    def document(self, path: str) -> bytes: ...


class _Documents:
    """The same within limits: a document of 4 MiB is soon said to be the config of 250,000 images."""

    def __init__(self, table: Table) -> None:
        self._table, self._left = table, MOST_BYTES
        self._configs: dict[str, tuple[bytes, ImageConfig]] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._table

    def document(self, path: str) -> bytes:
        content = self._table.document(path)
        self._use(path, content)
        return content

    def config(self, path: str) -> tuple[bytes, ImageConfig]:
        """Read once, but counted for each image: whoever makes it digests the config again."""
        if path not in self._configs:
            content = self._table.document(path)
            self._configs[path] = content, _config(content, path)
        self._use(path, self._configs[path][0])
        return self._configs[path]

    def _use(self, path: str, content: bytes) -> None:
        self._left -= len(content)
        if self._left < 0:
            raise ArchiveError(f"{path}: with this, the images' documents have more than {MOST_BYTES} bytes")


class Original(NamedTuple):
    """A manifest of the archive."""

    fetched: Fetched
    manifest: Manifest

    @property
    def layers(self) -> tuple[str, ...]:
        """Where the archive has them."""
        return tuple(blob_path(layer.digest) for layer in self.manifest.layers)


class Found(NamedTuple):
    """One image. `layers` are paths in the archive, the lowest first; `original` is None if that has no manifest."""

    names: tuple[Reference, ...]
    config: ImageConfig
    config_content: bytes
    layers: tuple[str, ...]
    original: Original | None

    @property
    def platform(self) -> Platform:
        return normalised(self.config.os or "linux", self.config.architecture, self.config.variant)


def find(table: Table, platforms: Sequence[Platform] = ()) -> list[Found]:
    """The images of the archive, for any of `platforms` if there are some.

    Raises ArchiveError for documents that are damaged or contradict each other, NotFound if there is none for the
    platform, NotSupported for what another system's images are.
    """
    within = _Documents(table)
    saved = _saved(within) if MANIFEST in table else []
    if not saved and INDEX not in table:
        raise ArchiveError(_OLD if REPOSITORIES in table else f"not an archive of images: no {MANIFEST}, no {INDEX}")
    try:
        images = _by_manifest(within, saved, platforms) if saved else _by_index(within, platforms)
    except Unavailable as error:  # of a registry's document; here nobody else is to blame
        raise ArchiveError(str(error)) from error
    for image in images:
        _check(image)
    return images


# -- Docker's way in -------------------------------------------------------------------------------------


def _saved(table: _Documents) -> list[Saved]:
    try:
        return msgspec.json.decode(table.document(MANIFEST), type=list[Saved])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ArchiveError(f"{MANIFEST}: not a valid document: {error}") from error


def _by_manifest(table: _Documents, saved: Sequence[Saved], platforms: Sequence[Platform]) -> list[Found]:
    _require_few(MANIFEST, max(len(saved), sum(len(one.repo_tags or ()) for one in saved)))
    originals = {(original.manifest.config.digest, original.layers): original for original in _originals(table)}
    images: dict[tuple[str, tuple[str, ...]], Found] = {}
    for one in saved:
        key = path, layers = inside(one.config), tuple(map(inside, one.layers or ()))
        if key not in images:
            content, config = table.config(path)
            images[key] = Found((), config, content, layers, originals.get((digest.of(content), layers)))
        images[key] = _named(images[key], (_tag(name, MANIFEST) for name in one.repo_tags or ()))
    found = list(images.values())
    wanted = [image for image in found if not platforms or any(image.platform in candidates(p) for p in platforms)]
    if not wanted:
        raise NotFound(f"no image for {_any(platforms)} in the archive: it has {_any([i.platform for i in found])}")
    return wanted


def _originals(table: _Documents) -> Iterator[Original]:
    """Every manifest that the index leads to and that the archive has: another platform's may have been left out."""
    if INDEX not in table or LAYOUT not in table:
        return
    entries = list(_index(table).manifests)
    seen: set[Digest] = set()
    while entries:
        entry = entries.pop()
        if (entry.digest in seen or blob_path(entry.digest) not in table
                or entry.media_type not in MANIFESTS | INDEXES):
            continue
        seen.add(entry.digest)
        fetched = _fetched(table, entry)
        document = documents.decode(fetched)
        if isinstance(document, Manifest):
            yield Original(fetched, document)
        else:  # indexes within it are left alone: no archive that has manifest.json, too, has them
            entries += [inner for inner in document.manifests if inner.media_type in MANIFESTS]


def _tag(text: str, where: str) -> Reference:
    try:
        name = references.parse(text)
    except InvalidParameter as error:
        raise ArchiveError(f"{where}: {text[:300]!r}: {error}") from error
    if name.tag is None or name.digest is not None:
        raise ArchiveError(f"{where}: invalid tag {text[:300]!r}")
    return _allowed(name, where)


# -- OCI's way in ----------------------------------------------------------------------------------------


def _by_index(table: _Documents, platforms: Sequence[Platform]) -> list[Found]:
    images: dict[Digest, Found] = {}
    groups = _grouped(_index(table).manifests)
    _require_few(INDEX, len(groups))
    for name, entries in groups:
        for entry in _chosen(table, entries, platforms or (host(),), forced=bool(platforms)):
            image = images[entry.digest] if entry.digest in images else _read(table, entry)
            images[entry.digest] = _named(image, () if name is None else (name,))
    if not images:
        raise ArchiveError(f"{INDEX}: no image in it")
    return list(images.values())


def _index(table: _Documents) -> Index:
    content = table.document(INDEX)
    try:
        document = documents.decode(Fetched(OCI_INDEX, digest.of(content), content))
    except PydockerError as error:
        raise ArchiveError(f"{INDEX}: {error}") from error
    assert isinstance(document, Index)
    return document


def _grouped(entries: Sequence[Descriptor]) -> list[tuple[Reference | None, list[Descriptor]]]:
    """Entries of the same name are one image for several platforms, and so are nameless ones with platforms."""
    groups: dict[str, tuple[Reference | None, list[Descriptor]]] = {}
    for entry in entries:
        if entry.media_type not in MANIFESTS | INDEXES or is_attestation(entry):
            continue
        name = _name(entry)
        key = str(name) if name else "" if entry.platform else entry.digest
        groups.setdefault(key, (name, []))[1].append(entry)
    return list(groups.values())


def _name(entry: Descriptor) -> Reference | None:
    """The complete reference that an entry is annotated with. `1.2` alone is a tag of nobody knows what."""
    text = entry.annotations.get(IMAGE_NAME) or entry.annotations.get(REF_NAME, "")
    if ":" not in text and "/" not in text:
        return None
    try:
        name = references.parse(text).with_default_tag()
    except InvalidParameter as error:
        raise ArchiveError(f"{INDEX}: {text[:300]!r}: {error}") from error
    return None if name.digest else _allowed(name, INDEX)  # what a registry calls it, only that registry can say


def _chosen(table: _Documents, entries: Sequence[Descriptor], platforms: Sequence[Platform], *, forced: bool
            ) -> list[Descriptor]:
    """The manifests to load: one of a group, unless several platforms were asked for."""
    if len(entries) == 1 and entries[0].media_type in INDEXES:
        document = documents.decode(_fetched(table, entries[0]))
        assert isinstance(document, Index)
        entries = document.manifests
    elif len(entries) == 1 and not (forced or entries[0].platform):
        return [entries[0]]
    found: dict[Digest, Descriptor] = {}
    for platform in platforms:
        entry = choose(entries, platform)
        if entry.media_type in INDEXES:
            raise NotSupported(f"{blob_path(entry.digest)}: an index inside an index is not supported")
        found[entry.digest] = entry
    return list(found.values())


def _read(table: _Documents, entry: Descriptor) -> Found:
    fetched = _fetched(table, entry)
    manifest = documents.decode(fetched)
    if not isinstance(manifest, Manifest):
        raise ArchiveError(f"{blob_path(entry.digest)}: is an index, where a manifest is expected")
    content, config = table.config(blob_path(manifest.config.digest))
    original = Original(fetched, manifest)
    return Found((), config, content, original.layers, original)


def _fetched(table: _Documents, entry: Descriptor) -> Fetched:
    return Fetched(entry.media_type, entry.digest, table.document(blob_path(entry.digest)))


# -- both ------------------------------------------------------------------------------------------------


def _require_few(where: str, count: int) -> None:
    if count > MOST_IMAGES:
        raise ArchiveError(f"{where}: {count} images or names of images, at most {MOST_IMAGES}")


def _named(image: Found, names: Iterable[Reference]) -> Found:
    return image._replace(names=(*image.names, *names))


def _allowed(name: Reference, where: str) -> Reference:
    try:
        new_name(name)
    except InvalidParameter as error:
        raise ArchiveError(f"{where}: {error}: {name.familiar()}") from error
    return name


def _config(content: bytes, path: str) -> ImageConfig:
    try:
        return config_of(content)
    except PydockerError as error:
        raise ArchiveError(f"{path}: {error}") from error


def _check(image: Found) -> None:
    rootfs = image.config.rootfs
    if rootfs.type != "layers":
        raise ArchiveError(f"image config {digest.of(image.config_content)}: rootfs of type {rootfs.type[:20]!r}")
    for diff_id in rootfs.diff_ids:
        digest.parse(diff_id)
    if len(rootfs.diff_ids) != len(image.layers):
        raise ArchiveError("invalid manifest, layers length mismatch: "
                           f"expected {len(rootfs.diff_ids)}, got {len(image.layers)}")
    if image.platform.os != "linux":
        raise NotSupported(f'image operating system "{image.platform.os[:20]}" cannot be used on this platform')


def _any(platforms: Sequence[Platform]) -> str:
    return ", ".join(dict.fromkeys(map(str, platforms))) or "nothing"
