"""What a monitor has of its container's network: the namespace, and the end of its endpoints.

The namespace comes from the server, furnished; its descriptor keeps it from one run of the container to the next, so
that a restart by policy changes no address. When the container has ended for good, its addresses are free again, and
the kernel removes the namespace, with the interfaces in it, when nothing holds it any more.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pydocker.errors import PydockerError
from pydocker.events.journal import Journal
from pydocker.model.network import Endpoint, Network, Published
from pydocker.monitor import control
from pydocker.monitor.birth import Birth
from pydocker.monitor.desk import answer
from pydocker.monitor.guard import Guard
from pydocker.monitor.launch import Launch
from pydocker.monitor.loop import Loop
from pydocker.monitor.relay import Relays
from pydocker.network.endpoints import Endpoints
from pydocker.network.firewalling import Firewall, on_disk
from pydocker.network.ports import AT_ONCE, LARGEST_BATCH, Batch, make_room
from pydocker.network.store import Store
from pydocker.storage import documents
from runtime.step import Step

if TYPE_CHECKING:
    from pydocker.monitor.dns import Resolver


NAMES = ("dns-udp", "dns-tcp")  # what a monitor keeps: the sockets on which its container asks for names
LEGACY = "legacy"  # and what tells of iptables-legacy


class EnterNetwork(Step[Birth], frozen=True):
    """The namespace that has been made for the container."""

    why = "it is there already, with all its interfaces: the runtime joins it instead of making one"
    manual = "setns(2), OCI runtime-spec, config-linux.md, Namespaces"
    netns: str

    def describe(self) -> str:
        return "let the runtime join the network namespace that is ready"

    def shell(self) -> str:
        return f"exec {{network}}</run/netns/{self.netns}"

    def apply(self, at: Birth) -> None:
        at.joined["network"] = os.dup(at.namespace)  # os.dup() makes it close-on-exec

    def undo(self, at: Birth) -> None:
        at.let_go()


class Sandbox:
    """The namespace as long as the container may run in it; -1: it is not ours to keep."""

    def __init__(self, launch: Launch, loop: Loop, kept: Mapping[str, int]) -> None:
        self.namespace = kept.get("network", -1)
        self._launch = launch
        self._loop = loop
        self._resolver: Resolver | None = None
        self._relays = Relays(loop)
        self._guard: Guard | None = None
        self._ports = kept.get("ports", -1)
        self._legacy = kept.get(LEGACY, -1)
        if NAMES[0] in kept:
            self.listen([kept[name] for name in NAMES])

    def open(self, rules: int = -1) -> None:
        """Look after the published ports, and the firewall, as long as there is somebody in the container. `rules` is
        a descriptor that is told of changes already."""
        if self._guard is None and self._launch.sandbox:
            self._guard = Guard(self._loop, firewall(self._launch), rules, self._legacy)
        if self._ports >= 0:
            self.arrange(self._ports)
            self._ports = -1

    @property
    def rules(self) -> int:
        """The descriptor that is told of changes to firewall rules; -1: there is none."""
        return self._guard.fileno() if self._guard is not None else -1

    def serve(self, request: control.Namespace | control.Listen | control.Arrange, fds: Sequence[int],
              connection: socket.socket, pid: int) -> None:
        """What the server asks for while it connects the container to a network, or publishes a port."""
        match request:
            case control.Listen():
                self.listen(fds)
            case control.Arrange():
                self.arrange(fds[0])
            case control.Namespace():
                answer(connection, control.Done(), (self.adopt(pid),))
                return
        answer(connection, control.Done())

    def listen(self, sockets: Sequence[int]) -> None:
        """Answer names on these, and no longer on others."""
        from pydocker.monitor.dns import Resolver  # which the spawner has imported, before the first that needs it

        if self._resolver is not None:
            self._resolver.close()
        self._resolver = Resolver(self._loop, self._launch, self.namespace, sockets)

    def arrange(self, ports: int) -> None:
        """The container's networks, or its published ports, have changed; from the descriptor come more sockets."""
        self._relays.arrange(endpoints(self._launch), received(ports))

    def adopt(self, pid: int) -> int:
        """The namespace, for the server to change; from here on it stays for the next runs, even if the runtime had
        made it for this one alone. Raises OSError: there is none, because it has just ended."""
        if self.namespace < 0:
            self.namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        return self.namespace

    def release(self) -> Sequence[Endpoint]:
        """The container has ended for good. Once more does no harm."""
        if self._resolver is not None:
            self._resolver.close()
            self._resolver = None
        if self.namespace >= 0:
            os.close(self.namespace)
            self.namespace = -1
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        gone = release(self._launch)
        self._relays.close()
        if self._ports >= 0:  # it could not be started: the sockets in it are closed with it
            os.close(self._ports)
            self._ports = -1
        return gone


def endpoints(launch: Launch) -> Sequence[Endpoint]:
    """The container's, as they are on disk."""
    return Endpoints(launch.run_path.parent.parent).of(launch.id)


def firewall(launch: Launch) -> Firewall:
    run = launch.run_path.parent.parent
    return Firewall(launch.table, run / "firewall", on_disk(Store(Path(launch.networks)), Endpoints(run)))


def received(ports: int) -> Iterator[tuple[Published, socket.socket]]:
    """The sockets that the server has packed (`network.publishing`), and what they hold."""
    with socket.socket(fileno=ports) as packed:
        while True:
            # With control.receive's buffer of a megabyte, a monitor would be twice as large ever after.
            content, fds = control.receive_descriptors(packed, LARGEST_BATCH, AT_ONCE)
            if not content:
                return
            batch = msgspec.json.decode(content, type=Batch)
            make_room(len(fds))
            yield from zip(batch.published, (socket.socket(fileno=fd) for fd in fds), strict=True)


def release(launch: Launch) -> Sequence[Endpoint]:
    """Take the container's endpoints out of its networks, and its ports out of the firewall.

    Who cannot be read any more has none.
    """
    gone: Sequence[Endpoint] = ()
    with contextlib.suppress(OSError, PydockerError):
        gone = Endpoints(launch.run_path.parent.parent).release(launch.id)
        for endpoint in gone:
            if endpoint.published:
                firewall(launch).unpublish(_network(launch, endpoint), endpoint)
    return gone


def release_killed(launch: Launch) -> Sequence[Endpoint]:
    """The same for a monitor that was killed: it may have come half through, and its ports may be others' already."""
    gone: Sequence[Endpoint] = ()
    with contextlib.suppress(OSError, PydockerError):
        gone = Endpoints(launch.run_path.parent.parent).release(launch.id)
        if launch.sandbox:
            firewall(launch).rewrite((_network(launch, one), one) for one in gone)
    return gone


def _network(launch: Launch, endpoint: Endpoint) -> Network:
    return documents.read(Path(launch.networks) / endpoint.network / "network.json", Network)


def tell(launch: Launch, gone: Sequence[Endpoint]) -> None:
    """Tell that the container has left these networks."""
    journal = Journal(Path(launch.events))
    for endpoint in gone:
        with contextlib.suppress(OSError, PydockerError):
            journal.network(_network(launch, endpoint), "disconnect", container=launch.id)
