"""What `rmi` may take away: Docker's rules, with Docker's words, decided before anything is touched.

    by name          the name goes; the image stays while it has another one
    by id            all of its names go, if they are of one repository; else "must be forced"
    the last name    the image goes with it, unless containers use it:
                       a running one    hard conflict, "cannot be forced"
                       a stopped one    soft conflict: `force` removes the image, the container keeps its layers

The digests of a repository go with its last tag.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from pydocker.errors import Conflict, NotFound
from pydocker.images.catalog import Catalog, Name, name_of
from pydocker.model import digest, reference
from pydocker.model.digest import Digest
from pydocker.model.image import Image
from pydocker.model.platform import Platform, normalised

Removed = tuple[Literal["Untagged", "Deleted"], str]
User = tuple[str, bool]  # a container's id, and whether it is running
_SHORT = 12


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the catalog, what is told, and whether the image itself goes."""

    catalog: Catalog
    removed: tuple[Removed, ...]
    deletes: bool


def decide(catalog: Catalog, manifests: Sequence[Digest], id: Digest, name: str, *, force: bool,
           users: Sequence[User]) -> Decision:
    """Decide `rmi NAME`, where NAME was resolved to the image `id`, which has these manifests.

    Raises Conflict.
    """
    names = [known for manifest in manifests for known in catalog.names(manifest)]
    if is_id(name, id):
        going = _all_names(names, id, force=force, users=users)
        deletes = True
    else:
        going = _one_name(names, id, name, force=force, users=users)
        deletes = len(going) == len(names)
    if deletes:
        # after its last name was taken away by name, an image that is in use stays as a dangling one: Docker's `quiet`
        deletes = is_id(name, id) or not _conflict(id, len(names) - len(going), force=force, users=users)
        going = names if deletes else going
    return _decision(catalog, manifests, going, id, deletes=deletes)


def check_platform(image: Image, name: str, platforms: Sequence[Platform]) -> None:
    """With `--platform`, an image for something else is not the one that was meant. Raises NotFound."""
    actual = normalised(image.config.os or "linux", image.config.architecture, image.config.variant)
    if platforms and actual not in platforms:
        raise NotFound(f"image with reference {name} was found but does not match the specified platform: "
                       f"wanted {', '.join(map(str, platforms))}, actual: {actual}")


def is_id(name: str, id: Digest) -> bool:
    """Whether NAME is the image's id or a prefix of it; Docker decides by exactly this comparison."""
    return id.startswith(name) or digest.encoded(id).startswith(name)


def _one_name(names: Sequence[Name], id: Digest, name: str, *, force: bool, users: Sequence[User]) -> list[Name]:
    if not force and users and _is_single(names):
        raise Conflict(f'conflict: unable to remove repository reference "{name}" (must force) - '
                       f"container {users[0][0][:_SHORT]} is using its referenced image {_short(id)}")
    parsed = reference.parse(name)
    going = [name_of(parsed)]
    left = [other for other in names if other not in going]
    if parsed.digest is None and not any(_repository(other) == parsed.name and not _is_digest(other) for other in left):
        going += [other for other in left if _repository(other) == parsed.name]
    return going


def _all_names(names: Sequence[Name], id: Digest, *, force: bool, users: Sequence[User]) -> list[Name]:
    others = 0 if _is_single(names) else len(names)
    conflict = _conflict(id, others, force=force, users=users)
    if conflict:
        raise conflict
    return list(names)


def _conflict(id: Digest, names: int, *, force: bool, users: Sequence[User]) -> Conflict | None:
    """The first reason, in Docker's order, why the image itself cannot go."""
    running = [user for user, is_running in users if is_running]
    stopped = [user for user, is_running in users if not is_running]
    if running:
        return _refusal(id, "cannot be forced", f"image is being used by running container {running[0][:_SHORT]}")
    if not force and names > 1:
        return _refusal(id, "must be forced", "image is referenced in multiple repositories")
    if not force and stopped:
        return _refusal(id, "must be forced", f"image is being used by stopped container {stopped[0][:_SHORT]}")
    return None


def _refusal(id: Digest, how: str, why: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {_short(id)} ({how}) - {why}")


def _decision(catalog: Catalog, manifests: Sequence[Digest], going: Sequence[Name], id: Digest, *,
              deletes: bool) -> Decision:
    for name in going:
        catalog = catalog.without_name(name)
    removed: list[Removed] = [("Untagged", reference.parse(name).familiar()) for name in going]
    if deletes:
        for manifest in manifests:
            catalog = catalog.without_manifest(manifest)
        removed.append(("Deleted", id))
    return Decision(catalog=catalog, removed=tuple(removed), deletes=deletes)


def _is_single(names: Sequence[Name]) -> bool:
    """At most one tag, and digests of its repository only: then the id stands for the whole image."""
    tags = [name for name in names if not _is_digest(name)]
    repositories = {_repository(name) for name in names}
    return len(tags) <= 1 and len(repositories) <= 1


def _is_digest(name: Name) -> bool:
    return "@" in name


def _repository(name: Name) -> str:
    return reference.parse(name).name


def _short(id: Digest) -> str:
    return digest.encoded(id)[:_SHORT]
