"""The engine's configuration file: `/etc/pydocker/daemon.json`, with the keys of Docker's `daemon.json`.

`PYDOCKER_CONFIG` names another file (the tests run whole engines beside each other that way). Unknown keys are errors:
a misspelt `insecure-registries` must not pass silently.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.paths import Paths

DEFAULT_FILE = "/etc/pydocker/daemon.json"
DEFAULT_HOST = "unix:///run/pydocker.sock"
LARGEST_LAYER = 100 * 10**9  # bytes


class RuntimeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OCI runtime that `--runtime NAME` may choose."""

    path: str


_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_PREFIX = re.compile(rf"{_HOST}(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*", re.ASCII)
_MIRROR = re.compile(rf"(?:https?://)?{_PREFIX.pattern}/?", re.ASCII)
_DOCKERS_CERTIFICATES = "/etc/docker/certs.d"


class RegistryEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for the repositories below a prefix: mirrors (`[http://]host[:port][/path]`), and no TLS needed."""

    mirrors: tuple[str, ...] = ()
    insecure: bool = False

    def __post_init__(self) -> None:
        for mirror in self.mirrors:
            if not _MIRROR.fullmatch(mirror):
                raise ValueError(f"{mirror!r} is no mirror: [http://]host[:port][/path]")


class AddressPool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses for networks whose subnet nobody names: `base` in pieces with a prefix of `size` bits."""

    base: str
    size: int

    def __post_init__(self) -> None:
        import ipaddress  # three milliseconds, which the command line has no use for

        pool = ipaddress.ip_network(self.base)  # its ValueError says what is wrong
        if not pool.prefixlen <= self.size <= min(pool.max_prefixlen - 2, pool.prefixlen + 16):
            raise ValueError(f"address pool {self.base}: pieces of /{self.size} cannot be made of it")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Every key is optional; `idle_timeout` is in seconds, 0 means: stay; `max_layer_size` in bytes, unpacked.

    `bridge` is the default network's, `bip` its address (and so its subnet), `mtu`, `icc` and `ip_masq` hold for it.
    `fixed_cidr` is the part of the subnet that containers get addresses of (without `bip`: the subnet), and
    `default_gateway` their way out, if it is not the bridge. With `ipv6` it has that, too: `bip6`, `fixed_cidr_v6`,
    `default_gateway_v6`.
    `host_gateway_ips` is what `--add-host NAME:host-gateway` means, in place of the host's addresses in that network.
    `ip` is the host's address for published ports that name none; empty: all of them. With `ip_forward_no_drop`, a host
    that was no router before we made it one forwards for everybody, not for our networks alone.
    """

    data_root: str = "/var/lib/pydocker"
    exec_root: str = "/run/pydocker"
    hosts: tuple[str, ...] = (DEFAULT_HOST,)
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()  # Docker's key: those of Docker Hub
    registries: dict[str, RegistryEntry] = {}
    registry_certificates: str = "/etc/pydocker/certs.d"
    default_runtime: str = "pydocker-runtime"
    runtimes: dict[str, RuntimeEntry] = {}
    cgroup_parent: str = "/pydocker"
    idle_timeout: float = 300.0
    bridge: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$")] = "pydocker0"
    bip: str = ""
    mtu: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    icc: bool = True
    ip_masq: bool = True
    fixed_cidr: str = ""
    default_gateway: str = ""
    ipv6: bool = False
    bip6: str = ""
    fixed_cidr_v6: str = ""
    default_gateway_v6: str = ""
    host_gateway_ips: tuple[str, ...] = ()
    ip: str = ""
    ip_forward_no_drop: bool = False
    default_address_pools: tuple[AddressPool, ...] = ()
    max_layer_size: Annotated[int, msgspec.Meta(gt=0)] = LARGEST_LAYER

    def __post_init__(self) -> None:
        for prefix in self.registries:
            if not _PREFIX.fullmatch(prefix):
                raise ValueError(f"{prefix!r} is no prefix of an image's name: host[:port][/path]")
        RegistryEntry(self.registry_mirrors)
        if self.ip:
            _check_ip(self.ip)
        if self.bip or self.fixed_cidr or self.default_gateway:
            _check_subnet(4, {"bip": self.bip, "fixed-cidr": self.fixed_cidr, "default-gateway": self.default_gateway})
        six = {"bip6": self.bip6, "fixed-cidr-v6": self.fixed_cidr_v6, "default-gateway-v6": self.default_gateway_v6}
        if given := [key for key, value in six.items() if value]:
            if not self.ipv6:
                raise ValueError(f"{given[0]} needs \"ipv6\": true")
            _check_subnet(6, six)

    @property
    def by_prefix(self) -> dict[str, RegistryEntry]:
        """`registries`, with `registry-mirrors` as what they are: the first mirrors of docker.io."""
        if not self.registry_mirrors:
            return self.registries
        hub = self.registries.get("docker.io", RegistryEntry())
        return self.registries | {"docker.io": RegistryEntry((*self.registry_mirrors, *hub.mirrors), hub.insecure)}

    @property
    def certificates(self) -> tuple[Path, ...]:
        """Where authorities and client certificates by host are: ours first, then Docker's, as podman does it."""
        return Path(self.registry_certificates), Path(_DOCKERS_CERTIFICATES)

    @property
    def paths(self) -> Paths:
        return Paths(Path(self.data_root), Path(self.exec_root))


def _check_ip(text: str) -> None:
    import ipaddress

    ipaddress.ip_address(text)  # its ValueError says what is wrong


def _check_subnet(version: int, keys: Mapping[str, str]) -> None:
    """The bridge's address, the part of its subnet for containers and their gateway have to go together."""
    import ipaddress

    (bip_key, bip), (fixed_key, fixed), (gateway_key, gateway) = keys.items()
    if bip and (ipaddress.ip_interface(bip).version != version or "/" not in bip):
        raise ValueError(f"{bip_key} {bip!r} is no IPv{version} address with a prefix length")
    part = ipaddress.ip_network(fixed) if fixed else None
    subnet = ipaddress.ip_interface(bip).network if bip else part
    if part is not None and part.version != version:
        raise ValueError(f"{fixed_key} {fixed!r} is no IPv{version} subnet")
    if part is not None and subnet is not None and not part.subnet_of(subnet):  # type: ignore[arg-type]
        raise ValueError(f"{fixed_key} {fixed} is no part of the subnet of {bip_key} {bip}")
    if gateway and (subnet is None or ipaddress.ip_address(gateway) not in subnet):
        raise ValueError(f"{gateway_key} {gateway} is in no subnet that {bip_key} or {fixed_key} names")


def load(environ: Mapping[str, str]) -> Config:
    """Read the configuration; a missing default file means the defaults.

    Raises InvalidParameter with the file and the JSON path of the fault.
    """
    chosen = environ.get("PYDOCKER_CONFIG")
    path = chosen or DEFAULT_FILE
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=Config)
    except FileNotFoundError:
        if chosen is None:
            return Config()
        raise InvalidParameter(f"configuration file {path}: {os.strerror(2).lower()}") from None
    except OSError as error:
        raise InvalidParameter(f"configuration file {path}: {os.strerror(error.errno or 0).lower()}") from error
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"configuration file {path}: {error}") from error
