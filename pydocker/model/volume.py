"""A volume: a directory that outlives the containers that use it, and may be another file system.

Names, options and words: moby volume/local (local.go, local_unix.go), volume/service/store.go.
"""

import re
from collections.abc import Mapping

import msgspec

from pydocker.errors import InvalidParameter, NotFound

ANONYMOUS = "com.docker.volume.anonymous"  # the label that Docker gives to a volume which nobody named
DRIVER = "local"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
_SECRET = re.compile(r"\b(pass|password2?)=[^,]*")  # of CIFS: mount.cifs(8)
LONGEST_NAME = 255  # NAME_MAX, limits.h: it is a directory's


class Filesystem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is mounted for a volume instead of its own directory: the words of mount(8)."""

    type: str
    device: str
    options: str = ""

    @property
    def told(self) -> str:
        """The options as anybody may read them: in errors, which are kept and logged, and in explanations."""
        return _SECRET.sub(r"\1=********", self.options)

    @property
    def in_memory(self) -> bool:
        """Whether it is there only as long as somebody has it mounted."""
        return self.type in ("tmpfs", "ramfs")

    @property
    def read_only(self) -> bool:
        return "ro" in self.options.split(",")


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A directory of ours (`data`), or instead of it a file system, or an image's layers (`lower`, lowest first)."""

    data: str = ""
    filesystem: Filesystem | None = None
    lower: tuple[str, ...] = ()
    subpath: str = ""

    @property
    def plain(self) -> bool:
        """Whether `data` can be bound as it is."""
        return not (self.filesystem or self.lower or self.subpath)


class Volume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One volume's `volume.json`, but for its name, which is its directory's. `created` is in seconds since 1970."""

    created: float
    options: dict[str, str] = {}
    labels: dict[str, str] = {}

    @property
    def anonymous(self) -> bool:
        return ANONYMOUS in self.labels

    @property
    def filesystem(self) -> Filesystem | None:
        if not self.options:
            return None
        return Filesystem(self.options["type"], self.options["device"], self.options.get("o", ""))


def is_name(name: str) -> bool:
    """Whether a volume can have it."""
    return 1 < len(name) <= LONGEST_NAME and bool(_NAME.fullmatch(name))


def check_name(name: str) -> str:
    """Raises InvalidParameter."""
    if len(name) == 1:
        raise InvalidParameter(f"create {name}: volume name is too short, names should be at least two alphanumeric "
                               "characters")
    if not _NAME.fullmatch(name):
        raise InvalidParameter(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path')
    if len(name) > LONGEST_NAME:
        raise InvalidParameter(f"create {name[:32]}…: volume name is longer than {LONGEST_NAME} characters")
    return name


def check_driver(name: str, driver: str) -> None:
    """There is one driver. Raises NotFound in Docker's words for a plugin that is not there."""
    if driver not in ("", DRIVER):
        raise NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')


def check_options(name: str, options: Mapping[str, str]) -> None:
    """Raises InvalidParameter."""
    for key in options:
        if key == "size":
            raise InvalidParameter(f"create {name}: quota size requested but no quota support")
        if key not in _NEEDS:
            raise InvalidParameter(f'create {name}: invalid option: "{key}"')
    for key in options:
        for needed in _NEEDS[key]:
            if not options.get(needed):
                raise InvalidParameter(f'create {name}: missing required option: "{needed}"')
