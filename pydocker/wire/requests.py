"""Bodies of requests: JSON objects become the model's types, and nothing that was asked for is lost on the way.

Docker's clients send every field there is, most of them at Go's zero value, and null for whatever they leave open. So:

  - null means: not given.
  - A field that the model does not have may be there at its zero value, or at a value that means what this engine does
    anyway (`_NEUTRAL`). Everything else is refused by name: a `-v` that is silently dropped would cost somebody data.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from pydocker.errors import InvalidParameter, NotSupported
from pydocker.model.container import Config, ExecConfig, HostConfig

T = TypeVar("T")
Object = Mapping[str, object]


class CreateBody(NamedTuple):
    """The body of `POST /containers/create`."""

    config: Config
    host: HostConfig


class _Create(Config, frozen=True, kw_only=True):
    """Both halves as they stand in the body, so that a fault's JSON path is the one in the body."""

    host_config: HostConfig = HostConfig()


def create(body: Object) -> CreateBody:
    """Decode a create request. Raises InvalidParameter with the JSON path, NotSupported with the field's name."""
    body = {name: _spelled_out(name, value) for name, value in _without_nulls(body).items()}
    decoded = _convert(body, _Create)
    _refuse_unknown("", _rest(body, _Create, {"NetworkingConfig"}))
    _refuse_unknown("HostConfig.", _rest(_object(body, "HostConfig"), HostConfig))
    _refuse_unknown("NetworkingConfig.", _rest(_object(body, "NetworkingConfig"), None, {"EndpointsConfig"}))
    for network, settings in _object(_object(body, "NetworkingConfig"), "EndpointsConfig").items():
        if isinstance(settings, Mapping):
            _refuse_unknown(f"NetworkingConfig.EndpointsConfig.{network}.", settings)
    config = Config(**{name: getattr(decoded, name) for name in Config.__struct_fields__})
    return CreateBody(config, decoded.host_config)


def execute(body: Object) -> ExecConfig:
    """Decode the body of `POST /containers/{id}/exec`. Raises as `create` does."""
    body = _without_nulls(body)
    # Clients send these three as well; Docker's daemon reads none of them here: the path or the start has them.
    _refuse_unknown("", _rest(body, ExecConfig, {"Container", "Detach", "ConsoleSize"}))
    return _convert(body, ExecConfig)


def convert(body: Object, type: type[T]) -> T:
    """Decode a small body whose every field is in `type`."""
    return _convert(_without_nulls(body), type)


def _spelled_out(name: str, value: object) -> object:
    if name in ("Cmd", "Entrypoint") and isinstance(value, str):
        return [value]  # Go's type for these two, StrSlice, takes a lone string as well
    if name == "HostConfig" and isinstance(value, dict) and isinstance(log := value.get("LogConfig"), dict):
        # An empty driver is the engine's default one, which the model has as its own default.
        return {**value, "LogConfig": {key: inner for key, inner in log.items() if inner}}
    return value


def _convert(body: Object, type: type[T]) -> T:
    try:
        return msgspec.convert(body, type)
    except msgspec.ValidationError as error:
        message = str(error)
        raise InvalidParameter(f"invalid request body: {message[0].lower()}{message[1:]}") from error


def _object(body: Object, name: str) -> Object:
    value = body.get(name, {})
    if not isinstance(value, Mapping):
        raise InvalidParameter(f"invalid request body: expected `object` - at `$.{name}`")
    return value


def _rest(body: Object, type: type[msgspec.Struct] | None, also_known: Iterable[str] = ()) -> Object:
    known = {field.encode_name for field in msgspec.structs.fields(type)} if type else set()
    return {name: value for name, value in body.items() if name not in known and name not in also_known}


def _refuse_unknown(prefix: str, fields: Object) -> None:
    for name, value in fields.items():
        neutral = _NEUTRAL.get(prefix + name, _is_zero)
        if not neutral(value):
            raise NotSupported(f"{prefix}{name} is not supported yet")


def _is_zero(value: object) -> bool:
    return value is None or value in (False, 0, "") or (isinstance(value, list | dict) and not value)


def _one_of(*values: object) -> Callable[[object], bool]:
    return lambda value: value in values


def _no_restart(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("Name", "") in ("", "no")


def _no_health_check(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("Test", []) in ([], ["NONE"])


def _any(value: object) -> bool:
    return True


_NEUTRAL: Mapping[str, Callable[[object], bool]] = {
    "HostConfig.RestartPolicy": _no_restart,
    "HostConfig.MemorySwappiness": _one_of(-1, 0),
    "HostConfig.CgroupnsMode": _one_of("", "private"),
    "HostConfig.IpcMode": _one_of("", "private"),
    "HostConfig.Isolation": _one_of("", "default"),
    # The clients set the terminal's size once more as soon as it is there (POST …/resize).
    "HostConfig.ConsoleSize": _any,
    # Here an empty list is no zero: it asks for nothing to be masked.
    "HostConfig.MaskedPaths": _one_of(None),
    "HostConfig.ReadonlyPaths": _one_of(None),
    "Healthcheck": _no_health_check,
}


def _without_nulls(value: Object, depth: int = 8) -> Object:
    return {name: _clean(inner, depth) for name, inner in value.items() if inner is not None}


def _clean(value: object, depth: int) -> object:
    # No type of the model nests deeper; a body that does must not exhaust the stack.
    if depth and isinstance(value, dict):
        return _without_nulls(value, depth - 1)
    return value
