"""`pydocker system df`: how much of the disk is whose, and how much of it could go."""

from collections.abc import Mapping, Sequence

from pydocker.cli import images as image_list
from pydocker.cli import phrases, ps, table
from pydocker.cli.command import NONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import switch, value
from pydocker.cli.session import Session
from pydocker.client import upkeep
from pydocker.client.answers import ContainerSummary, ImageSummary
from pydocker.client.upkeep import Build, Usage, Volume
from pydocker.wire.times import from_rfc3339

HEADINGS = {"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE"}
_IMAGE_COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
_CONTAINER_COLUMNS = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
_VOLUME_HEADINGS = {"Name": "VOLUME NAME", "Links": "LINKS", "Size": "SIZE"}
_BUILD_HEADINGS = {"ID": "CACHE ID", "CacheType": "CACHE TYPE", "Size": "SIZE", "CreatedSince": "CREATED",
                   "LastUsedSince": "LAST USED", "UsageCount": "USAGE", "Shared": "SHARED"}
_ACTIVE = frozenset(("running", "paused", "restarting"))


def df(session: Session, arguments: tuple[str, ...], *, format: str | None, verbose: bool) -> int:
    """Print one line for each kind of thing, or each thing."""
    usage = upkeep.usage(session.client())
    if verbose:
        session.write(_details(usage, format))
    else:
        session.write(table.shown(_rows(usage), HEADINGS, tuple(HEADINGS), format,
                                  "*formatter.diskUsageImagesContext"))
    return 0


def _rows(usage: Usage) -> list[table.Row]:
    images, containers = usage.images or (), usage.containers or ()
    volumes, builds = usage.volumes or (), usage.build_cache or ()
    kept = sum(image.size - image.shared_size for image in images if image.containers)
    idle = [container for container in containers if container.state not in _ACTIVE]
    unused = [volume for volume in volumes if not _links(volume)]
    spare = sum(build.size for build in builds if not build.in_use)
    return [
        _row("Images", len(images), sum(image.containers > 0 for image in images), usage.layers_size,
             usage.layers_size - kept),
        _row("Containers", len(containers), len(containers) - len(idle), sum(it.size_rw for it in containers),
             sum(container.size_rw for container in idle)),
        _row("Local Volumes", len(volumes), len(volumes) - len(unused), sum(map(_size, volumes)),
             sum(map(_size, unused))),
        {**_row("Build Cache", len(builds), sum(build.in_use for build in builds), sum(it.size for it in builds), 0),
         "Reclaimable": phrases.decimal_size(spare, 4)},
    ]


def _row(kind: str, total: int, active: int, size: int, reclaimable: int) -> table.Row:
    percent = f" ({reclaimable * 100 // size}%)" if size > 0 else ""
    return {"Type": kind, "TotalCount": str(total), "Active": str(active), "Size": phrases.decimal_size(size, 4),
            "Reclaimable": phrases.decimal_size(reclaimable, 4) + percent}


def _details(usage: Usage, format: str | None) -> str:
    whole = format not in (None, "table")
    images = [_image(image, whole) for image in usage.images or ()]
    containers = [_container(container, whole) for container in usage.containers or ()]
    volumes, builds = [_volume(it) for it in usage.volumes or ()], [_build(it) for it in usage.build_cache or ()]
    if whole:
        all_ = {"Images": images, "Containers": containers, "Volumes": volumes, "BuildCache": builds}
        return _through(str(format), all_) + "\n"
    cache = phrases.decimal_size(sum(build.size for build in usage.build_cache or ()), 4)
    return "\n".join((
        "Images space usage:\n", _table(images, image_list.HEADINGS, _IMAGE_COLUMNS),
        "Containers space usage:\n", _table(containers, ps.HEADINGS, _CONTAINER_COLUMNS),
        "Local Volumes space usage:\n", _table(volumes, _VOLUME_HEADINGS, tuple(_VOLUME_HEADINGS)),
        f"Build cache usage: {cache}\n", _table(builds, _BUILD_HEADINGS, tuple(_BUILD_HEADINGS))))


def _through(format: str, everything: Mapping[str, Sequence[table.Row]]) -> str:
    from pydocker.cli import template

    rows = {name: [template.Row(row) for row in found] for name, found in everything.items()}
    try:
        filled = template.compile("{{json .}}" if format == "json" else format)
        return filled(template.Row(rows, "*formatter.diskUsageContext"))
    except template.TemplateError as error:
        raise CommandError(f"template parsing error: {error}") from error


def _table(rows: Sequence[table.Row], headings: Mapping[str, str], columns: Sequence[str]) -> str:
    return table.shown(rows, headings, columns, None)


def _image(image: ImageSummary, whole: bool) -> table.Row:
    """One line for each image, under its first name."""
    return {**next(image_list.rows(image, whole, False)),
            "Digest": "", "SharedSize": phrases.decimal_size(image.shared_size, 4),
            "UniqueSize": phrases.decimal_size(image.size - image.shared_size, 4)}


def _container(container: ContainerSummary, whole: bool) -> table.Row:
    return {**ps.row(container, whole), "Size": phrases.decimal_size(container.size_rw)}


def _links(volume: Volume) -> int:
    return volume.usage_data.ref_count if volume.usage_data else 0


def _size(volume: Volume) -> int:
    return max(volume.usage_data.size, 0) if volume.usage_data else 0


def _volume(volume: Volume) -> table.Row:
    return {"Name": volume.name, "Links": str(_links(volume)), "Size": phrases.decimal_size(_size(volume), 4)}


def _build(build: Build) -> table.Row:
    used = f"{phrases.ago(from_rfc3339(build.last_used))}" if build.last_used else ""
    return {"ID": build.id, "CacheType": build.type, "Size": phrases.decimal_size(build.size),
            "CreatedSince": phrases.ago(from_rfc3339(build.created)), "LastUsedSince": used,
            "UsageCount": str(build.count), "Shared": str(build.shared).lower()}


DF = Command(
    "df", df, synopsis="", arity=NONE, help="Show disk usage",
    details="What is counted is the content of files: of an image its compressed and its unpacked layers, of a "
            "container its\nwritable layer and its log.",
    flags=(
        value("--format", help="Format output: 'table', 'table TEMPLATE', 'json', or a Go TEMPLATE"),
        switch("-v", "--verbose", help="Show detailed information on space usage")))
