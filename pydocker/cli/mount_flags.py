"""Flags whose value is a small language of its own: `-v`, `--mount`, `--tmpfs`, `--device`, limits of devices.

Rules and words: docker/cli, opts/mount.go, opts/throttledevice.go, opts/weightdevice.go, cli/command/container/opts.go.
"""

import csv
import os.path
import re
from collections.abc import Callable

from pydocker.cli.flags import Kind, boolean, integer, size

_RECURSIVE = {
    "enabled": {}, "disabled": {"NonRecursive": True}, "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}
# The Container Device Interface's qualified name (its SPEC.md).
_CDI = re.compile(r"[A-Za-z][\w.-]*/[A-Za-z][\w.-]*=[A-Za-z0-9][\w.:-]*", re.ASCII)
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
Object = dict[str, object]


def mount(text: str) -> Object:
    """`type=bind,source=/a,target=/b,readonly`, as the API's Mount."""
    try:
        fields = next(csv.reader([text]), [])
    except csv.Error as error:  # a line break without quotes around it
        raise ValueError(f"parse error: {str(error).partition(' - ')[0]}") from error
    if not fields:
        raise ValueError("EOF")  # the end of a table without a line
    found: Object = {"Type": "volume"}
    for field in fields:
        key, equals, value = field.partition("=")
        key = _ALIASES.get(key.lower(), key.lower())
        if not equals and key not in ("readonly", "bind-nonrecursive", "volume-nocopy", "idmap", "bind-idmap"):
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        _put(found, key, value if equals else "true", field)
    if not found.get("Target"):
        raise ValueError("target is required")
    _check(found)
    return found


def _put(found: Object, key: str, value: str, field: str) -> None:
    match key:
        case "type":
            found["Type"] = value.lower()
        case "source" | "target" | "consistency":
            found[key.capitalize()] = value
        case "readonly":
            found["ReadOnly"] = _boolean(key, value)
        case "bind-propagation":
            _options(found, "BindOptions")["Propagation"] = value.lower()
        case "bind-nonrecursive":
            _options(found, "BindOptions")["NonRecursive"] = _boolean(key, value)
        case "bind-recursive":
            if value not in _RECURSIVE:
                raise ValueError(f'invalid value for bind-recursive: {value} (must be "enabled", "disabled", '
                                 '"writable", or "readonly")')
            _options(found, "BindOptions").update(_RECURSIVE[value])
        case "tmpfs-size":
            _options(found, "TmpfsOptions")["SizeBytes"] = _of(key, value, size)
        case "tmpfs-mode":
            _options(found, "TmpfsOptions")["Mode"] = _of(key, value, lambda text: int(text, 8))
        case "bind-idmap" | "idmap":
            _options(found, "BindOptions")["Idmap"] = _boolean(key, value)
        case "volume-nocopy":
            _options(found, "VolumeOptions")["NoCopy"] = _boolean(key, value)
        case "volume-subpath":
            _options(found, "VolumeOptions")["Subpath"] = value
        case "volume-driver":
            _driver(found)["Name"] = value
        case "volume-opt" | "volume-label":
            name, _, text = value.partition("=")
            owner = _driver(found) if key == "volume-opt" else _options(found, "VolumeOptions")
            _options(owner, "Options" if key == "volume-opt" else "Labels")[name] = text
        case "image-subpath":
            _options(found, "ImageOptions")["Subpath"] = value
        case _:
            raise ValueError(f"unexpected key '{key}' in '{field}'")


def _options(found: Object, name: str) -> Object:
    inner = found.setdefault(name, {})
    assert isinstance(inner, dict)
    return inner


def _driver(found: Object) -> Object:
    return _options(_options(found, "VolumeOptions"), "DriverConfig")


def _check(found: Object) -> None:
    for name, kind in (("BindOptions", "bind"), ("TmpfsOptions", "tmpfs"), ("VolumeOptions", "volume"),
                       ("ImageOptions", "image")):
        if name in found and found["Type"] != kind:
            raise ValueError(f"cannot mix '{kind}-*' options with mount type '{found['Type']}'")
    forced = _options(found, "BindOptions").get("ReadOnlyForceRecursive") if "BindOptions" in found else False
    if forced and not found.get("ReadOnly"):
        raise ValueError("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")


def _boolean(key: str, value: str) -> bool:
    return bool(_of(key, value, boolean))


def _of(key: str, value: str, read: Callable[[str], object]) -> object:
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"invalid value for {key}: {value}") from error


def binds(texts: tuple[str, ...], directory: str) -> tuple[list[str], dict[str, Object]]:
    """Bind mounts (a path that begins with a dot is meant from `directory`) and anonymous volumes, as the API's.

    Raises ValueError for what has too few or too many sections; what is in them is for the server to judge.
    """
    bound: list[str] = []
    anonymous: dict[str, Object] = {}
    for text in texts:
        source, colon, rest = text.partition(":")
        if len(_sections(text)) == 1:
            anonymous[text] = {}
        elif source.startswith("."):
            bound.append(f"{os.path.abspath(os.path.join(directory, source))}{colon}{rest}")
        else:
            bound.append(text)
    return bound, anonymous


