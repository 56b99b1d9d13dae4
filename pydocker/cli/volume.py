"""`pydocker volume`: create, ls, inspect, rm, prune, update; and ours: rename, clone, export, import."""

import contextlib
import os

from pydocker.cli import phrases, table
from pydocker.cli.archives import keep, pieces
from pydocker.cli.asking import confirmed
from pydocker.cli.cluster_volume import CREATE_FLAGS, cluster
from pydocker.cli.command import NONE, ONE, SOME, TWO, Arity, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import FILTER, LABEL, PAIRS, switch, unlisted, value, values
from pydocker.cli.inspect import print_all
from pydocker.cli.lifecycle import each
from pydocker.cli.ps import filters
from pydocker.cli.session import Session
from pydocker.client import upkeep, volumes

Conditions = tuple[tuple[str, str], ...]

HEADINGS = {
    "Driver": "DRIVER", "Name": "VOLUME NAME", "Mountpoint": "MOUNTPOINT", "Scope": "SCOPE", "Labels": "LABELS",
    "Links": "LINKS", "Size": "SIZE", "Group": "GROUP", "Availability": "AVAILABILITY", "Status": "STATUS",
}
_COLUMNS = ("Driver", "Name")
_CLUSTER_COLUMNS = ("Name", "Group", "Driver", "Availability", "Status")


def create(session: Session, arguments: tuple[str, ...], *, driver: str | None, label: tuple[tuple[str, str], ...],
           opt: tuple[tuple[str, str], ...], name: str | None, **swarm: object) -> int:
    """Print the name."""
    if name and arguments:
        raise CommandError("conflicting options: cannot specify a volume-name through both --name and as a positional "
                           "arg")
    body: dict[str, object] = {"Name": arguments[0] if arguments else name or "", "Driver": driver or "local",
                               "DriverOpts": dict(opt), "Labels": dict(label)}
    spec = cluster(swarm)
    if spec:
        body["ClusterVolumeSpec"] = spec
    session.say(volumes.create(session.client(), body).name)
    return 0


def list_volumes(session: Session, arguments: tuple[str, ...], *, cluster: bool, filter: Conditions,
                 format: str | None, quiet: bool) -> int:
    """Print one line for each."""
    found = volumes.listed(session.client(), filters(filter))
    shown = [_row(volume) for volume in sorted(found, key=lambda it: phrases.natural(it.name))
             if not cluster or volume.cluster_volume is not None]
    session.write(table.shown(shown, HEADINGS, _CLUSTER_COLUMNS if cluster else _COLUMNS,
                              table.chosen(format, quiet, "Name"), "*formatter.volumeContext"))
    return 0


def _row(volume: volumes.Volume) -> table.Row:
    spec = volume.cluster_volume.spec if volume.cluster_volume else volumes.Cluster()
    return {"Driver": volume.driver, "Name": volume.name, "Mountpoint": volume.mountpoint, "Scope": volume.scope,
            **table.labelled(volume.labels), "Links": "N/A", "Size": "N/A",
            "Group": spec.group or "N/A", "Availability": spec.availability or "N/A", "Status": "N/A"}


def inspect(session: Session, arguments: tuple[str, ...], *, format: str | None) -> int:
    return print_all(session, arguments, lambda name: volumes.inspect(session.client(), name), format)


def remove(session: Session, arguments: tuple[str, ...], *, force: bool) -> int:
    def act(name: str) -> str:
        volumes.remove(session.client(), name, force=force)
        return name

    return each(session, arguments, act)


def prune(session: Session, arguments: tuple[str, ...], *, all: bool, filter: Conditions, force: bool) -> int:
    """Remove the anonymous volumes that no container has, or all of them."""
    which = "all local volumes" if all else "anonymous local volumes"
    if not (force or confirmed(session, f"This will remove {which} not used by at least one container.")):
        return 0
    chosen = (*filter, ("all", "true")) if all else filter
    answer = upkeep.prune_volumes(session.client(), filters(chosen))
    if answer.volumes_deleted:
        session.write("Deleted Volumes:\n" + "".join(f"{name}\n" for name in answer.volumes_deleted) + "\n")
    session.say(f"Total reclaimed space: {phrases.decimal_size(answer.space_reclaimed, 4)}")
    return 0


