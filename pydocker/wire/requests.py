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
from pydocker.model.limits import Update
from pydocker.model.network import Asked, EndpointConfig, Pool

T = TypeVar("T")
Object = Mapping[str, object]


class CreateBody(NamedTuple):
    """The body of `POST /containers/create`."""

    config: Config
    host: HostConfig
    networks: dict[str, EndpointConfig]


class _Create(Config, frozen=True, kw_only=True):
    """Both halves as they stand in the body, so that a fault's JSON path is the one in the body."""

    host_config: HostConfig = HostConfig()


def create(given: Object) -> CreateBody:
    """Decode a create request. Raises InvalidParameter with the JSON path, NotSupported with the field's name."""
    body = {name: _spelled_out(name, value) for name, value in _without_nulls(given).items()}
    decoded = _convert(body, _Create)
    _refuse_unknown("", _rest(body, _Create, {"NetworkingConfig", "MacAddress"}))
    host = _object(body, "HostConfig")
    _refuse_devices(host.get("DeviceRequests"))
    _refuse_isolation(host.get("Isolation"))
    if host.get("StorageOpt"):
        raise NotSupported("--storage-opt is not supported: an overlay has no size of its own")
    _refuse_unknown("HostConfig.", _rest(host, HostConfig, {"Isolation"}))
    _refuse_unknown("NetworkingConfig.", _rest(_object(body, "NetworkingConfig"), None, {"EndpointsConfig"}))
    config = Config(**{name: getattr(decoded, name) for name in Config.__struct_fields__})
    return CreateBody(config, _limits(decoded.host_config), _endpoints(given, decoded.host_config.network_mode))


def _limits(host: HostConfig) -> HostConfig:
    """0 and -1 are Docker's older words for "no limit", and -1 for "the swappiness of the machine"."""
    return msgspec.structs.replace(
        host, pids_limit=host.pids_limit if (host.pids_limit or 0) > 0 else None,
        memory_swappiness=None if host.memory_swappiness == -1 else host.memory_swappiness)


def _endpoints(body: Object, mode: str) -> dict[str, EndpointConfig]:
    """What is asked for in each network; an empty one where only its name was given."""
    given = _object(_object(body, "NetworkingConfig"), "EndpointsConfig")
    found = {name: endpoint({} if settings is None else settings, f"NetworkingConfig.EndpointsConfig.{name}.")
             for name, settings in given.items()}  # null: only its name is asked for
    if mac := body.get("MacAddress"):  # where it stood before API 1.44: of the network that the mode names
        main = found.get(mode, EndpointConfig())
        found[mode] = _convert({**msgspec.to_builtins(main), "MacAddress": mac}, EndpointConfig)
    return found


def endpoint(settings: object, prefix: str = "EndpointConfig.") -> EndpointConfig:
    """Docker's EndpointSettings. Clients send back what they were told of an endpoint (`_TOLD`); nobody asks for it.
    """
    if not isinstance(settings, Mapping):
        raise InvalidParameter(f"invalid request body: expected `object` - at `$.{prefix.rstrip('.')}`")
    settings = _without_nulls(settings)
    _refuse_unknown(prefix, _rest(settings, EndpointConfig, _TOLD))
    return _convert(settings, EndpointConfig)


class _Pool(msgspec.Struct, frozen=True, rename={
        "subnet": "Subnet", "ip_range": "IPRange", "gateway": "Gateway", "auxiliary": "AuxiliaryAddresses"}):
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    auxiliary: dict[str, str] = {}


class _Ipam(msgspec.Struct, frozen=True, rename="pascal"):
    driver: str = ""
    options: dict[str, str] = {}
    config: tuple[_Pool, ...] = ()


class _ConfigFrom(msgspec.Struct, frozen=True, rename={"network": "Network"}):
    network: str = ""


class _Network(msgspec.Struct, frozen=True, rename={
        "name": "Name", "driver": "Driver", "ipv4": "EnableIPv4", "ipv6": "EnableIPv6", "internal": "Internal",
        "attachable": "Attachable", "options": "Options", "labels": "Labels", "ipam": "IPAM", "ingress": "Ingress",
        "scope": "Scope", "config_only": "ConfigOnly", "config_from": "ConfigFrom"}):
    name: str = ""
    driver: str = ""
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    ipam: _Ipam = _Ipam()
    ingress: bool = False
    scope: str = ""
    config_only: bool = False
    config_from: _ConfigFrom = _ConfigFrom()


