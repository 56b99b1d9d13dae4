"""Images as the Engine API shows them (ImageSummary, ImageInspect, ImageDeleteResponseItem), and progress messages."""

import json
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pydocker.model.image import Descriptor, Image
from pydocker.model.stack import Share
from pydocker.model.usage import Bytes, ImageUsage
from pydocker.paths import Paths
from pydocker.wire.times import from_rfc3339

Shape = dict[str, object]
_ONLY_SHOWN = ("ArgsEscaped", "Healthcheck", "OnBuild", "Shell", "StopTimeout")


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


def counted(usage: ImageUsage, *, shared: bool, manifests: bool, placeholders: bool = False) -> Shape:
    """The same, with what `shared-size=1` and `manifests=1` ask for.

    The sizes of manifests are what they take of the disk, so that of the image above them is as well.
    """
    shape = summary(usage.image, placeholders=placeholders)
    if shared:
        shape["SharedSize"] = usage.shared.total if manifests else usage.shared.unpacked
    if manifests:
        shape["Size"] = shape["VirtualSize"] = usage.size.total
        shape["Manifests"] = [_manifest(usage, entry, content) for entry, content in usage.manifests]
    return shape


def _manifest(usage: ImageUsage, entry: Descriptor, content: int) -> Shape:
    """One ImageManifestSummary."""
    config, size = usage.image.config, Bytes(content, usage.size.unpacked)
    platform = {"architecture": config.architecture, "os": config.os or "linux"}
    return {
        "ID": entry.digest, "Available": True, "Kind": "image",
        "Descriptor": {"mediaType": entry.media_type, "digest": entry.digest, "size": entry.size},
        "Size": {"Content": size.content, "Total": size.total},
        "ImageData": {"Platform": platform | ({"variant": config.variant} if config.variant else {}),
                      "Containers": usage.containers, "Size": {"Unpacked": size.unpacked}},
    }


def layers(image: Image, shares: Sequence[Share]) -> list[Shape]:
    """`GET /pydocker/images/{name}/layers`, lowest first: each layer's share, and the instruction that made it."""
    made = [entry.created_by for entry in image.config.history if not entry.empty_layer]
    instructions = made if len(made) == len(shares) else [""] * len(shares)
    return [{
        "ID": chain, "DiffID": diff_id, "CreatedBy": instruction, "Size": share.size, "Wasted": share.wasted,
        "Added": share.added, "Changed": share.changed, "Removed": share.removed,
    } for chain, diff_id, instruction, share in zip(
        image.layers, image.config.rootfs.diff_ids, instructions, shares, strict=True)]


def history(image: Image, sizes: Sequence[int]) -> list[Shape]:
    """`GET /images/{name}/history`, the newest change first; `sizes` are the layers', lowest first.

    Only the uppermost entry is an image here (it has the id and the tags); what it was built from is not known.
    """
    layers = iter(sizes)
    told: list[Shape] = [{
        "Id": "<missing>", "Created": int(from_rfc3339(entry.created)), "CreatedBy": entry.created_by, "Tags": None,
        "Size": 0 if entry.empty_layer else next(layers, 0), "Comment": entry.comment,
    } for entry in image.config.history] or [
        {"Id": "<missing>", "Created": 0, "CreatedBy": "", "Tags": None, "Size": size, "Comment": ""} for size in sizes]
    if told:
        told[-1] |= {"Id": image.id, "Tags": image.names or None}
    return told[::-1]


def pruned(removed: Iterable[tuple[str, str]], freed: int) -> Shape:
    """`POST /images/prune`."""
    return {"ImagesDeleted": deleted(removed) or None, "SpaceReclaimed": freed}


def inspect(image: Image, paths: Paths, document: Mapping[str, object], *, virtual: bool = False) -> Shape:
    """`GET /images/{name}/json`. `document` is the image's config as it came; `virtual`: up to API 1.43."""
    config = image.config
    last = config.history[-1].comment if config.history else ""
    upper, *lower = [str(paths.layers / layer.partition(":")[2] / "diff") for layer in reversed(image.layers)] or [""]
    return {
        "Id": image.id, "RepoTags": image.names, "RepoDigests": image.digests, "Parent": "", "Comment": last,
        "Created": config.created or "", "DockerVersion": str(document.get("docker_version") or ""),
        "Author": config.author, "Config": _config(image, document), "Architecture": config.architecture,
        **({"Variant": config.variant} if config.variant else {}), "Os": config.os, "Size": image.size,
        **({"VirtualSize": image.size} if virtual else {}),
        "GraphDriver": {"Name": "overlay2", "Data": {
            **({"LowerDir": ":".join(lower)} if lower else {}), "UpperDir": upper}},
        "RootFS": {"Type": "layers", "Layers": config.rootfs.diff_ids},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }


def _config(image: Image, document: Mapping[str, object]) -> Shape:
    """The presets, and what an image may say besides: it is shown, as Docker shows it, and steers nothing."""
    shape: Shape = msgspec.to_builtins(image.config.config)
    optional = {name for name in ("StopSignal", "ExposedPorts", "Healthcheck") if not shape[name]}
    said = document.get("config")
    more = {name: said[name] for name in _ONLY_SHOWN if name in said} if isinstance(said, dict) else {}
    return {
        "Hostname": "", "Domainname": "", "AttachStdin": False, "AttachStdout": False, "AttachStderr": False,
        "Tty": False, "OpenStdin": False, "StdinOnce": False, "Image": "", "OnBuild": None,
        **{name: value for name, value in shape.items() if name not in optional}, **more,
    }


def deleted(events: Iterable[tuple[str, str]]) -> list[Shape]:
    """`DELETE /images/{name}`: what became of which name or id."""
    return [{what: name} for what, name in events]


def progress(status: str, id: str = "", current: int = 0, total: int = 0) -> bytes:
    """One line of a pull's or an import's answer; `current` of `total` bytes, 0 where there is nothing to count."""
    detail = {"current": current, "total": total} if current or total else {}
    named = {"progressDetail": detail, "id": id} if id else {"progressDetail": detail} if detail else {}
    return _line({"status": status, **named})


def said(text: str) -> bytes:
    """A line for a person, of a load's or a build's answer."""
    return _line({"stream": f"{text}\n"})


def aux(found: Mapping[str, object]) -> bytes:
    """A line for programs: what a push has made (`{"Tag": …, "Digest": …, "Size": …}`)."""
    return _line({"progressDetail": {}, "aux": dict(found)})


def failed(message: str) -> bytes:
    """The line that ends an answer whose status had already been told: it failed all the same."""
    return _line({"errorDetail": {"message": message}, "error": message})


def _line(value: Shape) -> bytes:
    return json.dumps(value).encode() + b"\r\n"
