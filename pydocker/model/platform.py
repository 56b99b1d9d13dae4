"""Which of an index's images runs here: `linux/amd64`, `linux/arm64/v8`, and what a machine can run besides its own.

    os/architecture[/variant]           names: Go's GOOS and GOARCH (OCI image spec, image-index.md, `platform`)

The kernel's and Docker's names differ (`x86_64` is `amd64`), so everything is normalised first, and a variant that says
nothing (`arm64/v8`, `amd64/v1`, `arm/v7`) is made the same as none. A CPU runs the programs of its older variants:
`candidates` is an order of preference, and `choose` takes the first entry of an index that matches the earliest one.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydocker.errors import InvalidParameter, NotFound
from pydocker.model.image import Descriptor

_ARCHITECTURES = {
    "x86_64": ("amd64", ""), "x86-64": ("amd64", ""), "aarch64": ("arm64", ""),
    "i386": ("386", ""), "i486": ("386", ""), "i586": ("386", ""), "i686": ("386", ""),
    "armhf": ("arm", "v7"), "armel": ("arm", "v6"),
    "armv6l": ("arm", "v6"), "armv7l": ("arm", "v7"), "armv8l": ("arm", "v8"),
}
_KNOWN_ARCHITECTURES = frozenset((
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x", "wasm",
))
_KNOWN_SYSTEMS = frozenset((
    "aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "linux", "netbsd", "openbsd", "plan9", "solaris",
    "windows",
))
_SILENT_VARIANTS = {"amd64": "v1", "arm64": "v8", "arm": "v7"}  # what an architecture means without a variant
_COMPONENT, _SYSTEM = "^[A-Za-z0-9_.-]+$", r"^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?$"  # as errors name them
_LONGEST_TEXT = 200
_MOST, _LONGEST = 30, 40  # platforms that an error lists, and characters of each: an index is a stranger's
_ATTESTATION = "vnd.docker.reference.type"  # the annotation with which BuildKit marks what is no image


@dataclass(frozen=True, slots=True)
class Platform:
    """A normalised platform. `variant` is empty where the architecture alone says it."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


def normalised(os: str, architecture: str, variant: str = "") -> Platform:
    """One platform for all of its spellings: `Linux/AARCH64/8` is `linux/arm64`."""
    name, default = _ARCHITECTURES.get(architecture.lower(), (architecture.lower(), ""))
    chosen = variant.lower() or default
    if chosen.isdigit():
        chosen = f"v{chosen}"
    return Platform(os.lower(), name, "" if chosen == _SILENT_VARIANTS.get(name) else chosen)


def host() -> Platform:
    """The platform of this machine (uname(2))."""
    return normalised("linux", os.uname().machine)


def parse(text: str) -> Platform:
    """Read `--platform`: `os/arch[/variant]`, or one of them alone (the other is then this machine's).

    Raises InvalidParameter with Docker's words.
    """
    system, *others = parts = text[:_LONGEST_TEXT].split("/")
    if not (found := re.fullmatch(_SYSTEM.strip("^$"), system)):
        raise InvalidParameter(f"{_quoted(system)} is an invalid OS component of {_quoted(text)}: OSAndVersion "
                               f"specifier component must match {_quoted(_SYSTEM)}: invalid argument")
    for part in others:
        if not re.fullmatch(_COMPONENT.strip("^$"), part):
            raise InvalidParameter(f"{_quoted(part)} is an invalid component of {_quoted(text)}: platform specifier "
                                   f"component must match {_quoted(_COMPONENT)}: invalid argument")
    if len(parts) > 3:
        raise InvalidParameter(f"{_quoted(text)}: cannot parse platform specifier: invalid argument")
    if found[2] is not None:
        raise InvalidParameter(f"{_quoted(text)}: versions of operating systems are for Windows: invalid argument")
    if others:
        return normalised(*parts)
    alone = normalised(parts[0], parts[0])
    if alone.os in _KNOWN_SYSTEMS:
        return Platform(alone.os, host().architecture, host().variant)
    if alone.architecture in _KNOWN_ARCHITECTURES:
        return Platform(host().os, alone.architecture, alone.variant)
    raise InvalidParameter(f"{_quoted(text)}: unknown operating system or architecture: invalid argument")


def _quoted(text: str) -> str:
    """As Go's %q."""
    return json.dumps(text[:_LONGEST_TEXT], ensure_ascii=False)


def candidates(wanted: Platform) -> Iterator[Platform]:
    """What runs on `wanted`, best first: itself, then its older variants, then (64-bit ARM) the 32-bit ones."""
    yield wanted
    number = re.fullmatch(r"v([0-9]+)", wanted.variant or _SILENT_VARIANTS.get(wanted.architecture, ""))
    oldest = {"arm": 5, "amd64": 1, "arm64": 8}.get(wanted.architecture)
    if number and oldest is not None:
        for version in range(min(int(number[1]), 16) - 1, oldest - 1, -1):
            yield normalised(wanted.os, wanted.architecture, f"v{version}")
    if wanted.architecture == "arm64":
        yield from candidates(Platform(wanted.os, "arm", "v8"))


def choose(entries: Sequence[Descriptor], wanted: Platform) -> Descriptor:
    """The entry of an index to fetch for `wanted`. Entries for no platform (attestations) are skipped.

    An entry that names no platform at all is taken only if nothing else matches. Raises NotFound with Docker's words
    and the platforms that there are.
    """
    images = [entry for entry in entries if not is_attestation(entry)]
    offered = [(_of(entry), entry) for entry in images if entry.platform is not None]
    for candidate in candidates(wanted):
        for platform, entry in offered:
            if platform == candidate:
                return entry
    silent = [entry for entry in images if entry.platform is None]
    if len(silent) == 1:
        return silent[0]
    raise NotFound(f"no matching manifest for {wanted} in the manifest list entries{_listed(offered)}")


def _listed(offered: Sequence[tuple[Platform | None, Descriptor]]) -> str:
    there = dict.fromkeys(str(platform)[:_LONGEST] for platform, _ in offered if platform and platform.os != "unknown")
    if not there:
        return ""
    more = f" and {len(there) - _MOST} more" if len(there) > _MOST else ""
    return f": there are {', '.join([*there][:_MOST])}{more}"


def is_attestation(entry: Descriptor) -> bool:
    """Whether an index entry only says something about an image beside it."""
    return _ATTESTATION in entry.annotations


def _of(entry: Descriptor) -> Platform | None:
    fields = entry.platform
    return normalised(fields.os, fields.architecture, fields.variant) if fields else None
