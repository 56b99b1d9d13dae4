"""From a create request back to the command line that asks for it: `request` the other way round.

A flag that fills one field of the request (`to`) is found by that field, and its value written the way its kind reads
it. Flags that are decided together are found together. What no flag can say is left over, and told.
"""

import itertools
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydocker.cli import flags, mount_flags, publish_flags, request
from pydocker.cli.create_flags import CREATE_FLAGS
from pydocker.cli.flags import Flag, Kind

_UNITS = ((1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k"))
_TIMES = ((3600 * 10**9, "h"), (60 * 10**9, "m"), (10**9, "s"), (10**6, "ms"), (10**3, "us"), (1, "ns"))
_STREAMS = ("stdin", "stdout", "stderr")


class Told:
    """`words` behind `pydocker`; `left` are the fields (`HostConfig.MaskedPaths`) that no flag can fill."""

    def __init__(self, words: Sequence[str], left: Sequence[str]) -> None:
        self.words = words
        self.left = left

    def line(self) -> str:
        """For a shell, quoted where it has to be."""
        return shlex.join(("pydocker", *self.words))


def told(name: str, body: request.Request) -> Told:
    """The `run` for a create request."""
    rest = _Rest(body)
    image = rest.take("Image")
    entrypoint, command = rest.take("Entrypoint"), rest.take("Cmd") or []
    words = [*_attached(rest), "--name", name]
    if entrypoint is not None:
        words += ["--entrypoint", entrypoint[0] if entrypoint else ""]
        command = [*entrypoint[1:], *command]
    words += itertools.chain(*(_pairs(flag, rest) for flag in sorted(CREATE_FLAGS, key=lambda it: str(it.name))))
    words += _by_hand(rest)
    return Told(("run", *words, image, *command), tuple(rest.left()))


class _Rest:
    """What of the request has not been told yet."""

    def __init__(self, body: request.Request) -> None:
        self._body = json.loads(json.dumps(body))

    def take(self, path: str) -> Any:
        """The field at the dotted path, which is gone afterwards; None: it was not there."""
        *parents, last = path.split(".")
        inner = self._body
        for parent in parents:
            inner = inner.get(parent) or {}
        return inner.pop(last, None)

    def left(self) -> Iterator[str]:
        for name, value in self._body.items():
            if name in ("HostConfig", "Healthcheck"):
                yield from (f"{name}.{inner}" for inner, found in (value or {}).items() if found)
            elif value:
                yield name


def _attached(rest: _Rest) -> list[str]:
    """-d, -i and -a make five fields between them: the shortest of their choices that gives these."""
    names = ("AttachStdin", "AttachStdout", "AttachStderr", "OpenStdin", "StdinOnce")
    found = {name: value if (value := rest.take(name)) is not None else name in names[1:3] for name in names}
    named = [some for count in range(4) for some in itertools.combinations(_STREAMS, count)]
    choices = [(False, ()), (True, ()), *((False, some) for some in named[1:])]
    detach, attach = next((choice for choice in choices if dict(request.streams(
        {"detach": choice[0], "attach": choice[1], "interactive": found["OpenStdin"]})) == found), (True, ()))
    return [*(["-i"] if found["OpenStdin"] else []), *(["-d"] if detach else []), *_each("-a", attach)]


def _pairs(flag: Flag, rest: _Rest) -> list[str]:
    """`--flag value` as often as it has to be given for its field."""
    found = rest.take(flag.to) if flag.to else None
    if found is None:
        return []
    name = next(name for name in flag.opts if name.startswith("--"))
    if flag.implied is not None:
        return [name if found else f"{name}=false"]
    return [word for text in _texts(flag, found) for word in (name, text)]


def _texts(flag: Flag, found: Any) -> list[str]:
    write = _WRITERS.get(flag.type, str) if isinstance(flag.type, Kind) else str
    if isinstance(found, dict) and flag.multiple:
        return [write(item) for item in found.items()]
    return [write(item) for item in (found if flag.multiple else (found,))]


def _by_hand(rest: _Rest) -> list[str]:
    """The fields whose flags have no path of their own."""
    test = (rest.take("Healthcheck.Test") or [])
    health = {"NONE": ["--no-healthcheck"], "CMD-SHELL": ["--health-cmd", *test[1:]],
              "CMD": ["--health-cmd", shlex.join(test[1:])]}.get(test[0], []) if test else []
    ports = publish_flags.words(rest.take("ExposedPorts") or (), rest.take("HostConfig.PortBindings") or {})
    return [*health, *_networks(rest), *ports, *_each("--env", rest.take("Env")),
            *_each("--volume", rest.take("HostConfig.Binds")), *_each("--volume", rest.take("Volumes")),
            *_each("--device", map(_device, rest.take("HostConfig.Devices") or ())),
            *_each("--label", (f"{key}={value}" for key, value in (rest.take("Labels") or {}).items()))]


def _networks(rest: _Rest) -> list[str]:
    """--network, once for each: in short where nothing but the name is said."""
    mode, ends = rest.take("HostConfig.NetworkMode"), rest.take("NetworkingConfig.EndpointsConfig") or {}
    rest.take("NetworkingConfig")
    networks = ends or ({mode: {}} if mode else {})
    links = [link for said in [*networks.values()][:1] for link in said.get("Links") or ()]  # the first one's flag
    return [*_each("--network", itertools.starmap(_network, networks.items())), *_each("--link", links)]


def _network(name: str, said: Mapping[str, Any]) -> str:
    addresses = said.get("IPAMConfig") or {}
    fields = (*(("alias", one) for one in said.get("Aliases") or ()), ("ip", addresses.get("IPv4Address")),
              ("ip6", addresses.get("IPv6Address")),
              *(("link-local-ip", one) for one in addresses.get("LinkLocalIPs") or ()),
              ("mac-address", said.get("MacAddress")), ("gw-priority", str(said.get("GwPriority") or "")),
              *(("driver-opt", _pair(item)) for item in (said.get("DriverOpts") or {}).items()))
    words = [_in_csv(f"{field}={value}") for field, value in fields if value]
    return ",".join((f"name={name}", *words)) if words else name


def _each(name: str, values: Any) -> list[str]:
    return [word for value in values or () for word in (name, value)]


def _bytes(count: int) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if count and count % size == 0), (1, ""))
    return f"{count // size}{unit}"


