"""Published ports that change, of a container that ends meanwhile; and notes of changes that came to no end."""

from pathlib import Path
from typing import Any

import pytest

from pydocker.containers.unfinished import Unfinished
from pydocker.errors import Conflict
from pydocker.model.container import ContainerId, HostConfig
from pydocker.model.limits import Update
from pydocker.model.network import PortBinding, Published
from pydocker.network import nft
from pydocker.storage import documents
from tests.root.containers.room import Room, fails, wait_until

PORTS = STAYS, GOES, COMES = 18080, 18081, 18082
CHANGE = Update(publish_remove={"80/tcp": (PortBinding(host_port=str(GOES)),)},
                publish_add={"80/tcp": (PortBinding("127.0.0.1", str(COMES)),)})


class Ending:
    """The engine's own Streams, whose containers end before they are told of their ports."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._real = room.containers.connections.publisher._streams

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def arrange(self, id: ContainerId, held: Any) -> None:
        ended(self._room, id)
        self._real.arrange(id, held)


def ended(room: Room, id: ContainerId) -> None:
    room.containers.kill(id, "KILL")
    wait_until(lambda: not room.paths.container_run(id).exists())


def published(room: Room, **options: Any) -> ContainerId:
    bindings = tuple(PortBinding("127.0.0.1", str(port)) for port in (STAYS, GOES))
    return room.start("sleep", "1000", host=HostConfig(port_bindings={"80/tcp": bindings}, **options),
                      exposed_ports={"80/tcp": {}})


def led(room: Room) -> set[int]:
    """What the firewall leads somewhere."""
    table = room.networks.firewall.table
    return {port for port in PORTS if nft.element(table, "ports4_at", f"127.0.0.1 . tcp . {port}")}


def note(room: Room, id: ContainerId) -> Path:
    return room.paths.container_run(id) / "unfinished.json"


@pytest.mark.parametrize("rm", [False, True], ids=["kept", "rm"])
def test_a_container_that_ends_while_its_ports_change_leaves_none(
        room: Room, rm: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its monitor has taken them all out of the firewall; whoever takes back the change must not put them in again."""
    room.start("sleep", "1000")  # with it, the table stays
    id = published(room, auto_remove=rm)
    assert led(room) == {STAYS, GOES}
    monkeypatch.setattr(room.containers.connections.publisher, "_streams", Ending(room))
    error = fails(lambda: room.containers.update(id, CHANGE))
    assert (type(error), str(error)) == (Conflict, f"container {id} is not running: it has ended just now")
    assert led(room) == set()
    networks = room.networks.endpoints
    assert not [one for network in networks.networks_used() for one in networks.read(network) if one.container == id]


def test_a_container_that_has_ended_just_before_is_told_of_as_that(room: Room) -> None:
    id = published(room)
    changes, record = room.containers.connections.publisher.changes, room.containers.get(id).record
    ended(room, id)
    with pytest.raises(Conflict, match="is not running"), changes.noted(Unfinished(record, ())):
        pass


def test_a_note_that_is_old_changes_no_more_than_networks_and_ports(room: Room) -> None:
    """It could not be settled when a server started: the monitor was stopped, say."""
    id = published(room)
    record = room.containers.get(id).record
    documents.write(note(room, id), Unfinished(record, (Published("tcp", "127.0.0.1", STAYS, 80),)))
    room.containers.rename(id, "renamed")
    room.restarted()
    assert room.containers.get(id).record.name == "renamed"
    assert led(room) == {STAYS}
    assert not note(room, id).exists()


def test_a_damaged_note_loses_no_port_and_keeps_no_other_from_being_settled(room: Room) -> None:
    first, second = published(room), room.start("sleep", "1000")
    note(room, first).write_bytes(b"")
    documents.write(note(room, second), Unfinished(room.containers.get(second).record, ()))
    room.restarted()
    assert led(room) == {STAYS, GOES}
    assert not note(room, second).exists()