def network(body: Object) -> Asked:
    """Decode the body of `POST /networks/create`. Raises as `create` does."""
    body = _without_nulls(body)
    # Names are unique here whether or not a client asks for that.
    _refuse_unknown("", _rest(body, _Network, {"CheckDuplicate"}))
    found = _convert(body, _Network)
    return Asked(
        name=found.name, driver=found.driver, ipv4=found.ipv4, ipv6=found.ipv6, internal=found.internal,
        attachable=found.attachable, options=found.options, labels=found.labels, ipam_driver=found.ipam.driver,
        ipam_options=found.ipam.options, ingress=found.ingress, scope=found.scope, config_only=found.config_only,
        config_from=found.config_from.network,
        pools=tuple(Pool(one.subnet, one.gateway, one.ip_range, one.auxiliary) for one in found.ipam.config))


def execute(body: Object) -> ExecConfig:
    """Decode the body of `POST /containers/{id}/exec`. Raises as `create` does."""
    body = _without_nulls(body)
    # Clients send these three as well; Docker's daemon reads none of them here: the path or the start has them.
    _refuse_unknown("", _rest(body, ExecConfig, {"Container", "Detach", "ConsoleSize"}))
    return _convert(body, ExecConfig)


def update(body: Object) -> Update:
    """Decode the body of `POST /containers/{id}/update`. Raises as `create` does."""
    body = _without_nulls(body)
    _refuse_unknown("", _rest(body, Update))
    return _convert(body, Update)


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


def _object(body: object, name: str) -> Object:
    value = body.get(name) if isinstance(body, Mapping) else body
    value = {} if value is None else value
    if not isinstance(value, Mapping):
        raise InvalidParameter(f"invalid request body: expected `object` - at `$.{name}`")
    return value


def _rest(body: Object, type: type[msgspec.Struct] | None, also_known: Iterable[str] = ()) -> Object:
    known = {field.encode_name for field in msgspec.structs.fields(type)} if type else set()
    return {name: value for name, value in body.items() if name not in known and name not in also_known}


def _refuse_isolation(asked: object) -> None:
    """It is for containers of Windows, and has one kind here."""
    if str(asked or "default").lower() != "default":
        raise InvalidParameter(f'invalid isolation: "{asked}" - linux only supports \'default\'')


def _refuse_devices(asked: object) -> None:
    """`--gpus`: Docker's words for a machine without a driver for what is wanted, which this one always is."""
    for one in asked if isinstance(asked, list) else ():
        found = one if isinstance(one, Mapping) else {}
        sets = found.get("Capabilities")
        wanted = " ".join(f"[{' '.join(map(str, names if isinstance(names, list) else ()))}]"
                          for names in (sets if isinstance(sets, list) else ()))
        driver = found.get("Driver") or ""
        raise NotSupported(f'could not select device driver "{driver}" with capabilities: [{wanted}]: pydocker '
                           f"does not support {'the Container Device Interface' if driver == 'cdi' else 'GPUs'}")


def _refuse_unknown(prefix: str, fields: Object) -> None:
    for name, value in fields.items():
        neutral = _NEUTRAL.get(prefix + name, _is_zero)
        if not neutral(value):
            raise NotSupported(f"{prefix}{name} is not supported yet")


_TOLD = ("NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address",
         "GlobalIPv6PrefixLen", "DNSNames")


def _is_zero(value: object) -> bool:
    return value is None or value in (False, 0, "") or (isinstance(value, list | dict) and not value)


def _any(value: object) -> bool:
    return True


_NEUTRAL: Mapping[str, Callable[[object], bool]] = {
    # The clients set the terminal's size once more as soon as it is there (POST …/resize).
    "HostConfig.ConsoleSize": _any,
}


def _without_nulls(value: Object, depth: int = 8) -> Object:
    return {name: _clean(inner, depth) for name, inner in value.items() if inner is not None}


def _clean(value: object, depth: int) -> object:
    # No type of the model nests deeper; a body that does must not exhaust the stack.
    if depth and isinstance(value, dict):
        return _without_nulls(value, depth - 1)
    if depth and isinstance(value, list):
        return [_clean(inner, depth - 1) for inner in value]
    return value
