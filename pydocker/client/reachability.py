"""Each published port of a container, every hop on the way to it, and who can use it."""

import msgspec

from pydocker.client.api import Client, segment


class Hop(msgspec.Struct, frozen=True, rename="pascal"):
    """One thing that has to be so, and whether it is."""

    what: str
    good: bool
    detail: str


class Port(msgspec.Struct, frozen=True, rename="pascal"):
    """One published port."""

    port: str
    network: str
    hops: tuple[Hop, ...]
    reachable_from: tuple[str, ...]


class Reachability(msgspec.Struct, frozen=True, rename="pascal"):
    """`GET /containers/{id}/reachability`."""

    ports: tuple[Port, ...]


class _State(msgspec.Struct, frozen=True, rename="pascal"):
    running: bool


class _HostConfig(msgspec.Struct, frozen=True, rename="pascal"):
    network_mode: str = ""
    port_bindings: dict[str, object] | None = None
    publish_all_ports: bool = False


class Wish(msgspec.Struct, frozen=True, rename="pascal"):
    """Of a container: whether it runs, and what it has asked for."""

    state: _State
    host_config: _HostConfig

    @property
    def publishes(self) -> bool:
        """Whether it asks for a port."""
        return bool(self.host_config.port_bindings) or self.host_config.publish_all_ports


def wish(client: Client, container: str) -> Wish:
    return client.get(f"/containers/{segment(container)}/json", Wish)


def reachability(client: Client, container: str) -> tuple[Port, ...]:
    return client.get(f"/containers/{segment(container)}/reachability", Reachability).ports
