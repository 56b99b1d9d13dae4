"""Networks on disk: `networks/<id>/network.json`. A network exists when that document does.

Names are unique; the lock of `networks/` guards them, and the choice of a subnet. `bridge`, `host` and `none` are made
when somebody first looks.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pydocker.errors import InvalidParameter, NotFound
from pydocker.model.network import BRIDGE, HOST, NONE, PREDEFINED, Network, NetworkId
from pydocker.storage import documents, locks

RECORD = "network.json"
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Store:
    """The networks below one data root. Decoded ones are kept in memory as long as their file has not changed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._decoded: dict[str, tuple[tuple[int, int], Network]] = {}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else adds a network, or takes one away, for the length of this block."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        with locks.held(self._directory / ".lock"):
            yield

    def all(self) -> list[Network]:
        """All of them, the oldest first."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._directory):
                with contextlib.suppress(FileNotFoundError):
                    if _ID.fullmatch(name):
                        found.append(self.get(NetworkId(name)))
        return sorted(found, key=lambda network: (network.created, network.name))

    def get(self, id: NetworkId) -> Network:
        """Raises FileNotFoundError when there is no such network (any more)."""
        path = f"{self._directory}/{id}/{RECORD}"  # pathlib takes as long as stat(2), and there may be hundreds
        found = os.stat(path)
        stamp = (found.st_ino, found.st_mtime_ns)
        known = self._decoded.get(id)
        if known is None or known[0] != stamp:
            known = self._decoded[id] = (stamp, documents.read(Path(path), Network))
        return known[1]

    def find(self, ref: str) -> Network:
        """By id, name, or unambiguous prefix of an id, looked for in this order. Raises NotFound, InvalidParameter."""
        every = self.all()
        for exact in (lambda it: it.id == ref, lambda it: it.name == ref):
            if found := next(filter(exact, every), None):
                return found
        begun = [network for network in every if ref and network.id.startswith(ref)]
        if len(begun) > 1:
            raise InvalidParameter(f"network {ref} is ambiguous ({len(begun)} matches found based on ID prefix)")
        if not begun:
            raise NotFound(f"network {ref} not found")
        return begun[0]

    def add(self, network: Network) -> None:
        """From here on it exists. Call it with the lock held."""
        os.makedirs(self._directory / network.id, mode=0o700, exist_ok=True)
        documents.write(self._directory / network.id / RECORD, network)
        documents.sync_directory(self._directory)

    def remove(self, id: NetworkId) -> None:
        """It does not exist any more. Call it with the lock held."""
        self._decoded.pop(id, None)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._directory / id / RECORD)
        with contextlib.suppress(FileNotFoundError):
            documents.sweep(self._directory / id)
            os.rmdir(self._directory / id)
        documents.sync_directory(self._directory)

    def with_predefined(self, bridge: Callable[[NetworkId], Network]) -> list[Network]:
        """All networks, after those that are always there have been made, where they were missing."""
        every = self.all()
        if {*PREDEFINED} <= {network.name for network in every}:
            return every
        with self.locked():
            names = {network.name for network in self.all()}
            for name in (HOST, NONE):
                if name not in names:
                    driver = "null" if name == NONE else HOST
                    self.add(Network(id=new_id(), name=name, created=time.time(), driver=driver))
            if BRIDGE not in names:
                self.add(bridge(new_id()))
        return self.all()


def new_id() -> NetworkId:
    return NetworkId(os.urandom(32).hex())
