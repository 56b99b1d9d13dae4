"""`pydocker images`, `rmi` and `tag`."""

import re
from collections.abc import Iterator

from pydocker.cli import image_tree, phrases, table
from pydocker.cli.command import SOME, TWO, Arity, Command
from pydocker.cli.errors import CommandError, told
from pydocker.cli.flags import FILTER, switch, value, values
from pydocker.cli.ps import filters
from pydocker.cli.session import Session
from pydocker.client import images
from pydocker.client.answers import ImageSummary
from pydocker.client.api import ApiError
from pydocker.errors import InvalidParameter
from pydocker.model import reference

_NONE = "<none>"
HEADINGS = {
    "Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST", "ID": "IMAGE ID", "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT", "Size": "SIZE", "Containers": "CONTAINERS", "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE", "VirtualSize": "VIRTUAL SIZE",
}
KIND = "*formatter.imageContext"
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size")
_WITH_DIGEST = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")


def list_images(
    session: Session, arguments: tuple[str, ...], *, all: bool, digests: bool, filter: tuple[tuple[str, str], ...],
    format: str | None, no_trunc: bool, quiet: bool, tree: bool,
) -> int:
    """Print every name of every image, newest image first."""
    for flag, given in (("--quiet", quiet), ("--digests", digests), ("--format", format)):
        if tree and given:
            raise CommandError(f"{flag} is not yet supported with --tree")
    wanted = (*filter, *(("reference", name) for name in arguments if name))
    found = images.listed(session.client(), {
        "all": all or None, "digests": digests or None, "manifests": tree or None, "filters": filters(wanted)})
    if tree:
        session.write(image_tree.drawn(found, whole=no_trunc))
        return 0
    shown = [row for image in found for row in rows(image, no_trunc, digests)]
    columns = _WITH_DIGEST if digests else _COLUMNS
    session.write(table.shown(shown, HEADINGS, columns, table.chosen(format, quiet), KIND))
    return 0


def rows(image: ImageSummary, whole: bool, digests: bool) -> Iterator[table.Row]:
    """One row for each name of an image."""
    facts = {
        "ID": image.id if whole else phrases.short_id(image.id), "CreatedSince": phrases.ago(image.created),
        "CreatedAt": phrases.moment(image.created), "Size": phrases.decimal_size(image.size),
        "Containers": str(image.containers) if image.containers >= 0 else "N/A", "SharedSize": "N/A",
        "UniqueSize": "N/A", "VirtualSize": phrases.decimal_size(image.size, 4),
    }
    for repository, tag, digest in _names(image, digests):
        yield {"Repository": repository, "Tag": tag, "Digest": digest, **facts}


def _names(image: ImageSummary, digests: bool) -> list[tuple[str, str, str]]:
    """(repository, tag, digest), with `<none>` for what an image has not; a name that has only a digest counts too."""
    tags = [name.rpartition(":")[::2] for name in image.repo_tags or () if name != "<none>:<none>"]
    by_repository = dict(name.split("@", 1) for name in image.repo_digests or () if not name.startswith(_NONE))
    named = [(repository, tag, by_repository.get(repository, _NONE)) for repository, tag in tags]
    tagged = {repository for repository, _ in tags}
    untagged = [(repository, _NONE, digest) for repository, digest in by_repository.items()
                if repository not in tagged and (digests or not tags)]
    return named + untagged or [(_NONE, _NONE, _NONE)]


def remove(session: Session, arguments: tuple[str, ...], *, force: bool, no_prune: bool,
           platform: tuple[str, ...]) -> int:
    """Take the names away; an image goes with its last one."""
    status = 0
    for name in arguments:
        try:
            for removed in images.remove(
                    session.client(), name, force=force, prune=not no_prune, platforms=_separated(platform)):
                session.say(f"Untagged: {removed.untagged}" if removed.untagged else f"Deleted: {removed.deleted}")
        except ApiError as error:
            session.warn(told(error))
            status = status if force and error.status == 404 else 1
    return status


def _separated(given: tuple[str, ...]) -> tuple[str, ...]:
    """`--platform a,b --platform c` is three (pflag's stringSlice)."""
    return tuple(part for text in given for part in text.split(",") if part)


def _reference(text: str) -> reference.Reference:
    try:
        return reference.parse(text)
    except InvalidParameter as error:
        raise CommandError(f'Error parsing reference: "{text}" is not a valid repository/tag: {error}') from error


def tag(session: Session, arguments: tuple[str, ...]) -> int:
    """Give an image one more name."""
    source, target = arguments
    if not _ID.fullmatch(source):
        _reference(source)
    parsed = _reference(target).with_default_tag()
    if parsed.digest:
        raise CommandError("refusing to create a tag with a digest reference")
    images.tag(session.client(), source, parsed.familiar_name, parsed.tag or "")
    return 0


IMAGES = Command(
    "images", list_images, synopsis="[REPOSITORY[:TAG]]", arity=Arity(0, 1), help="List images",
    aliases=("image ls", "image list", "images"),
    flags=(
        switch("-a", "--all", help="Show all images (default hides intermediate images)"),
        switch("--digests", help="Show digests"),
        values("-f", "--filter", kind=FILTER, help="Filter output based on conditions provided"),
        value("--format", help="Format output: 'table', 'table TEMPLATE', 'json', or a Go TEMPLATE"),
        switch("--no-trunc", help="Don't truncate output"),
        switch("-q", "--quiet", help="Only show image IDs"),
        switch("--tree", help="List the platforms of each image as a tree, and what they take of the disk"),
    ))
RMI = Command(
    "rmi", remove, synopsis="IMAGE [IMAGE...]", arity=SOME, help="Remove one or more images",
    aliases=("image rm", "image remove", "rmi"),
    flags=(
        switch("-f", "--force", help="Force removal of the image"),
        switch("--no-prune", help="Do not delete untagged parents"),
        values("--platform", help="Remove only the given platform variant ('os[/arch[/variant]]')"),
    ))
TAG = Command(
    "tag", tag, synopsis="SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", arity=TWO,
    help="Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE", aliases=("image tag", "tag"))
