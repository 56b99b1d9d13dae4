"""Who is in a network now: `<run root>/networks/<id>/endpoints.json`, changed under the lock beside it.

An endpoint is its container's as long as that container's monitor.lock is held. A monitor takes its own endpoints out
at the end; those of a monitor that was killed are passed over by whoever reads, and taken out by whoever writes next.

Which networks a container is in is also written in its own run directory (`NETWORKS`), before its endpoints are: so who
takes them out need not look into every network. No pyroute2 here: monitors import this.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pydocker.model.network import Endpoint, NetworkId
from pydocker.storage import documents, locks

FILE = "endpoints.json"
NETWORKS = "networks.json"  # in a container's run directory: the ids of its networks
_LOCK = "lock"
_MONITOR_LOCK = "monitor.lock"  # as in monitor.launch, which is above us


class Endpoints:
    """The endpoints of all networks below one run root. Decoded documents are kept as long as they do not change."""

    def __init__(self, run: Path) -> None:
        self._networks = run / "networks"
        self._containers = run / "containers"
        self._decoded: dict[str, tuple[tuple[int, int], tuple[Endpoint, ...]]] = {}

    @contextlib.contextmanager
    def locked(self, network: NetworkId, *, first: bool = False) -> Iterator[None]:
        """Nobody else changes this network, or who is in it, for the length of this block. FileNotFoundError: nobody
        has been in it since the boot, and this is not the `first` one."""
        if first:
            os.makedirs(self._networks / network, mode=0o700, exist_ok=True)
        with locks.held(self._networks / network / _LOCK):
            yield

    def networks_used(self) -> list[NetworkId]:
        """Those that somebody has been in since the boot."""
        try:
            return [NetworkId(name) for name in os.listdir(self._networks)]
        except FileNotFoundError:
            return []

    def read(self, network: NetworkId) -> tuple[Endpoint, ...]:
        """All of them, those of killed monitors too; needs no lock."""
        path = self._networks / network / FILE
        try:
            found = os.stat(path)
            stamp = (found.st_ino, found.st_mtime_ns)
            known = self._decoded.get(network)
            if known is None or known[0] != stamp:
                known = self._decoded[network] = (stamp, documents.read(path, tuple[Endpoint, ...]))
        except FileNotFoundError:
            return ()
        return known[1]

    def living(self, network: NetworkId) -> tuple[Endpoint, ...]:
        """Those of containers whose monitors live."""
        return tuple(one for one in self.read(network) if locks.is_held(self._monitor_lock(one.container)))

    def _monitor_lock(self, container: str) -> Path:
        return self._containers / container / _MONITOR_LOCK

    def write(self, network: NetworkId, endpoints: Sequence[Endpoint]) -> None:
        """Call it with the network's lock held."""
        documents.write(self._networks / network / FILE, tuple(endpoints), durable=False)

    def replace(self, endpoint: Endpoint) -> None:
        """What has changed of an endpoint; one that has been taken out meanwhile stays out."""
        with contextlib.suppress(FileNotFoundError), self.locked(endpoint.network):
            if self.has(endpoint):
                others = (one for one in self.read(endpoint.network) if one.id != endpoint.id)
                self.write(endpoint.network, (*others, endpoint))

    def has(self, endpoint: Endpoint) -> bool:
        """Whether it is still there, as it was or changed."""
        return any(one.id == endpoint.id for one in self.read(endpoint.network))

    def change(self, network: NetworkId, container: str, change: Callable[[Endpoint], Endpoint]) -> None:
        """Change what a container has in a network, if it is in it yet."""
        with contextlib.suppress(FileNotFoundError), self.locked(network):
            every = self.read(network)
            if any(one.container == container for one in every):
                self.write(network, tuple(change(one) if one.container == container else one for one in every))

    def forget(self, network: NetworkId) -> None:
        """A network is gone. Call it with its lock held."""
        self._decoded.pop(network, None)
        for name in (FILE, _LOCK):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._networks / network / name)
        with contextlib.suppress(OSError):  # somebody waits for the lock
            os.rmdir(self._networks / network)

    def of(self, container: str) -> tuple[Endpoint, ...]:
        """A container's, in the order in which it was connected."""
        return tuple(one for network in self.networks(container) for one in self.read(network)
                     if one.container == container)

    def networks(self, container: str) -> tuple[NetworkId, ...]:
        """Those that the container may have endpoints in."""
        try:
            return documents.read(self._containers / container / NETWORKS, tuple[NetworkId, ...])
        except FileNotFoundError:
            return ()

    def announce(self, container: str, networks: Iterable[NetworkId]) -> None:
        """Note the networks before the first endpoint is entered."""
        documents.write(self._containers / container / NETWORKS, tuple(networks), durable=False)

    def release(self, container: str) -> tuple[Endpoint, ...]:
        """Take all endpoints of a container out, and return them. Call it with its monitor.lock held, and once more
        does no harm."""
        return tuple(one for network in self.networks(container) for one in self.leave(network, container))

    def leave(self, network: NetworkId, container: str) -> tuple[Endpoint, ...]:
        """Take a container out of one network."""
        with contextlib.suppress(FileNotFoundError), self.locked(network):
            every = self.read(network)
            gone = tuple(one for one in every if one.container == container)
            if gone:
                self.write(network, tuple(one for one in every if one.container != container))
            return gone
        return ()
