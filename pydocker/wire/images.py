"""Images as the Engine API shows them (ImageSummary, ImageInspect, ImageDeleteResponseItem), and progress messages."""

import json
from collections.abc import Iterable

import msgspec

from pydocker.model.image import Image
from pydocker.paths import Paths
from pydocker.wire.times import from_rfc3339

Shape = dict[str, object]


def summary(image: Image, *, placeholders: bool = False) -> Shape:
    """One line of `GET /images/json`. -1 stands for what was not counted.

    `placeholders`: up to API 1.42 an image without names had `<none>`s; later clients expect empty lists.
    """
    nameless = placeholders and not image.names and not image.digests
    created = int(from_rfc3339(image.config.created or ""))
    return {
        "Id": image.id, "ParentId": "", "Containers": -1, "Created": created,
        "RepoTags": ["<none>:<none>"] if nameless else image.names,
        "RepoDigests": ["<none>@<none>"] if nameless else image.digests,
        "Labels": image.config.config.labels, "SharedSize": -1, "Size": image.size, "VirtualSize": image.size,
    }


def inspect(image: Image, paths: Paths) -> Shape:
    """`GET /images/{name}/json`."""
    config = image.config
    last = config.history[-1].comment if config.history else ""
    upper, *lower = [str(paths.layers / layer.partition(":")[2] / "diff") for layer in reversed(image.layers)] or [""]
    return {
        "Id": image.id, "RepoTags": image.names, "RepoDigests": image.digests, "Parent": "", "Comment": last,
        "Created": config.created or "", "DockerVersion": "", "Author": config.author, "Config": _config(image),
        "Architecture": config.architecture, "Variant": config.variant, "Os": config.os, "Size": image.size,
        "VirtualSize": image.size, "RootFS": {"Type": "layers", "Layers": config.rootfs.diff_ids},
        "GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": upper, "LowerDir": ":".join(lower)}},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }


def _config(image: Image) -> Shape:
    shape: Shape = msgspec.to_builtins(image.config.config)
    optional = {name for name in ("StopSignal", "ExposedPorts") if not shape[name]}
    return {
        "Hostname": "", "Domainname": "", "AttachStdin": False, "AttachStdout": False, "AttachStderr": False,
        "Tty": False, "OpenStdin": False, "StdinOnce": False, "Image": "", "OnBuild": None,
        **{name: value for name, value in shape.items() if name not in optional},
    }


def deleted(events: Iterable[tuple[str, str]]) -> list[Shape]:
    """`DELETE /images/{name}`: what became of which name or id."""
    return [{what: name} for what, name in events]


def progress(status: str, id: str = "", current: int = 0, total: int = 0) -> bytes:
    """One line of a pull's or an import's answer; `current` of `total` bytes, 0 where there is nothing to count."""
    detail = {"current": current, "total": total} if current or total else {}
    return _line({"status": status, **({"progressDetail": detail, "id": id} if id else {})})


def failed(message: str) -> bytes:
    """The line that ends an answer whose status had already been told: it failed all the same."""
    return _line({"errorDetail": {"message": message}, "error": message})


def _line(value: Shape) -> bytes:
    return json.dumps(value).encode() + b"\r\n"