def _sections(text: str) -> list[str]:
    """`source:destination:options`, or less of it; one letter and a colon begin a path of Windows, here as there."""
    if not text:
        raise ValueError("invalid empty volume spec")
    if len(text) <= 2:
        return [text]
    sections = [""]
    for character in text:
        if character == ":" and not (len(sections[-1]) == 1 and sections[-1].isalpha()):
            sections.append("")
        else:
            sections[-1] += character
    if not all(sections[:3]):
        raise ValueError(f"invalid spec: {text}: empty section between colons")
    if len(sections) > 3:
        raise ValueError(f"invalid spec: {text}: too many colons")
    return sections


def tmpfs(text: str) -> tuple[str, str]:
    """`/run:size=64m`: a destination and its options."""
    destination, _, options = text.partition(":")
    return destination, options


def devices(texts: tuple[str, ...]) -> tuple[list[Object], list[str]]:
    """Each `--device`: the host's, as the API's DeviceMapping, and names of CDI (`vendor.com/class=name`).

    Raises ValueError.
    """
    named = [text for text in texts if _CDI.fullmatch(text)]
    return [_device(text) for text in texts if text not in named], named


def _device(text: str) -> Object:
    """`/dev/a[:/dev/b][:rwm]`."""
    source, *rest = text.split(":")
    if len(rest) > 2 or not source:
        raise ValueError(f"bad format for path: {text}")
    access = rest.pop() if len(rest) == 2 or (rest and _is_access(rest[0])) else "rwm"
    if not _is_access(access):
        raise ValueError(f"bad mode specified: {access}")
    target = rest[0] if rest else source
    if not target.startswith("/"):
        raise ValueError(f"{target} is not an absolute path")
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": access}


def _is_access(text: str) -> bool:
    return bool(re.fullmatch("[rwm]{1,3}", text)) and len(set(text)) == len(text)


def device_rule(text: str) -> str:
    """`c 1:3 rwm`."""
    if not re.fullmatch(r"[acb] (\d+|\*):(\d+|\*) [rwm]{1,3}", text, re.ASCII):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def gpus(text: str) -> list[Object]:
    """`all`, `2`, `"device=0,1",capabilities=compute`, as the API's DeviceRequest (docker/cli, opts/gpus.go)."""
    found: Object = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
    fields = next(csv.reader([text]), [])
    counted = False
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals and counted:
            raise ValueError("gpu request key 'count' can be specified only once")
        counted = counted or not equals or key == "count"
        match key if equals else "count":
            case "count":
                found["Count"] = _count(value or field)
            case "driver":
                found["Driver"] = value
            case "device":
                found["DeviceIDs"] = value.split(",")
            case "capabilities":
                found["Capabilities"] = [sorted({*value.split(","), "gpu"})]
            case "options":
                found["Options"] = dict(option.partition("=")[::2] for option in value.split(","))
            case _:
                raise ValueError(f"unexpected key '{key}' in '{field}'")
    if not counted and found["DeviceIDs"] is None:
        found["Count"] = 1
    return [found]


def _count(text: str) -> int:
    try:
        return -1 if text == "all" else integer(text)
    except ValueError as error:
        reason = 'value must be either "all" or an integer: invalid syntax'
        raise ValueError(f"invalid count ({text}): {reason}") from error


def _limited(text: str, words: str, advice: str, name: str, read: Callable[[str], int]) -> Object:
    path, colon, value = text.partition(":")
    if not colon or not path:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    try:
        number = read(value)
        if number < 0:
            raise ValueError
    except ValueError as error:
        raise ValueError(f"{words}: {text}{advice}") from error
    return {"Path": path, name: number}


def _weight(text: str) -> Object:
    return _limited(text, "invalid weight for device", "", "Weight", _of_scheduler)


def _of_scheduler(text: str) -> int:
    if (weight := integer(text)) and not 10 <= weight <= 1000:
        raise ValueError
    return weight


def _bytes_rate(text: str) -> Object:
    return _limited(text, "invalid rate for device", ". The correct format is <device-path>:<number>[<unit>]. Number "
                    "must be a positive integer. Unit is optional and can be kb, mb, or gb", "Rate", size)


def _count_rate(text: str) -> Object:
    return _limited(text, "invalid rate for device", ". The correct format is <device-path>:<number>. Number must be a "
                    "positive integer", "Rate", integer)


MOUNT = Kind("mount", mount)
TMPFS = Kind("list", tmpfs)
GPUS = Kind("gpu-request", gpus)
DEVICE_RULE = Kind("list", device_rule)
WEIGHT_DEVICE = Kind("list", _weight)
BYTES_RATE = Kind("list", _bytes_rate)
COUNT_RATE = Kind("list", _count_rate)
