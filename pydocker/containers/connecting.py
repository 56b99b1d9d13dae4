"""`network connect` and `network disconnect`: of a running container at once, and for every start to come."""

import contextlib
import os
from collections.abc import Iterator

from msgspec.structs import replace

from pydocker.containers import etcfiles, links, networking
from pydocker.containers.lifecycle import Lifecycle
from pydocker.containers.publishing import Publisher
from pydocker.containers.sharing import OTHER
from pydocker.containers.store import Store
from pydocker.containers.streams import Streams
from pydocker.containers.unfinished import Unfinished
from pydocker.errors import Conflict, Forbidden, InvalidParameter, NotFound, PydockerError
from pydocker.model.container import Container, ContainerId, Record
from pydocker.model.network import HOST, NONE, EndpointConfig, Network, Published
from pydocker.network import plan
from pydocker.network.sandbox import Sandboxes
from pydocker.network.service import Networks


class Connections:
    """Changes which networks a container is in."""

    def __init__(self, store: Store, lifecycle: Lifecycle, streams: Streams, networks: Networks) -> None:
        self.publisher = Publisher(store, lifecycle, streams, networks)
        self._store = store
        self._lifecycle = lifecycle
        self._streams = streams
        self._networks = networks
        self._sandboxes = Sandboxes(networks)

    def placed(self, container: Container) -> Container:
        """The container with its places in its networks, while it runs, and its links."""
        container = replace(container, record=links.shown(self._store, container.record))
        places = self._networks.endpoints.of(container.record.id) if container.state.running else ()
        return replace(container, endpoints=places) if places else container

    def connect(self, ref: str, container: str, config: EndpointConfig) -> None:
        """One more network. Raises NotFound (one or the other), Forbidden (it is in it), InvalidParameter."""
        self._connect(self._networks.find(ref), self._store.resolve(container), config)

    def _connect(self, network: Network, id: ContainerId, config: EndpointConfig) -> None:
        networking.check(network, config)
        config = networking.normal(config)
        with self._lifecycle.locked(id) as container:
            self._check(container, network)
            record = container.record
            changed = replace(record, networks={**record.networks, network.name: config})
            if container.state.running:
                published = self._published(record)
                with (self.publisher.changes.noted(Unfinished(record, published)), self._namespace(id) as namespace,
                      contextlib.ExitStack() as undo):
                    plugged = self._sandboxes.plug(changed, network, config, namespace)
                    for fd in plugged.listening:
                        undo.callback(os.close, fd)
                    unplug = undo.enter_context(contextlib.ExitStack())
                    unplug.callback(self._sandboxes.unplug, changed, network, namespace)
                    if plugged.listening:
                        self._streams.listen(id, plugged.listening)
                    self.publisher.connected(changed, published, unplug)
                    self._store.change(changed)
                    unplug.pop_all()
                    etcfiles.connected(changed, self._store.paths.container(id), plugged.endpoint,
                                       first=bool(plugged.listening))
                self._networks.journal.network(network, "connect", container=id)
            else:
                self._store.change(changed)

    def _check(self, container: Container, network: Network) -> None:
        record = container.record
        if record.host.network_mode.startswith(OTHER):
            raise InvalidParameter(networking.SHARED)
        if network.name == HOST and record.host.network_mode != HOST:
            raise InvalidParameter("cannot connect container to host network - container must be created in host "
                                   "network mode")
        if network.name in record.networks:
            raise Forbidden(f"endpoint with name {record.name} already exists in network {network.name}")
        networking.check_together((*record.networks, network.name))

    def disconnect(self, ref: str, container: str, *, force: bool) -> None:
        """One network less; with `force`, also of a container that is not there any more.

        Raises NotFound, PydockerError (it is not in it), InvalidParameter.
        """
        network = self._networks.find(ref)
        try:
            id = self._store.resolve(container)
        except NotFound:
            if not force:
                raise
            self._forget(network, container)
            return
        self._disconnect(network, id, force=force)

    def _disconnect(self, network: Network, id: ContainerId, *, force: bool) -> None:
        with self._lifecycle.locked(id) as container:
            record = container.record
            if record.host.network_mode == network.name == HOST:
                raise InvalidParameter("container cannot be disconnected from host network or connected to host "
                                       "network")
            if network.name not in record.networks and not (force and self._left(network, id)):
                raise PydockerError(f"container {id} is not connected to network {network.name}")
            left = {name: config for name, config in record.networks.items() if name != network.name}
            if container.state.running and network.name != NONE:
                places = [one for one in self._networks.endpoints.of(id) if one.network == network.id]
                changed, published = replace(record, networks=left), self._published(record)
                with (self.publisher.changes.noted(Unfinished(changed, published)), self._namespace(id) as namespace,
                      contextlib.ExitStack() as undo):
                    self._sandboxes.unplug(record, network, namespace)
                    self.publisher.connected(changed, published, undo)
                    undo.pop_all()
                    self._store.change(changed)
                etcfiles.disconnected(record, self._store.paths.container(id), places)
            elif left != record.networks:
                self._store.change(replace(record, networks=left))
            if left != record.networks:
                self._networks.journal.network(network, "disconnect", container=id)

    def _left(self, network: Network, id: ContainerId) -> bool:
        """Whether a crash has left a place of the container's in a network that it is not in."""
        return any(one.container == id for one in self._networks.endpoints.read(network.id))

    def _published(self, record: Record) -> tuple[Published, ...]:
        return tuple(one for _, endpoint, _ in self._sandboxes.places(record) for one in endpoint.published)

    def unlink(self, ref: str) -> None:
        """`rm --link /app/db`: one link less, from the next start on. Raises Conflict, NotFound."""
        name, slash, alias = ref.strip("/").rpartition("/")
        if not slash:
            self._store.resolve(alias)
            raise Conflict("Conflict, cannot remove the default link name of the container")
        with self._lifecycle.locked(self._store.resolve(name)) as container:
            self._store.change(links.without(container.record, alias))

    def renamed(self, record: Record) -> None:
        """It has a new name: its networks know it by that, and no longer by the old one."""
        for id in self._networks.endpoints.networks(record.id):
            with contextlib.suppress(NotFound):
                network = self._networks.find(id)
                aliases = record.networks.get(network.name, EndpointConfig()).aliases or ()
                names = plan.names(network, record.name, record.id, record.config.hostname, aliases)
                self._networks.endpoints.change(
                    id, record.id, lambda one, names=names: replace(one, name=record.name, names=names))  # type: ignore[misc]

    @contextlib.contextmanager
    def _namespace(self, id: ContainerId) -> Iterator[int]:
        """The running container's, from its monitor: which has it also between two runs."""
        namespace = self._streams.namespace(id)
        try:
            yield namespace
        finally:
            os.close(namespace)

    def _forget(self, network: Network, container: str) -> None:
        """Take out what a crash has left of a container."""
        every = self._networks.endpoints.read(network.id)
        ids = {one.container for one in every if container in (one.name, one.container, one.container[:12])}
        if not ids:
            raise NotFound(f"endpoint {container} not found")
        for one in (gone for id in ids for gone in self._networks.endpoints.leave(network.id, id)):
            self._networks.firewall.unpublish(network, one)
