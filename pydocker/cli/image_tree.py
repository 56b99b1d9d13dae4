"""`pydocker images --tree`: each image with the platforms it is here for, and what they take of the disk."""

from collections.abc import Iterator, Sequence

from pydocker.cli import phrases, table
from pydocker.client.answers import ImageSummary, Manifest

_HEADINGS = ("IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA")
_LEGEND = "i Info →   U  In Use"


def drawn(images: Sequence[ImageSummary], *, whole: bool) -> str:
    """The whole picture; `whole` ids are not shortened."""
    text = table.aligned([_HEADINGS, *(line for image in images for line in _lines(image, whole))])
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join([f"{_LEGEND:>{max(map(len, lines))}}", *lines, ""])


def _lines(image: ImageSummary, whole: bool) -> Iterator[Sequence[str]]:
    """The image under each of its names, then one line for each platform."""
    manifests = [manifest for manifest in image.manifests or () if manifest.kind == "image"]
    names = [name for name in image.repo_tags or () if name != "<none>:<none>"] or ["<untagged>"]
    content = sum(manifest.size.content for manifest in manifests)
    sizes = phrases.decimal_size(image.size), phrases.decimal_size(content)
    used = "U" if any(_containers(manifest) for manifest in manifests) else ""
    for name in names[:-1]:
        yield name, "", "", "", ""
    yield names[-1], _id(image.id, whole), *sizes, used
    for manifest in manifests:
        yield _child(manifest, whole, last=manifest is manifests[-1])


def _child(manifest: Manifest, whole: bool, *, last: bool) -> Sequence[str]:
    used = "U" if _containers(manifest) else ""
    return (f"{'└─' if last else '├─'} {_platform(manifest)}", _id(manifest.id, whole),
            phrases.decimal_size(manifest.size.total), phrases.decimal_size(manifest.size.content), used)


def _containers(manifest: Manifest) -> Sequence[str]:
    return (manifest.data.containers or ()) if manifest.data else ()


def _platform(manifest: Manifest) -> str:
    if manifest.data is None:
        return "unknown"
    platform = manifest.data.platform
    return "/".join(filter(None, (platform.os, platform.architecture, platform.variant)))


def _id(id: str, whole: bool) -> str:
    return id if whole else phrases.short_id(id)
