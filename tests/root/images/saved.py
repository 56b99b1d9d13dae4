"""Archives of images for the tests, in each of the forms that are about. Values: a table of files, then bytes."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping

from pydocker.model.image import DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_MANIFEST
from tests.root.layers.archive import Made, archive, entry

Files = dict[str, bytes]


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob(files: Files, content: bytes, media_type: str = "") -> dict[str, object]:
    """Put a blob into a layout: its descriptor."""
    files[f"blobs/sha256/{sha(content)}"] = content
    return {"mediaType": media_type, "digest": f"sha256:{sha(content)}", "size": len(content)}


def config(*layers: bytes, **fields: object) -> bytes:
    return json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}, "rootfs": {
        "type": "layers", "diff_ids": [f"sha256:{sha(layer)}" for layer in layers]}, **fields}).encode()


def legacy(*layers: bytes, names: tuple[str, ...] = ("box:1",), settings: bytes = b"") -> Files:
    """As `docker save` wrote it before version 25: a directory for each layer, with files that nobody reads."""
    settings = settings or config(*layers)
    files = {f"{sha(settings)}.json": settings}
    for number, layer in enumerate(layers):
        files |= {f"{number:064x}/VERSION": b"1.0", f"{number:064x}/json": b'{"id":"x"}',
                  f"{number:064x}/layer.tar": layer}
    files["manifest.json"] = json.dumps([{"Config": f"{sha(settings)}.json", "RepoTags": names, "Layers": [
        f"{number:064x}/layer.tar" for number in range(len(layers))]}]).encode()
    return {**files, "repositories": b"{}"}


def layout(*layers: bytes, pack: Callable[[bytes], bytes] = gzip.compress, name: str = "h.example/box:1",
           settings: bytes = b"", **entry_fields: object) -> Files:
    """An OCI layout with one image, whose documents are Docker's."""
    files: Files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
        "config": blob(files, settings or config(*layers), DOCKER_CONFIG),
        "layers": [blob(files, pack(layer), DOCKER_LAYER_GZIP) for layer in layers]}, indent=3).encode()
    descriptor = blob(files, manifest, DOCKER_MANIFEST) | entry_fields
    if name:
        descriptor["annotations"] = {"org.opencontainers.image.ref.name": name}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()
    return files


def packed(files: Mapping[str, bytes], *more: Made) -> bytes:
    return archive([*(entry(path, content=content) for path, content in files.items()), *more])


def pieces(data: bytes, size: int = 4096) -> Iterator[bytes]:
    return (data[at:at + size] for at in range(0, len(data), size))
