"""Images as documents: the OCI image spec's types, which read Docker's schema 2 as well (the fields are the same).

    index ──> manifest ──> config (what to run, which layers)
                     └───> layers (tar archives, usually gzip)
"""

import msgspec

from pydocker.model.digest import Digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = OCI_LAYER + "+gzip"
OCI_LAYER_ZSTD = OCI_LAYER + "+zstd"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_ZSTD = DOCKER_LAYER + ".zstd"  # containerd's

INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})


class PlatformFields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An index entry's platform (image-index.md): `amd64`, `arm64` + variant `v8`, …"""

    architecture: str = ""
    os: str = ""
    variant: str = ""


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A typed, sized, digested pointer to a blob (descriptor.md). `size` in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: dict[str, str] = {}
    platform: PlatformFields | None = None
    urls: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One image for one platform (manifest.md)."""

    schema_version: int
    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = ""


class Index(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Manifests by platform (image-index.md)."""

    schema_version: int
    manifests: tuple[Descriptor, ...]
    media_type: str = ""


class Healthcheck(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """How a container's health is asked for; times in nanoseconds, 0: the engine's own."""

    test: tuple[str, ...] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ImageDefaults(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The `config` object of an image's config: the only fields that an image may preset (SECURITY R10)."""

    user: str = ""
    exposed_ports: dict[str, dict[str, str]] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, dict[str, str]] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    healthcheck: Healthcheck | None = None
    on_build: tuple[str, ...] | None = None  # a Dockerfile's instructions for whoever builds on the image


class RootFS(msgspec.Struct, frozen=True):
    """The digests of the *uncompressed* layers, lowest first."""

    type: str
    diff_ids: tuple[Digest, ...]


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one layer (or one empty change) came about."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An image's config (config.md). Its digest is the image's id."""

    architecture: str
    os: str
    rootfs: RootFS
    config: ImageDefaults = ImageDefaults()
    created: str | None = None
    author: str = ""
    variant: str = ""
    history: tuple[History, ...] = ()


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is here: its id, its documents, every name that points to it.

    `names` are familiar `repository:tag`s, `digests` are familiar `repository@sha256:…`; `size` is in bytes, unpacked.
    """

    id: Digest
    manifest: Descriptor
    config: ImageConfig
    layers: tuple[Digest, ...]  # chain ids, lowest first
    size: int
    names: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
