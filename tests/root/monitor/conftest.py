"""The same rooms as for the containers' tests."""

from tests.root.containers.conftest import _checked, _room, any_room, own_room, room

__all__ = ["_checked", "_room", "any_room", "own_room", "room"]
