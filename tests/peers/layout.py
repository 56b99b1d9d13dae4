"""Small images made by hand, as OCI layouts: for what is about transport and not about content."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
Document = dict[str, Any]


class Layout:
    """An OCI layout that grows in `directory`; `oci:<directory>:<tag>` is its name for skopeo and umoci."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self._tags: list[Document] = []

    @property
    def blobs(self) -> Path:
        return self.directory / "blobs" / "sha256"

    def blob(self, media_type: str, content: bytes) -> Document:
        """Store a blob and describe it."""
        digest = hashlib.sha256(content).hexdigest()
        (self.directory / "blobs" / "sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def image(self, layers: Iterable[bytes], architecture: str = "amd64", **config: Any) -> Document:
        """Store an image of uncompressed tar archives; returns its manifest's descriptor."""
        archives = list(layers)
        document = {
            "architecture": architecture, "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(a).hexdigest()}" for a in archives]},
        }
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": self.blob(CONFIG, json.dumps(document).encode()),
            "layers": [self.blob(LAYER, gzip.compress(archive, 1, mtime=0)) for archive in archives],
        }
        described = self.blob(MANIFEST, json.dumps(manifest).encode())
        return described | {"platform": {"os": "linux", "architecture": architecture}}

    def index(self, entries: Iterable[Document]) -> Document:
        """Store an index of images for several platforms."""
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}
        return self.blob(INDEX, json.dumps(document).encode())

    def tag(self, name: str, described: Document) -> str:
        """Give an image or an index a name; returns skopeo's notation for it."""
        self._tags.append(described | {"annotations": {"org.opencontainers.image.ref.name": name}})
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self._tags}
        (self.directory / "index.json").write_text(json.dumps(document))
        return f"oci:{self.directory}:{name}"


def archive(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of regular files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()
