"""`pydocker ps`: the list of containers."""

import msgspec

from pydocker.cli import phrases, table
from pydocker.cli.command import NONE, Command
from pydocker.cli.flags import FILTER, INT, switch, value, values
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.client.answers import ContainerSummary, Port

HEADINGS = {
    "ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT", "RunningFor": "CREATED",
    "Status": "STATUS", "State": "STATE", "Ports": "PORTS", "Names": "NAMES", "Size": "SIZE", "Labels": "LABELS",
    "Mounts": "MOUNTS", "LocalVolumes": "LOCAL VOLUMES", "Networks": "NETWORKS",
}
_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")


def ps(
    session: Session, arguments: tuple[str, ...], *, all: bool, filter: tuple[tuple[str, str], ...],
    format: str | None, last: int | None, latest: bool, no_trunc: bool, quiet: bool, size: bool,
) -> int:
    """Print the running containers, or what the flags choose."""
    limit = 1 if latest else (last if last is not None and last > 0 else None)
    found = containers.listed(session.client(), {
        "all": all or None, "limit": limit, "size": size or None, "filters": filters(filter)})
    rows = [_row(container, no_trunc) for container in found]
    columns = (*_COLUMNS, "Size") if size else _COLUMNS
    session.write(table.shown(rows, HEADINGS, columns, "{{.ID}}" if quiet else format))
    return 0


def filters(given: tuple[tuple[str, str], ...]) -> str | None:
    """The API's form: {"name": {"web": true, ...}, ...}."""
    named: dict[str, dict[str, bool]] = {}
    for name, text in given:
        named.setdefault(name, {})[text] = True
    return msgspec.json.encode(named).decode() if named else None


def _row(container: ContainerSummary, whole: bool) -> table.Row:
    labels = container.labels or {}
    networks = container.network_settings.networks if container.network_settings else None
    mounts = [mount.name or mount.source for mount in container.mounts or ()]
    names = [name.removeprefix("/") for name in container.names or () if name.count("/") == 1]
    return {
        "ID": container.id if whole else phrases.short_id(container.id),
        "Image": _image(container, whole) or "<no image>",
        "Command": f'"{container.command if whole else phrases.shortened(container.command, 20)}"',
        "CreatedAt": phrases.moment(container.created), "RunningFor": phrases.ago(container.created),
        "Status": container.status, "State": container.state,
        "Ports": ", ".join(_port(port) for port in container.ports or ()), "Names": ",".join(names),
        "Size": _size(container), "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Mounts": ",".join(mount if whole else phrases.shortened(mount, 15) for mount in mounts),
        "LocalVolumes": str(sum(mount.driver == "local" for mount in container.mounts or ())),
        "Networks": ",".join(sorted(networks or {})),
    }


def _image(container: ContainerSummary, whole: bool) -> str:
    """An image that has lost its name shows as its id, which is long."""
    if whole or not container.image.startswith("sha256:"):
        return container.image
    return phrases.short_id(container.image)


def _size(container: ContainerSummary) -> str:
    own = phrases.decimal_size(container.size_rw)
    return f"{own} (virtual {phrases.decimal_size(container.size_root_fs)})" if container.size_root_fs else own


def _port(port: Port) -> str:
    outside = f"{port.ip}:{port.public}->" if port.public else ""
    return f"{outside}{port.private}/{port.type}"


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
