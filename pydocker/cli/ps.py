"""`pydocker ps`: the list of containers."""

from collections.abc import Mapping

from pydocker.cli import phrases, portlist, table
from pydocker.cli.command import NONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import FILTER, INT, switch, value, values
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.client.answers import ContainerSummary
from pydocker.client.api import encoded
from pydocker.gotemplate.lexer import quoted
from pydocker.gotemplate.values import NO_POINTER, Row

HEADINGS = {
    "ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT", "RunningFor": "CREATED",
    "Status": "STATUS", "State": "STATE", "Ports": "PORTS", "Names": "NAMES", "Size": "SIZE", "Labels": "LABELS",
    "Mounts": "MOUNTS", "LocalVolumes": "LOCAL VOLUMES", "Networks": "NETWORKS",
}
KIND = "*formatter.ContainerContext"
_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")


def ps(
    session: Session, arguments: tuple[str, ...], *, all: bool, filter: tuple[tuple[str, str], ...],
    format: str | None, last: int | None, latest: bool, no_trunc: bool, quiet: bool, size: bool,
) -> int:
    """Print the running containers, or what the flags choose."""
    if quiet and format:
        session.warn("WARNING: Ignoring custom format, because both --format and --quiet are set.")
    size = size or (format is not None and _shows_size(format))
    limit = 1 if latest else (last if last is not None and last > 0 else None)
    found = containers.listed(session.client(), {
        "all": all or None, "limit": limit, "size": size or None, "filters": filters(filter)})
    rows = [row(container, no_trunc) for container in found]
    columns = (*_COLUMNS, "Size") if size else _COLUMNS
    session.write(table.shown(rows, HEADINGS, columns, "{{.ID}}" if quiet else format, KIND))
    return 0


def _shows_size(format: str) -> bool:
    """Whether the server has to measure, which takes a while: a row without a container is asked, as Docker does."""
    if format in ("", "table", "json"):
        return False
    from pydocker.cli import template

    asked = _Asked(row(ContainerSummary(id=""), False), KIND)
    try:
        filled = template.compile(format)
    except template.TemplateError as error:
        raise CommandError(f"failed to parse template: {error}") from error
    try:
        filled(asked)
    except template.TemplateError as error:
        raise CommandError(f"failed to execute template: {error}") from error
    return "Size" in asked.names


class _Asked(Row):
    """Remembers which fields a template wanted, by themselves or as a part of `{{json .}}`."""

    def __init__(self, fields: Mapping[str, object], kind: str) -> None:
        super().__init__(fields, kind)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> object:
        self.names.add(name)
        return super().__getitem__(name)


def filters(given: tuple[tuple[str, str], ...]) -> str | None:
    """The API's form: {"name": {"web": true, ...}, ...}."""
    named: dict[str, dict[str, bool]] = {}
    for name, text in given:
        if not name and not text:
            continue
        named.setdefault(name, {})[text] = True
    return encoded(named).decode() if named else None


def row(container: ContainerSummary, whole: bool) -> table.Row:
    """What can be told of one container."""
    networks = container.network_settings.networks if container.network_settings else None
    mounts = [mount.name or mount.source for mount in container.mounts or ()]
    names = [name.removeprefix("/") for name in container.names or () if name.count("/") == 1]
    return {
        "ID": container.id if whole else phrases.short_id(container.id),
        "Image": _image(container, whole) or "<no image>",
        "Command": quoted(container.command if whole else phrases.shortened(container.command, 20)),
        "CreatedAt": phrases.moment(container.created), "RunningFor": phrases.ago(container.created),
        "Status": container.status, "State": container.state,
        "Ports": portlist.shown(container.ports or ()), "Names": ",".join(names),
        "Size": _size(container), **table.labelled(container.labels),
        "Mounts": ",".join(mount if whole else phrases.shortened(mount, 15) for mount in mounts),
        "LocalVolumes": str(sum(mount.driver == "local" for mount in container.mounts or ())),
        "Networks": ",".join(sorted(networks or {})), "Platform": NO_POINTER,
    }


def _image(container: ContainerSummary, whole: bool) -> str:
    """An image that has lost its name shows as its id, which is long."""
    if whole or not container.image.startswith("sha256:"):
        return container.image
    return phrases.short_id(container.image)


def _size(container: ContainerSummary) -> str:
    own = phrases.decimal_size(container.size_rw)
    return f"{own} (virtual {phrases.decimal_size(container.size_root_fs)})" if container.size_root_fs else own


PS = Command(
    "ps", ps, synopsis="", arity=NONE, help="List containers",
    aliases=("container ls", "container list", "container ps", "ps"),
    flags=(
        switch("-a", "--all", help="Show all containers (default shows just running)"),
        values("-f", "--filter", kind=FILTER, help="Filter output based on conditions provided"),
        value("--format", help="Format output: 'table', 'table TEMPLATE', 'json', or a Go TEMPLATE"),
        value("-n", "--last", kind=INT, help="Show n last created containers (includes all states)", shown="-1"),
        switch("-l", "--latest", help="Show the latest created container (includes all states)"),
        switch("--no-trunc", help="Don't truncate output"),
        switch("-q", "--quiet", help="Only display container IDs"),
        switch("-s", "--size", help="Display total file sizes"),
    ))
