"""Routes under `/networks` (Engine API, "Network"). Loaded by the commands that ask."""

import msgspec

from pydocker.client.api import Client, Query, decoded, required


class Created(msgspec.Struct, frozen=True, rename="pascal"):
    """`POST /networks/create`."""

    id: str
    warning: str = ""


class Pool(msgspec.Struct, frozen=True, rename={"subnet": "Subnet", "gateway": "Gateway"}):
    """A subnet of a network."""

    subnet: str = ""
    gateway: str = ""


class Ipam(msgspec.Struct, frozen=True, rename="pascal"):
    """Where a network's addresses come from."""

    config: tuple[Pool, ...] | None = None


class Published(msgspec.Struct, frozen=True):
    """A port of the host's that leads into a container."""

    protocol: str
    host_ip: str
    host_port: int
    container_port: int


class Member(msgspec.Struct, frozen=True, kw_only=True, rename={
        "name": "Name", "mac": "MacAddress", "ipv4": "IPv4Address", "ipv6": "IPv6Address", "interface": "Interface",
        "host_interface": "HostInterface", "published": "Published"}):
    """A container in a network. The last three are pydocker's own."""

    name: str = ""
    mac: str = ""
    ipv4: str = ""
    ipv6: str = ""
    interface: str = ""
    host_interface: str = ""
    published: tuple[Published, ...] = ()


class Network(msgspec.Struct, frozen=True, kw_only=True, rename={
        "id": "Id", "name": "Name", "created": "Created", "scope": "Scope", "driver": "Driver", "ipv4": "EnableIPv4",
        "ipv6": "EnableIPv6", "internal": "Internal", "labels": "Labels", "options": "Options", "ipam": "IPAM",
        "interface": "Interface", "members": "Containers"}):
    """One network; its members are in an inspected one only. `interface`, the host's end, is pydocker's own."""

    id: str
    name: str
    created: str = ""
    scope: str = ""
    driver: str = ""
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    ipam: Ipam = Ipam()
    interface: str = ""
    members: dict[str, Member] = {}


def _path(network: str, verb: str = "") -> str:
    return f"/networks/{required('network', network)}" + (f"/{verb}" if verb else "")


def create(client: Client, request: object) -> Created:
    return decoded(client.post("/networks/create", None, request), Created)


def listed(client: Client, query: Query) -> tuple[Network, ...]:
    return client.get("/networks", tuple[Network, ...], query)


def inspect(client: Client, network: str, *, verbose: bool = False) -> bytes:
    """The document as the server wrote it."""
    return client.send("GET", _path(network), {"verbose": verbose or None}).read()


def detail(client: Client, network: str) -> Network:
    return client.get(_path(network), Network)


def remove(client: Client, network: str) -> None:
    client.send("DELETE", _path(network)).read()


def connect(client: Client, network: str, container: str, settings: object) -> None:
    path = _path(network, "connect")
    required("container", container)
    client.post(path, None, {"Container": container, "EndpointConfig": settings})


def disconnect(client: Client, network: str, container: str, *, force: bool) -> None:
    path = _path(network, "disconnect")
    required("container", container)
    client.post(path, None, {"Container": container, "Force": force})
