"""Changes of a running container's networks and ports, which are several: the record, the networks' documents,
interfaces, the firewall, and what its monitor holds.

Whoever is killed before the last one leaves a note of what is true then, by which the next server has all of them agree
again: what was to go is gone, and what was to come did not.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
from msgspec.structs import replace

from pydocker.containers import etcfiles
from pydocker.containers.lifecycle import Lifecycle
from pydocker.containers.store import Store
from pydocker.containers.streams import Streams
from pydocker.errors import Conflict, PydockerError
from pydocker.model.container import Record
from pydocker.model.network import Published
from pydocker.network.ports import Held
from pydocker.network.sandbox import Sandboxes
from pydocker.network.service import Networks
from pydocker.storage import documents

_NOTE = "unfinished.json"  # in a container's run directory
_log = logging.getLogger(__name__)


class Unfinished(msgspec.Struct, frozen=True):
    """What is true of a container, if its change comes to no end: a network that it leaves, or should have come into,
    is not in the record; and these ports are published, as far as its networks lead out."""

    record: Record
    kept: tuple[Published, ...]


class Changes:
    """Of the containers of one engine."""

    def __init__(self, store: Store, lifecycle: Lifecycle, streams: Streams, networks: Networks) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._streams = streams
        self._sandboxes = Sandboxes(networks)

    @contextlib.contextmanager
    def noted(self, otherwise: Unfinished) -> Iterator[None]:
        """Whoever is killed in this block leaves a note; whoever fails in it has taken back what he did. Conflict: what
        failed did so because the container has ended."""
        id = otherwise.record.id
        note = self._store.paths.container_run(id) / _NOTE
        try:
            documents.write(note, otherwise, durable=False)
            yield
        except (PydockerError, FileNotFoundError):
            if note.parent.exists():
                raise
            raise Conflict(f"container {id} is not running: it has ended just now") from None
        finally:
            with contextlib.suppress(FileNotFoundError):  # with --rm, it has ended and is gone
                os.unlink(note)

    def recover(self) -> None:
        """At start-up, after the networks: make good what the notes tell of."""
        for note in (self._store.paths.run / "containers").glob(f"*/{_NOTE}"):
            try:
                self._settle(documents.read(note, Unfinished))
                os.unlink(note)
            except (PydockerError, OSError) as error:
                _log.warning("container %s, changed when a server was killed: %s", note.parent.name, error)

    def _settle(self, left: Unfinished) -> None:
        with self._lifecycle.locked(left.record.id) as container:
            record = _settled(container.record, left.record)
            if container.state.running:
                with ExitStack() as undo:
                    self._leave(record, undo)
                    self._sandboxes.rearrange(record, self._sandboxes.places(record), left.kept, undo)
                    self._streams.arrange(record.id, Held())
                    undo.pop_all()
            self._store.change(record)

    def _leave(self, record: Record, undo: ExitStack) -> None:
        """The networks that it is not in."""
        others = [place for place in self._sandboxes.places(record) if place[0].name not in record.networks]
        for network, endpoint, _ in others:
            namespace = self._streams.namespace(record.id)
            undo.callback(os.close, namespace)
            self._sandboxes.unplug(record, network, namespace)
            etcfiles.disconnected(record, self._store.paths.container(record.id), [endpoint])


def _settled(record: Record, noted: Record) -> Record:
    """What a note tells of a container's networks and ports. It may have been there for long, as none but the next
    server looks at it again: the rest may be another by now."""
    host = replace(record.host, port_bindings=noted.host.port_bindings, publish_all_ports=noted.host.publish_all_ports)
    config = replace(record.config, exposed_ports=noted.config.exposed_ports)
    return replace(record, networks=noted.networks, host=host, config=config)
