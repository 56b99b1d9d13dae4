"""What `-v`, `--mount`, `--tmpfs`, `VOLUME` and `--volumes-from` ask for: one `Point` each, however it was written.

Source of rules and words: moby volume/mounts (linux_parser, validate), daemon/volumes.go and daemon/oci_linux.go.
"""

import posixpath
import secrets
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from pydocker.errors import InvalidParameter
from pydocker.model import volume
from pydocker.model.container import Config, HostConfig, Record
from pydocker.model.mount_types import PROPAGATIONS, asked, clean, short_tmpfs
from pydocker.model.point import Making, Point

_CONSISTENCIES = ("consistent", "cached", "delegated")  # Docker Desktop's: nothing on Linux
_KINDS = {word: kind for kind, words in {
    "access": ("ro", "rw"), "label": ("z", "Z"), "copy": ("nocopy",), "propagation": PROPAGATIONS,
    "consistency": _CONSISTENCIES, "idmap": ("idmap",)}.items() for word in words}


def points(config: Config, host: HostConfig, inherited: Iterable[Point] = (),
           invent: Callable[[], str] = lambda: secrets.token_hex(32)) -> tuple[Point, ...]:
    """All of them; a volume without a name gets one. `inherited` are those of --volumes-from, which others override.

    Raises InvalidParameter.
    """
    found = {point.destination: point for point in inherited}
    found |= _unique((*(_bind(text, host.volume_driver) for text in host.binds or ()), *map(asked, host.mounts or ()),
                      *(short_tmpfs(destination, options) for destination, options in (host.tmpfs or {}).items())))
    for path in config.volumes:
        destination = clean(f"/{path}")  # `VOLUME data`; and -v x:/a, which is a drive's path to Docker's client
        found.setdefault(destination, Point(kind="volume", destination=destination,
                                            making=Making(driver=host.volume_driver)))
    return tuple(_named(point, invent) for point in found.values())


def of_record(record: Record) -> tuple[Point, ...]:
    """Those of a container; one of an earlier version has only what its configuration says, and no volumes."""
    if record.points is not None:
        return record.points
    return points(replace(record.config, volumes={}), record.host)


def _unique(given: Iterable[Point]) -> dict[str, Point]:
    found: dict[str, Point] = {}
    for point in given:
        if point.destination in found:
            raise InvalidParameter(f"Duplicate mount point: {point.destination}")
        found[point.destination] = point
    return found


def _named(point: Point, invent: Callable[[], str]) -> Point:
    if point.kind != "volume" or point.name:
        return point
    return replace(point, name=invent(), anonymous=True)


def _bind(text: str, driver: str) -> Point:
    """`source:destination[:options]`, or `destination` alone for an anonymous volume."""
    source, colon, rest = text.partition(":")
    destination, _, mode = rest.partition(":")
    if not colon:
        source, destination = "", text
    if not destination or (colon and not source) or ":" in mode:
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    words = frozenset(_words(mode)) if mode else frozenset()
    kind = "bind" if posixpath.isabs(source) else "volume"
    found = Point(kind="bind", destination=_clean(destination, text, kind), mode=mode, readonly="ro" in words)
    if posixpath.isabs(source):
        return _of_host(found, text, source, words)
    return _of_volume(found, text, source, driver, words)


def _clean(destination: str, text: str, kind: str) -> str:
    try:
        return clean(destination)
    except InvalidParameter as error:
        reason = f'invalid mount config for type "{kind}": {error}'
        raise InvalidParameter(f"invalid volume specification: '{text}': {reason}") from error


def _of_host(found: Point, text: str, source: str, words: frozenset[str]) -> Point:
    if "nocopy" in words:
        raise InvalidParameter(f"invalid volume specification: '{text}': invalid mount config for type \"bind\": field "
                               "VolumeOptions must not be specified")
    return replace(found, source=posixpath.normpath(source), create=True, idmap="idmap" in words,
                   propagation=next(iter(words & frozenset(PROPAGATIONS)), ""))


def _of_volume(found: Point, text: str, name: str, driver: str, words: frozenset[str]) -> Point:
    if name:
        volume.check_name(name)
    if words & {*PROPAGATIONS, "idmap"}:
        raise InvalidParameter(f"invalid volume specification: '{text}': invalid mount config for type \"volume\": "
                               "field BindOptions must not be specified")
    return replace(found, kind="volume", name=name, mode=found.mode or ("z" if name else ""),
                   copy="nocopy" not in words, making=Making(driver=driver))


def _words(mode: str) -> Iterator[str]:
    """The options of a mount; none twice of a kind. `z` and `Z` set SELinux labels, where there is SELinux."""
    kinds = set()
    for word in mode.split(","):
        kind = _KINDS.get(word)
        if kind is None or kind in kinds:
            raise InvalidParameter(f'invalid mode: {mode}')
        kinds.add(kind)
        yield word


def from_others(text: str) -> tuple[str, str]:
    """One --volumes-from: a container, and "ro", "rw" or nothing. Raises InvalidParameter."""
    container, _, mode = text.partition(":")
    if not container:
        raise InvalidParameter("volumes-from specification cannot be an empty string" if not text else
                               f"invalid volumes-from specification: '{text}': it names no container")
    words = tuple(_words(mode)) if mode else ()
    if any(_KINDS[word] in ("propagation", "copy", "idmap") for word in words):
        raise InvalidParameter(f"invalid mode: {mode}")
    return container, next((word for word in words if word in ("ro", "rw")), "")


def inherited(theirs: Iterable[Point], mode: str) -> Iterator[Point]:
    """What a container hands on: its volumes and bind mounts, never with more rights, and never filled once more."""
    for point in theirs:
        if point.kind in ("bind", "volume"):
            yield replace(point, readonly=point.readonly or mode == "ro", mode="", copy=False)
