"""The archive of whole images that `save` writes and `load` reads: Docker's, which is an OCI image layout as well.

    blobs/sha256/<digest>    configs, manifests, and the layers as the store has them (compressed)
    oci-layout, index.json   OCI's way in     (image-layout.md): a descriptor for each name of each image
    manifest.json            Docker's way in  (image/spec/v1.2.md): config, names and layers, the files given by path
    repositories             Docker's first way in: name -> tag -> topmost layer

Docker has written all four since version 25. Of older archives, and of those that podman and skopeo write, each reader
takes the way in that it knows: skopeo's `docker-archive:` and Docker before 25 have only `manifest.json`, with paths
like `<id>/layer.tar` and links between them, and `oci-archive:` has only OCI's.

    archive_save      the images that were asked for -> a stream
    archive_tar       the few kinds of tar entries that it needs
    archive_load      a stream -> images: read all of it, decide, then act
    archive_members   the entries of a stranger's archive, by path, within limits
    archive_layers    a layer's archive that comes in -> a blob and a draft of the unpacked layer
    archive_images    which images the documents of an archive describe           (pure)
"""

import posixpath

import msgspec

from pydocker.layers.limits import ArchiveError
from pydocker.model import digest
from pydocker.model.digest import Digest

LAYOUT, INDEX, MANIFEST, REPOSITORIES = "oci-layout", "index.json", "manifest.json", "repositories"
BLOBS = "blobs/sha256"
LAYOUT_CONTENT = b'{"imageLayoutVersion":"1.0.0"}'
# A complete reference, which only containerd's and Docker's readers know; OCI's own annotation has no more than a tag.
IMAGE_NAME = "io.containerd.image.name"


class Saved(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One image in `manifest.json`. `config` and `layers` (the lowest first) are paths in the archive."""

    config: str
    repo_tags: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None


def blob_path(name: Digest) -> str:
    """Where the archive has a blob."""
    return f"{BLOBS}/{digest.encoded(name)}"


def inside(path: str, above: str = "") -> str:
    """`path`, as the directory `above` has it, without dots. Raises ArchiveError if it leads out of the archive.

    Nothing is ever made under such a path: all are keys of a table. But what leads out of one reader's table leads
    into another one's file system, and is no image's.
    """
    joined = posixpath.normpath(posixpath.join(above, path))
    if path.startswith("/") or joined == ".." or joined.startswith("../"):
        raise ArchiveError(f"{path[:256]!r}: leads out of the archive")
    return joined
