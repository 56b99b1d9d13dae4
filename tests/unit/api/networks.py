"""Networks in memory: the store's rules on a temporary directory, and nothing in the kernel."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from pydocker.errors import Forbidden
from pydocker.model.network import BRIDGE, PREDEFINED, Asked, Endpoint, EndpointConfig, Network, NetworkId
from pydocker.network import asked as requests
from pydocker.network.ipam import Sources
from pydocker.network.store import Store


class Networks:
    def __init__(self, root: Path) -> None:
        self._store = Store(root / "networks")
        self._numbers = itertools.count(1)
        self.endpoints: dict[str, tuple[Endpoint, ...]] = {}

    def _decide(self, asked: Asked) -> Network:
        number = next(self._numbers)
        return requests.decide(asked, NetworkId(f"{number:012x}{0:052x}"), number, self._store.all(), (), Sources())

    def list(self) -> Sequence[Network]:
        return self._store.with_predefined(lambda id: self._decide(Asked(name=BRIDGE)))

    def find(self, ref: str) -> Network:
        self.list()
        return self._store.find(ref)

    def members(self, network: Network) -> Sequence[Endpoint]:
        return self.endpoints.get(network.id, ())

    def create(self, asked: Asked) -> Network:
        self.list()
        requests.check(asked)
        made = self._decide(asked)
        self._store.add(made)
        return made

    def remove(self, ref: str) -> Network:
        network = self.find(ref)
        if network.name in PREDEFINED:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        self._store.remove(network.id)
        return network

    def prune(self, wanted: Callable[[Network], bool]) -> Sequence[str]:
        going = [one for one in self.list() if one.name not in PREDEFINED and wanted(one) and not self.members(one)]
        return [self.remove(one.id).name for one in going]


class Connections:
    """Notes what it is asked."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self.asked: list[tuple[object, ...]] = []

    def connect(self, ref: str, container: str, config: EndpointConfig) -> None:
        self.asked.append((self._networks.find(ref).name, container, config))

    def disconnect(self, ref: str, container: str, *, force: bool) -> None:
        self.asked.append((self._networks.find(ref).name, container, force))
