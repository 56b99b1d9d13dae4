"""Published ports: which the host gives, and the sockets that hold them.

A socket of the host's is bound to each published port, so that nobody else gets it, `ss -l` shows whose it is, and the
kernel frees it when its holder (the container's monitor) is gone. TCP and SCTP listen, too: otherwise a bound port that
must be reusable (SO_REUSEADDR, because of connections of others in TIME_WAIT) could be taken by whoever sets the same
option. What is led to the container by the firewall never reaches these sockets.
"""

import errno
import ipaddress
import os
import resource
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from pydocker.errors import NotSupported, PydockerError
from pydocker.model.network import PortBinding, Published
from pydocker.model.port import Port, port, wanted
from pydocker.network.firewall import ANY4, ANY6
from pydocker.network.holders import holder

_RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_BACKLOG = 128
AT_ONCE = 200  # sockets in one message to a monitor (unix(7): SCM_MAX_FD is 253)
LARGEST_BATCH = 1 << 16  # bytes of such a message
_FEW = 100  # descriptors that there is room for without asking

Owner = Callable[[str, str, int], str]  # protocol, address, port: the container that has it published, or ""
Bindings = Mapping[str, tuple[PortBinding, ...] | None]


class Held(msgspec.Struct, frozen=True):
    """Published ports, and for each the socket that holds it."""

    published: tuple[Published, ...] = ()
    sockets: tuple[socket.socket, ...] = ()

    def close(self) -> None:
        """Free them; sockets that were handed to a monitor stay bound there."""
        for one in self.sockets:
            one.close()


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """A message to a monitor: what the sockets beside it hold."""

    published: tuple[Published, ...]


class _Taken(Exception):
    """Somebody has it."""

    def __init__(self, address: str, reason: OSError) -> None:
        super().__init__(address)
        self.address = address
        self.reason = reason


def asked(exposed: Iterable[str], bindings: Bindings, publish_all: bool) -> list[tuple[Port, PortBinding]]:
    """All ports that are to be published, those of -P too, in the order of the containers' ports. Raises
    InvalidParameter."""
    found = [(port(key), one) for key, each in bindings.items() for one in each or ()]
    if publish_all:
        explicit = {inside for inside, _ in found}
        found += [(each, PortBinding()) for each in sorted({port(key) for key in exposed} - explicit)]
    return sorted(found, key=lambda one: one[0])  # stable: bindings of one port stay in their order


def twice(ports: Iterable[tuple[Port, PortBinding]], default: str = "") -> str:
    """The address and the port of the host's that two of these ask for, so that they can never be held; "" for none."""
    taken: list[tuple[str, str, int]] = []
    for inside, binding in ports:
        choice = wanted(binding)
        if len(choice) != 1:
            continue
        at = [(inside.protocol, address, choice[0]) for address in _addresses(binding.host_ip or default)]
        for protocol, address, number in at:
            if any((protocol, number) == (one, other) and collide(address, there) for one, there, other in taken):
                return _at(address, number)
        taken += at
    return ""


def collide(one: str, other: str) -> bool:
    """Whether a port cannot be had at both addresses."""
    here, there = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return here == there or (here.version == there.version and (here.is_unspecified or there.is_unspecified))


def hold(ports: Sequence[tuple[Port, PortBinding]], default: str = "", owner: Owner = lambda *_: "") -> Held:
    """Take all of these ports of the host's, or none. `default`: the address of those that name none.

    Raises PydockerError in Docker's words, and says who has a port.
    """
    published: list[Published] = []
    make_room(2 * len(ports))
    with ExitStack() as undo:
        sockets: list[socket.socket] = []
        for inside, binding in ports:
            number, made = _hold(inside, binding, default, published, owner)
            for address, one in made:
                undo.callback(one.close)
                sockets.append(one)
                published.append(Published(inside.protocol, address, number, inside.number))
        undo.pop_all()
    return Held(tuple(published), tuple(sockets))


def make_room(count: int) -> None:
    """Have so many more descriptors allowed, where the soft limit (1024, often) is lower and root's hard one is not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if count > _FEW and soft != resource.RLIM_INFINITY:
        most = soft + count if hard == resource.RLIM_INFINITY else min(soft + count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _hold(inside: Port, binding: PortBinding, default: str, before: Sequence[Published],
          owner: Owner) -> tuple[int, list[tuple[str, socket.socket]]]:
    """One binding, at the first of its ports that is free at every address."""
    addresses = _addresses(binding.host_ip or default)
    choice = wanted(binding)
    taken: _Taken | None = None
    number = 0
    for number in choice or _dynamic():
        try:
            return number, _bind_all(inside.protocol, addresses, number)
        except _Taken as error:
            taken = error
            if error.reason.errno != errno.EADDRINUSE:  # no other port will do either
                raise _refusal(inside.protocol, error, number, before, owner) from error
    if taken is None or not choice:
        raise PydockerError("failed to bind a host port: none is free (net.ipv4.ip_local_port_range)")
    if len(choice) > 1:
        raise PydockerError(f"Bind for {_at(taken.address, binding.host_port)} failed: all ports are allocated")
    raise _refusal(inside.protocol, taken, number, before, owner) from taken


def _refusal(protocol: str, taken: _Taken, number: int, before: Sequence[Published], owner: Owner) -> PydockerError:
    at = _at(taken.address, number)
    if taken.reason.errno != errno.EADDRINUSE:
        return PydockerError(f"failed to bind host port {at}/{protocol}: "
                             f"{os.strerror(taken.reason.errno or 0).lower()}")
    if any((one.protocol, one.host_port) == (protocol, number) for one in before):
        return PydockerError(f"Bind for {at} failed: port is already allocated: it is asked for twice")
    if name := owner(protocol, taken.address, number):
        return PydockerError(f"Bind for {at} failed: port is already allocated: container {name} has it")
    who = holder(protocol, taken.address, number)
    return PydockerError(f"failed to bind host port {at}/{protocol}: address already in use"
                         f"{f': {who} has it' if who else ''}")


def _at(address: str, number: int | str) -> str:
    return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"


def _addresses(asked: str) -> tuple[str, ...]:
    """Without any word about it, a port is published on every address of either kind, as far as the host has them."""
    if asked:
        return (asked,)
    return (ANY4, ANY6) if os.path.exists("/proc/net/if_inet6") else (ANY4,)


def _dynamic() -> Iterator[int]:
    """The kernel's range for ports that nobody chose, from anywhere in it: so that a port which was just given up is
    not at once another container's."""
    first, last = map(int, Path(_RANGE).read_text().split())
    size = last - first + 1
    start = int.from_bytes(os.urandom(4), "big") % size
    return (first + (start + offset) % size for offset in range(size))


def _bind_all(protocol: str, addresses: Iterable[str], number: int) -> list[tuple[str, socket.socket]]:
    with ExitStack() as undo:
        made = []
        for address in addresses:
            made.append((address, undo.enter_context(_bind(protocol, address, number))))
        undo.pop_all()
    return made


def _bind(protocol: str, address: str, number: int) -> socket.socket:
    """Raises _Taken; NotSupported: the kernel does not know the protocol."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        made = socket.socket(family, *_KINDS[protocol])
    except OSError as error:
        raise NotSupported(f"publish a port of {protocol}: {os.strerror(error.errno or 0).lower()} "
                           f"(socket(2), {errno.errorcode.get(error.errno or 0)})") from error
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol != "udp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, number))
        if protocol != "udp":
            made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise _Taken(address, error) from error
    return made