def _time(nanoseconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _TIMES if nanoseconds % size == 0)
    return f"{nanoseconds // size}{unit}"


def _cpus(nano: int) -> str:
    whole, fraction = divmod(nano, 10**9)
    return f"{whole}.{fraction:09d}".rstrip("0").rstrip(".")


def _pair(item: tuple[str, str]) -> str:
    return "=".join(item)


def _restart(policy: Mapping[str, Any]) -> str:
    count = policy.get("MaximumRetryCount", 0)
    return f"{policy['Name']}:{count}" if count else str(policy["Name"])


def _ulimit(limit: Mapping[str, Any]) -> str:
    return f"{limit['Name']}={limit['Soft']}:{limit['Hard']}"


def _device(device: Mapping[str, Any]) -> str:
    return ":".join((device["PathOnHost"], device.get("PathInContainer") or device["PathOnHost"],
                     device.get("CgroupPermissions") or "rwm"))


def _mount(mount: Mapping[str, Any]) -> str:
    """Quoted as a line of a table with commas, which is what `--mount` reads."""
    bind, volume, tmpfs, image = (mount.get(f"{kind}Options") or {} for kind in ("Bind", "Volume", "Tmpfs", "Image"))
    driver = volume.get("DriverConfig") or {}
    recursion = next((word for word, field in (("disabled", "NonRecursive"), ("writable", "ReadOnlyNonRecursive"),
                                               ("readonly", "ReadOnlyForceRecursive")) if bind.get(field)), "")
    fields = (("type", mount["Type"]), ("source", mount.get("Source")), ("target", mount["Target"]),
              ("readonly", "true" if mount.get("ReadOnly") else ""), ("consistency", mount.get("Consistency")),
              ("bind-propagation", bind.get("Propagation")), ("bind-recursive", recursion),
              ("tmpfs-size", str(tmpfs.get("SizeBytes") or "")),
              ("tmpfs-mode", f"{tmpfs['Mode']:o}" if tmpfs.get("Mode") else ""),
              ("volume-nocopy", "true" if volume.get("NoCopy") else ""), ("volume-subpath", volume.get("Subpath")),
              ("volume-driver", driver.get("Name")), ("image-subpath", image.get("Subpath")),
              *(("volume-label", _pair(item)) for item in (volume.get("Labels") or {}).items()),
              *(("volume-opt", _pair(item)) for item in (driver.get("Options") or {}).items()))
    return ",".join(_in_csv(f"{name}={value}") for name, value in fields if value)


def _in_csv(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if any(one in field for one in ',"\n\r') else field


def _tmpfs(item: tuple[str, str]) -> str:
    return ":".join(filter(None, item))


def _limited(write: Callable[[int], str], name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda found: f"{found['Path']}:{write(found[name])}"


_WRITERS: Mapping[Kind, Callable[[Any], str]] = {
    flags.BYTES: _bytes, flags.SWAP: lambda count: "-1" if count == -1 else _bytes(count), flags.CPUS: _cpus,
    flags.DURATION: _time, flags.ULIMIT: _ulimit, flags.LABEL: _pair, flags.PAIRS: _pair, flags.SYSCTL: _pair,
    flags.RESTART: _restart, mount_flags.MOUNT: _mount, mount_flags.TMPFS: _tmpfs,
    mount_flags.WEIGHT_DEVICE: _limited(str, "Weight"), mount_flags.BYTES_RATE: _limited(_bytes, "Rate"),
    mount_flags.COUNT_RATE: _limited(str, "Rate"),
}