def update(session: Session, arguments: tuple[str, ...], *, availability: str | None) -> int:
    """Of a Swarm's volume; on others the server says what is wrong with that."""
    spec: dict[str, object] = {} if availability is None else {"Availability": availability}
    volumes.update(session.client(), arguments[0], 0, spec)
    return 0


def rename(session: Session, arguments: tuple[str, ...]) -> int:
    volumes.rename(session.client(), arguments[0], arguments[1])
    return 0


def clone(session: Session, arguments: tuple[str, ...]) -> int:
    """Print the new name."""
    volumes.clone(session.client(), arguments[0], arguments[1])
    session.say(arguments[1])
    return 0


def export(session: Session, arguments: tuple[str, ...], *, output: str | None) -> int:
    """Write the archive; a file gets its name only when it is whole."""
    if output is None and os.isatty(session.stdout):
        raise CommandError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    keep(session, output, "failed to export volume", lambda: volumes.export(session.client(), arguments[0]))
    return 0


def import_(session: Session, arguments: tuple[str, ...], *, label: tuple[tuple[str, str], ...]) -> int:
    """Send the archive; print the name."""
    source = arguments[1] if len(arguments) > 1 else "-"
    if source == "-" and os.isatty(session.stdin):
        raise CommandError("requested import from stdin, but stdin is a terminal")
    with contextlib.closing(pieces(session, source)) as archive:
        volumes.import_(session.client(), arguments[0], dict(label), archive)
    session.say(arguments[0])
    return 0


_LABEL = values("--label", kind=LABEL, help="Set metadata for a volume")

CREATE = Command(
    "create", create, synopsis="[VOLUME]", arity=Arity(0, 1), help="Create a volume",
    flags=(
        value("-d", "--driver", help="Specify volume driver name", shown='"local"'), _LABEL,
        values("-o", "--opt", kind=PAIRS, help="Set driver specific options (type, device, o)"),
        unlisted("--name", help="Specify volume name"), *CREATE_FLAGS))
LIST = Command(
    "ls", list_volumes, synopsis="", arity=NONE, help="List volumes", aliases=("volume ls", "volume list"),
    flags=(
        switch("--cluster", help="Display only cluster volumes, and use cluster volume list formatting"),
        values("-f", "--filter", kind=FILTER, help='Provide filter values (e.g. "dangling=true")'),
        value("--format", help="Format output: 'table', 'table TEMPLATE', 'json', or a Go TEMPLATE"),
        switch("-q", "--quiet", help="Only display volume names")))
INSPECT = Command(
    "inspect", inspect, synopsis="VOLUME [VOLUME...]", arity=SOME,
    help="Display detailed information on one or more volumes",
    flags=(value("-f", "--format", help="Format output: 'json', or a Go TEMPLATE"),))
RM = Command(
    "rm", remove, synopsis="VOLUME [VOLUME...]", arity=SOME, help="Remove one or more volumes",
    details="You cannot remove a volume that is in use by a container.", aliases=("volume rm", "volume remove"),
    flags=(switch("-f", "--force", help="Force the removal of one or more volumes"),))
PRUNE = Command(
    "prune", prune, synopsis="", arity=NONE, help="Remove unused local volumes",
    flags=(
        switch("-a", "--all", help="Remove all unused volumes, not just anonymous ones"),
        values("--filter", kind=FILTER, help='Provide filter values (e.g. "label=<label>")'),
        switch("-f", "--force", help="Do not prompt for confirmation")))
UPDATE = Command(
    "update", update, synopsis="[VOLUME]", arity=ONE, help="Update a volume (cluster volumes only)",
    flags=(value("--availability", help='Cluster Volume availability ("active", "pause", "drain")',
                 shown='"active"'),))
RENAME = Command(
    "rename", rename, synopsis="VOLUME NEW_NAME", arity=TWO, help="Rename a volume that no container has")
CLONE = Command(
    "clone", clone, synopsis="VOLUME NEW_NAME", arity=TWO, help="Make a new volume with the same content",
    details="Stop what writes to the volume before: a copy of files that change is no copy of any moment.")
EXPORT = Command(
    "export", export, synopsis="VOLUME", arity=ONE, help="Export a volume's content as a tar archive",
    flags=(value("-o", "--output", help="Write to a file, instead of STDOUT"),))
IMPORT = Command(
    "import", import_, synopsis="VOLUME [FILE|-]", arity=Arity(1, 2),
    help="Make a volume of a tar archive, or fill an empty one: whole, or not at all", flags=(_LABEL,))
