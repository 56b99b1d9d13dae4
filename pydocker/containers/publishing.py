"""The published ports of a container that is there: `update --publish-add` and `--publish-rm`, and what becomes of its
ports when its networks change.

New sockets are taken first, then the documents, the firewall and the monitor are told; whatever fails takes back what
was done before it.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from msgspec.structs import replace

from pydocker.containers.lifecycle import Lifecycle
from pydocker.containers.store import Store
from pydocker.containers.streams import Streams
from pydocker.containers.unfinished import Changes, Unfinished
from pydocker.errors import InvalidParameter, PydockerError
from pydocker.model.container import ContainerId, HostConfig, Record
from pydocker.model.limits import Update
from pydocker.model.network import HOST, NONE, PortBinding, Published
from pydocker.model.port import Port, check, port
from pydocker.network import ports, publishing
from pydocker.network.ports import Held
from pydocker.network.sandbox import Sandboxes
from pydocker.network.service import Networks

Bindings = Mapping[str, tuple[PortBinding, ...] | None]


class Publisher:
    """Changes what is published."""

    def __init__(self, store: Store, lifecycle: Lifecycle, streams: Streams, networks: Networks) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._streams = streams
        self._networks = networks
        self._sandboxes = Sandboxes(networks)
        self.changes = Changes(store, lifecycle, streams, networks)

    def change(self, id: ContainerId, update: Update) -> Update:
        """What is left of the update, when its part is done.

        Raises InvalidParameter (it makes no sense, or is not published), PydockerError (a port is taken).
        """
        add, remove = update.publish_add or {}, update.publish_remove or {}
        if add or remove:
            self._publish(id, add, remove)
        return replace(update, publish_add=None, publish_remove=None)

    def _publish(self, id: ContainerId, add: Bindings, remove: Bindings) -> None:
        check({**add})
        check({**remove})
        with self._lifecycle.locked(id) as container:
            record = container.record
            if record.host.network_mode in (HOST, NONE) or record.host.network_mode.startswith("container:"):
                raise InvalidParameter(f"container {record.name} has no network of its own whose ports could be "
                                       "published")
            there = tuple(one for _, endpoint, _ in self._sandboxes.places(record) for one in endpoint.published)
            less = asking(record, {}, remove, there) if remove else record
            changed = asking(less, add, {}, ())
            if container.state.running:
                kept = tuple(one for one in there if not _is_one_of(one, remove))
                self._change(record, changed, add, Unfinished(less, kept))
            else:
                if add:
                    self._check_twice(changed)
                self._store.change(changed)
            self._store.journal.container(changed, "update")

    def _check_twice(self, record: Record) -> None:
        """Of one that does not run, nothing is taken yet; but what it asks for twice, it can never be started with."""
        asked = ports.asked(record.config.exposed_ports, record.host.port_bindings or {}, record.host.publish_all_ports)
        if at := ports.twice(asked, self._networks.narrowed):
            raise PydockerError(f"Bind for {at} failed: port is already allocated: container {record.name} asks for it "
                                "already")

    def _change(self, record: Record, changed: Record, add: Bindings, otherwise: Unfinished) -> None:
        """Of a running container. Its monitor is told last: what that lets go of, another may have at once."""
        places = self._sandboxes.places(record)
        with self.changes.noted(otherwise), ExitStack() as undo:
            held = publishing.hold(replace(changed, host=HostConfig(port_bindings=dict(add))), places,
                                   self._networks.narrowed, self._networks.owner)
            undo.callback(held.close)
            self._sandboxes.rearrange(record, places, (*otherwise.kept, *held.published), undo)
            undo.callback(self._store.change, record)
            self._store.change(changed)
            self._streams.arrange(record.id, held)
            undo.pop_all()
            held.close()

    def connected(self, record: Record, published: Iterable[Published], undo: ExitStack) -> None:
        """Its networks are other ones now: lead the ports through the right one. Without any port so far, those that
        it asks for are taken: it may have had no network that leads out. Call it with the container's lock held."""
        places, published = self._sandboxes.places(record), tuple(published)
        held = Held() if published else publishing.hold(record, places, self._networks.narrowed, self._networks.owner)
        undo.callback(held.close)
        self._sandboxes.rearrange(record, places, (*published, *held.published), undo)
        if published or held.published:
            self._streams.arrange(record.id, held)


def asking(record: Record, add: Bindings, remove: Bindings, there: Iterable[Published]) -> Record:
    """The record that asks for these ports as well, and for those no more. `there`: what is published now.

    Raises InvalidParameter: what is to be removed is not there.
    """
    wanted = ports.asked(record.config.exposed_ports, record.host.port_bindings or {}, record.host.publish_all_ports)
    for key, bindings in remove.items():
        for binding in bindings or (PortBinding(),):
            gone = _asked_for(port(key), binding, wanted, [one for one in there if _is(one, port(key), binding)])
            if not gone:
                raise InvalidParameter(f"container {record.name} does not publish {_told(port(key), binding)}")
            for one in gone:
                wanted.remove(one)
    wanted += ports.asked((), add, publish_all=False)
    bound: dict[str, tuple[PortBinding, ...] | None] = {}
    for inside, asked in wanted:
        bound[str(inside)] = (*(bound.get(str(inside)) or ()), asked)
    publishes_all = record.host.publish_all_ports and not remove
    exposed = {**record.config.exposed_ports, **{key: {} for key in bound}}
    return replace(record, host=replace(record.host, port_bindings=bound, publish_all_ports=publishes_all),
                   config=replace(record.config, exposed_ports=exposed))


def _asked_for(inside: Port, removed: PortBinding, wanted: list[tuple[Port, PortBinding]],
               there: list[Published]) -> list[tuple[Port, PortBinding]]:
    """The bindings that `removed` means: by what they ask for, or by the port that the engine has chosen for one."""
    named = [(port, one) for port, one in wanted if port == inside and removed.host_ip in ("", one.host_ip)
             and removed.host_port in ("", one.host_port)]
    if named or not there:
        return named
    return [(port, one) for port, one in wanted if (port == inside and one.host_port in ("", "0"))
            or (port == inside and "-" in one.host_port)][:1]


def _is_one_of(one: Published, bindings: Bindings) -> bool:
    return any(_is(one, port(key), binding) for key, each in bindings.items() for binding in each or (PortBinding(),))


def _is(one: Published, inside: Port, binding: PortBinding) -> bool:
    return ((one.container_port, one.protocol) == (inside.number, inside.protocol)
            and binding.host_ip in ("", one.host_ip) and binding.host_port in ("", str(one.host_port)))


def _told(inside: Port, binding: PortBinding) -> str:
    at = f"{binding.host_ip}:{binding.host_port}".strip(":")
    return f"{inside} at {at}" if at else str(inside)
