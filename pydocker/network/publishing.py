"""Which of a container's networks its published ports are led through, and how the sockets that hold them get to its
monitor.

A port is led through the network that has the default route: there the container's answers go, too. IPv4 and IPv6 may
differ in that; a port of the one kind for a container that has only the other is the monitor's to carry.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence

import msgspec

from pydocker.model.container import Record
from pydocker.model.network import Endpoint, EndpointConfig, Published
from pydocker.network import options, plan, ports
from pydocker.network.firewall import ANY4
from pydocker.network.plan import Place
from pydocker.network.ports import AT_ONCE, Batch, Held, Owner

_SO_SNDBUFFORCE = 32  # socket(7): beyond net.core.wmem_max, with CAP_NET_ADMIN
_OVERHEAD = 4096  # bytes of the kernel's own for a message, at most


def hold(record: Record, places: Sequence[Place], narrowed: str, owner: Owner) -> Held:
    """Take the ports that the container asks for. Without a network that leads out, none are published, as in Docker.

    `narrowed`: the configuration's default address. Raises PydockerError.
    """
    wanted = ports.asked(record.config.exposed_ports, record.host.port_bindings or {}, record.host.publish_all_ports)
    carrier = next((place for version in (4, 6) if (place := _carrier(places, version))), None)
    return ports.hold(wanted, default(carrier, narrowed), owner) if wanted and carrier else Held()


def default(place: Place, narrowed: str) -> str:
    """The address for ports that name none: the network's own option, else the configuration's; "" stands for all."""
    asked = place[0].options.get(options.BINDING, "")
    return narrowed if asked in ("", ANY4) else asked


def arranged(places: Sequence[Place], published: Sequence[Published]) -> tuple[Place, ...]:
    """The places with what each of them publishes."""
    carriers = {version: _carrier(places, version) or _carrier(places, 10 - version) for version in (4, 6)}
    given: dict[str, list[Published]] = {}
    for one in published:
        if place := carriers[6 if ":" in one.host_ip else 4]:
            given.setdefault(place[1].id, []).append(one)
    return tuple((network, msgspec.structs.replace(endpoint, published=tuple(given.get(endpoint.id, ()))), config)
                 for network, endpoint, config in places)


def _carrier(places: Sequence[Place], version: int) -> Place | None:
    way = plan.way_out(places, version)
    return next((place for place in places if way and place[1].interface == way[0]), None)


def published(places: Sequence[tuple[object, Endpoint, EndpointConfig]]) -> tuple[Published, ...]:
    """All that a container publishes."""
    return tuple(one for _, endpoint, _ in places for one in endpoint.published)


def packed(held: Held) -> int:
    """A descriptor from which a monitor reads all these sockets; they stay open in it. That monitor may not be there
    yet, so all of it has to find room in the socket: whoever waited for some would wait for ever."""
    messages = [(msgspec.json.encode(batch), sockets) for batch, sockets in batches(held)]
    room = sum(len(content) + _OVERHEAD for content, _ in messages)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, contextlib.ExitStack() as undo:
        undo.callback(theirs.close)
        ours.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, room)
        for content, sockets in messages:
            socket.send_fds(ours, [content], sockets)
        undo.pop_all()
    return theirs.detach()


def batches(held: Held) -> Iterator[tuple[Batch, list[int]]]:
    """The same in messages."""
    for at in range(0, len(held.published), AT_ONCE):
        yield (Batch(held.published[at:at + AT_ONCE]),
               [one.fileno() for one in held.sockets[at:at + AT_ONCE]])


def close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
