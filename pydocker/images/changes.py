"""`import --change`: the Dockerfile instructions that only set something in an image's config (dockerfile reference).

    CMD ENTRYPOINT      JSON form, or words for `/bin/sh -c`
    ENV LABEL           NAME=VALUE …, or NAME VALUE
    EXPOSE VOLUME       words; VOLUME also as JSON
    USER WORKDIR STOPSIGNAL      one value

Each function is pure: the defaults so far and the instruction's text in, the changed defaults out.
"""

import posixpath
import shlex
from collections.abc import Callable, Iterable, Sequence

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.model.image import ImageDefaults

_SHELL = ("/bin/sh", "-c")


def changed(defaults: ImageDefaults, changes: Iterable[str]) -> ImageDefaults:
    """Apply the instructions in order. Raises InvalidParameter naming the instruction."""
    for change in changes:
        word, _, text = change.strip().partition(" ")
        apply = _INSTRUCTIONS.get(word.upper())
        if apply is None:
            raise InvalidParameter(f"{word.upper()} is not a valid change command")
        if not text.strip():
            raise InvalidParameter(f"{word.upper()} requires at least one argument")
        defaults = apply(defaults, text.strip())
    return defaults


def _json_words(text: str) -> tuple[str, ...] | None:
    if not text.startswith("["):
        return None
    try:
        return msgspec.json.decode(text, type=tuple[str, ...])
    except msgspec.MsgspecError:
        return None  # not JSON: then it is for the shell, as in Docker


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidParameter(f"{text!r}: {str(error).lower()}") from error


def _pairs(text: str) -> list[tuple[str, str]]:
    words = _words(text)
    if "=" not in words[0]:
        name, _, value = text.partition(" ")
        if not value:
            raise InvalidParameter(f"{name!r}: a name and a value are required")
        return [(name, value.strip())]
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise InvalidParameter(f"{text!r}: can't find = in {name!r}. Must be of the form: name=value")
    return [(name, value) for name, _, value in pairs]


def _cmd(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, cmd=_json_words(text) or (*_SHELL, text))


def _entrypoint(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, entrypoint=_json_words(text) or (*_SHELL, text))


def _env(defaults: ImageDefaults, text: str) -> ImageDefaults:
    known = dict(entry.split("=", 1) for entry in defaults.env or ())
    known.update(_pairs(text))
    return msgspec.structs.replace(defaults, env=tuple(f"{name}={value}" for name, value in known.items()))


def _label(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, labels={**(defaults.labels or {}), **dict(_pairs(text))})


def _expose(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, exposed_ports={**(defaults.exposed_ports or {}), **_ports(_words(text))})


def _ports(words: Sequence[str]) -> dict[str, dict[str, str]]:
    ports: dict[str, dict[str, str]] = {}
    for word in words:
        number, _, protocol = word.partition("/")
        if not number.isdigit() or not 0 < int(number) < 65536 or protocol.lower() not in ("", "tcp", "udp", "sctp"):
            raise InvalidParameter(f"invalid containerPort: {word}")
        ports[f"{int(number)}/{protocol.lower() or 'tcp'}"] = {}
    return ports


def _volume(defaults: ImageDefaults, text: str) -> ImageDefaults:
    paths: dict[str, dict[str, str]] = {path: {} for path in _json_words(text) or _words(text)}
    return msgspec.structs.replace(defaults, volumes={**(defaults.volumes or {}), **paths})


def _user(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, user=text)


def _workdir(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(
        defaults, working_dir=posixpath.normpath(posixpath.join("/", defaults.working_dir, text)))


def _stopsignal(defaults: ImageDefaults, text: str) -> ImageDefaults:
    return msgspec.structs.replace(defaults, stop_signal=text)


_INSTRUCTIONS: dict[str, Callable[[ImageDefaults, str], ImageDefaults]] = {
    "CMD": _cmd, "ENTRYPOINT": _entrypoint, "ENV": _env, "EXPOSE": _expose, "LABEL": _label, "STOPSIGNAL": _stopsignal,
    "USER": _user, "VOLUME": _volume, "WORKDIR": _workdir,
}
