"""`pydocker image prune`, `container prune` and `system prune`: what nobody uses goes, after a question."""

from collections.abc import Iterable, Sequence

from pydocker.cli import phrases
from pydocker.cli.asking import confirmed
from pydocker.cli.command import NONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import FILTER, switch, values
from pydocker.cli.ps import filters
from pydocker.cli.session import Session
from pydocker.client import upkeep
from pydocker.client.answers import Removed

Conditions = tuple[tuple[str, str], ...]

_DANGLING = "all dangling images"
_UNUSED = "all images without at least one container associated to them"


def prune_images(session: Session, arguments: tuple[str, ...], *, all: bool, filter: Conditions, force: bool) -> int:
    """Remove the dangling images, or all that no container uses."""
    if not (force or confirmed(session, f"This will remove {_UNUSED if all else _DANGLING}.")):
        return 0
    _told(session, [_images(session, filter, all=all)])
    return 0


def prune_containers(session: Session, arguments: tuple[str, ...], *, filter: Conditions, force: bool) -> int:
    """Remove the containers that do not run."""
    if not (force or confirmed(session, "This will remove all stopped containers.")):
        return 0
    _told(session, [_containers(session, filter)])
    return 0


def prune_system(session: Session, arguments: tuple[str, ...], *, all: bool, filter: Conditions, force: bool,
                 volumes: bool) -> int:
    """Remove everything of every kind that is not used."""
    if volumes and any(name == "until" for name, _ in filter):
        raise CommandError('ERROR: The "until" filter is not supported with "--volumes"')
    if not (force or confirmed(session, _warning(filter, all=all, volumes=volumes))):
        return 0
    done = [_containers(session, filter), _networks(session, filter)]
    if volumes:
        done.append(_volumes(session, filter))
    done.append(_images(session, filter, all=all))
    done.append(_builds(session, filter, all=all))
    _told(session, done)
    return 0


Done = tuple[str, Sequence[str], int]  # a title, a line for each thing, bytes


def _told(session: Session, done: Iterable[Done]) -> None:
    freed = 0
    for title, lines, its in done:
        freed += its
        if lines:
            session.write(f"{title}:\n" + "".join(f"{line}\n" for line in lines) + "\n")
    session.say(f"Total reclaimed space: {phrases.decimal_size(freed, 4)}")


def _containers(session: Session, chosen: Conditions) -> Done:
    answer = upkeep.prune_containers(session.client(), filters(chosen))
    return "Deleted Containers", answer.containers_deleted or (), answer.space_reclaimed


def _images(session: Session, chosen: Conditions, *, all: bool) -> Done:
    answer = upkeep.prune_images(session.client(), filters((*chosen, ("dangling", "false" if all else "true"))))
    return "Deleted Images", [_line(one) for one in answer.images_deleted or ()], answer.space_reclaimed


def _line(removed: Removed) -> str:
    return f"untagged: {removed.untagged}" if removed.untagged else f"deleted: {removed.deleted}"


def _networks(session: Session, chosen: Conditions) -> Done:
    return "Deleted Networks", upkeep.prune_networks(session.client(), filters(chosen)).networks_deleted or (), 0


def _volumes(session: Session, chosen: Conditions) -> Done:
    answer = upkeep.prune_volumes(session.client(), filters(chosen))
    return "Deleted Volumes", answer.volumes_deleted or (), answer.space_reclaimed


def _builds(session: Session, chosen: Conditions, *, all: bool) -> Done:
    answer = upkeep.prune_builds(session.client(), filters(chosen), all=all)
    return "Deleted build cache objects", answer.caches_deleted or (), answer.space_reclaimed


def _warning(chosen: Conditions, *, all: bool, volumes: bool) -> str:
    going = ["all stopped containers", "all networks not used by at least one container"]
    if volumes:
        going.append("all anonymous volumes not used by at least one container")
    going += [_UNUSED if all else _DANGLING, "all build cache" if all else "unused build cache"]
    text = "This will remove:\n" + "".join(f"  - {line}\n" for line in going)
    if conditions := [f"  - {name}={wanted}\n" for name, wanted in chosen if name or wanted]:
        text += "\n  Items to be pruned will be filtered with:\n" + "".join(conditions)
    return text


_FORCE = switch("-f", "--force", help="Do not prompt for confirmation")
_FILTER = values("--filter", kind=FILTER, help='Provide filter values (e.g. "until=<timestamp>", "label=<key>")')

IMAGES = Command(
    "prune", prune_images, synopsis="", arity=NONE, help="Remove unused images",
    flags=(switch("-a", "--all", help="Remove all unused images, not just dangling ones"), _FILTER, _FORCE))
CONTAINERS = Command(
    "prune", prune_containers, synopsis="", arity=NONE, help="Remove all stopped containers", flags=(_FILTER, _FORCE))
SYSTEM = Command(
    "prune", prune_system, synopsis="", arity=NONE, help="Remove unused data",
    flags=(
        switch("-a", "--all", help="Remove all unused images not just dangling ones"), _FILTER, _FORCE,
        switch("--volumes", help="Prune anonymous volumes")))
