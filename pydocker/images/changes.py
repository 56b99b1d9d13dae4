"""`--change` of `import` and `commit`: the Dockerfile instructions that only set something in an image's config.

    CMD ENTRYPOINT      JSON form, or words for `/bin/sh -c`
    ENV LABEL           NAME=VALUE …, or NAME VALUE
    EXPOSE VOLUME       words; VOLUME also as JSON
    USER WORKDIR STOPSIGNAL      one value
    HEALTHCHECK         NONE, or [--interval= --timeout= --start-period= --start-interval= --retries=] CMD as above
    ONBUILD             another instruction, kept for whoever builds on the image

In ENV, LABEL, EXPOSE, VOLUME, USER, WORKDIR and STOPSIGNAL, `$NAME` stands for what the config's environment has.

Each function is pure: the defaults so far and the instruction's text in, the changed defaults out.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.images.expansion import expanded, words
from pydocker.model.image import Healthcheck, ImageDefaults
from pydocker.wire.durations import duration

_SHELL = ("/bin/sh", "-c")
_GOES_ON = re.compile(r"\\[ \t]*(?:\n|\Z)")
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp|))?", re.ASCII | re.IGNORECASE)


def changed(defaults: ImageDefaults, changes: Iterable[str]) -> ImageDefaults:
    """Apply the instructions in order. Raises InvalidParameter naming the instruction.

    An ENTRYPOINT takes the CMD away that was there before: it was made for another one.
    """
    has_command = False
    for change in _instructions(changes):
        word, _, text = change.strip().partition(" ")
        apply = _INSTRUCTIONS.get(word.upper())
        if apply is None:
            raise InvalidParameter(f"{word.lower()} is not a valid change command")
        if not text.strip():
            raise InvalidParameter(f"{word.upper()} requires at least one argument")
        defaults = apply(defaults, text.strip())
        has_command = has_command or word.upper() == "CMD"
        if word.upper() == "ENTRYPOINT" and not has_command:
            defaults = msgspec.structs.replace(defaults, cmd=None)
    return defaults


def _instructions(changes: Iterable[str]) -> list[str]:
    """As lines of a Dockerfile, of which each text may have several: without comments and blank ones, and what ends in
    a backslash goes on in the next line."""
    lines = [line.removesuffix("\r") for change in changes for line in change.split("\n")]
    meant = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if lines and not meant:
        raise InvalidParameter("file with no instructions")
    return _GOES_ON.sub("", "\n".join(meant)).split("\n") if meant else []


def _json_words(text: str) -> tuple[str, ...] | None:
    if not text.startswith("["):
        return None
    try:
        return msgspec.json.decode(text, type=tuple[str, ...])
    except msgspec.MsgspecError:
        return None  # not JSON: then it is for the shell, as in Docker


def _value(defaults: ImageDefaults, text: str) -> str:
    """With the variables that were set by then: `ENV A=1 B=$A` sets B to what A was before."""
    return expanded(text, dict(entry.partition("=")[::2] for entry in defaults.env or ()))


def _words(defaults: ImageDefaults, text: str) -> list[str]:
    return [_value(defaults, word) for word in words(text)]


def _pairs(defaults: ImageDefaults, text: str) -> list[tuple[str, str]]:
    found = words(text)
    if "=" not in found[0]:
        name, _, value = text.partition(" ")
        if not value:
            raise InvalidParameter(f"{name!r}: a name and a value are required")
        return [(name, _value(defaults, value.strip()))]
    pairs = [word.partition("=") for word in found]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise InvalidParameter(f"{text!r}: can't find = in {name!r}. Must be of the form: name=value")
    return [(_value(defaults, name), _value(defaults, value)) for name, _, value in pairs]


def _command(text: str) -> tuple[str, ...]:
    """`[]` is no command at all."""
    found = _json_words(text)
    return (*_SHELL, text) if found is None else found


def _cmd(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, cmd=_command(text))


def _entrypoint(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, entrypoint=_command(text))


def _env(defaults: ImageDefaults, text: str) -> ImageDefaults:
    known = dict(entry.split("=", 1) for entry in defaults.env or ())
    known.update(_pairs(defaults, text))
    return msgspec.structs.replace(defaults, env=tuple(f"{name}={value}" for name, value in known.items()))


def _label(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, labels={**(defaults.labels or {}), **dict(_pairs(defaults, text))})


def _expose(defaults: ImageDefaults, text: str) -> ImageDefaults:
    ports = _ports(_words(defaults, text))
    return msgspec.structs.replace(defaults, exposed_ports={**(defaults.exposed_ports or {}), **ports})


def _ports(asked: Sequence[str]) -> dict[str, dict[str, str]]:
    ports: dict[str, dict[str, str]] = {}
    for word in asked:
        match = _PORTS.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if match is None or not 0 < first <= last < 65536:
            raise InvalidParameter(f"invalid containerPort: {word}")
        ports |= {f"{number}/{(match[3] or 'tcp').lower()}": {} for number in range(first, last + 1)}
    return ports


def _volume(defaults: ImageDefaults, text: str) -> ImageDefaults:
    paths: dict[str, dict[str, str]] = {_value(defaults, path): {} for path in _json_words(text) or words(text)}
    return msgspec.structs.replace(defaults, volumes={**(defaults.volumes or {}), **paths})


def _user(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, user=_value(defaults, text))


def _workdir(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(
        defaults, working_dir=posixpath.normpath(posixpath.join("/", defaults.working_dir, _value(defaults, text))))


def _stopsignal(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, stop_signal=_value(defaults, text))


def _healthcheck(defaults: ImageDefaults, text: str) -> ImageDefaults:
    options, left = {}, text
    while left.startswith("--"):
        option, _, left = left.partition(" ")
        name, _, value = option[2:].partition("=")
        if name not in _HEALTH_OPTIONS:
            raise InvalidParameter(f"unknown flag: {name}")
        options[name.replace("-", "_")] = _HEALTH_OPTIONS[name](name, value)
        left = left.strip()
    kind, _, command = left.partition(" ")
    command = command.strip()
    if kind.upper() == "NONE":
        if command:
            raise InvalidParameter("HEALTHCHECK NONE takes no arguments")
        return msgspec.structs.replace(defaults, healthcheck=Healthcheck(test=("NONE",)))
    if kind.upper() != "CMD":
        raise InvalidParameter(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    if not command:
        raise InvalidParameter("Missing command after HEALTHCHECK CMD")
    found = _json_words(command)
    test = ("CMD", *found) if found else ("CMD-SHELL", command)
    return msgspec.structs.replace(defaults, healthcheck=Healthcheck(test=test, **options))


def _length(name: str, text: str) -> int:
    try:
        nanoseconds = duration(text)
    except ValueError as error:
        raise InvalidParameter(str(error)) from error
    if 0 < nanoseconds < 1_000_000:
        raise InvalidParameter(f"Interval {name!r} cannot be less than 1ms")
    return nanoseconds


def _retries(name: str, text: str) -> int:
    if not text.isdigit() or len(text) > 9:
        raise InvalidParameter(f"--retries must be at least 0: {text[:100]!r}")
    return int(text)


_HEALTH_OPTIONS: dict[str, Callable[[str, str], int]] = {
    "interval": _length, "timeout": _length, "start-period": _length, "start-interval": _length, "retries": _retries}


def _onbuild(defaults: ImageDefaults, text: str) -> ImageDefaults:
    word = text.partition(" ")[0].upper()
    if word == "ONBUILD":
        raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if word in ("FROM", "MAINTAINER"):
        raise InvalidParameter(f"{word} isn't allowed as an ONBUILD trigger")
    return msgspec.structs.replace(defaults, on_build=(*(defaults.on_build or ()), text))


_INSTRUCTIONS: dict[str, Callable[[ImageDefaults, str], ImageDefaults]] = {
    "CMD": _cmd, "ENTRYPOINT": _entrypoint, "ENV": _env, "EXPOSE": _expose, "HEALTHCHECK": _healthcheck,
    "LABEL": _label, "ONBUILD": _onbuild, "STOPSIGNAL": _stopsignal, "USER": _user, "VOLUME": _volume,
    "WORKDIR": _workdir,
}
